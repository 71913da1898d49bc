"""The edit log of a review: one JSON line a change, which is only appended to.

A change counts as saved when its line is durable. A line that a killed server did not finish
was never acknowledged and is removed.
"""

import fcntl
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, BinaryIO

from vaplan.annotations.fields import check_id
from vaplan.errors import AnnotationError, MachineError, VaplanError
from vaplan.review.collection import read_event
from vaplan.review.edits import as_json
from vaplan.timeline import Event
from vaplan.writing import machine_errors

LOG_FIX = "restore the log from a copy, or move it away; the reviewed table then counts"


class State(StrEnum):
    """How far the review of a video is."""

    UNTOUCHED = "untouched"
    IN_WORK = "in work"
    DONE = "done"


@dataclass(frozen=True)
class Revision:
    """The events of a video after a change.

    Attributes:
        version: Number of changes so far.
        state: How far the review is.
        events: All events of the video.
    """

    version: int
    state: State
    events: tuple[Event, ...]


@dataclass(frozen=True)
class Entry:
    """A line of the log.

    Attributes:
        video: Id of the video.
        who: Name of the person.
        action: Kind of the change, such as `nudge`.
        revision: The video after the change. Of a refused change, the version is the one
            that it was based on.
        is_conflict: Whether the change was refused, because another change came first.
        when: Time in UTC; empty for now.
    """

    video: str
    who: str
    action: str
    revision: Revision
    is_conflict: bool = False
    when: str = ""

    def to_json(self) -> str:
        """Return the line without its end."""
        value = {
            "when": self.when or datetime.now(UTC).isoformat(timespec="milliseconds"),
            "who": self.who,
            "video": self.video,
            "action": self.action,
            "version": self.revision.version,
            "state": self.revision.state,
            "events": [as_json(event) for event in self.revision.events],
        }
        if self.is_conflict:
            value["conflict"] = True
        return json.dumps(value, ensure_ascii=False)


class History:
    """An open and locked log.

    Attributes:
        path: File of the log.
        entries: The entries that were in the file when it was opened.
    """

    def __init__(self, path: Path, file: BinaryIO) -> None:
        self.path = path
        self._file = file
        self._size = 0
        self.entries = tuple(self._read())

    def append(self, entries: Sequence[Entry]) -> None:
        """Append entries and make them durable, all or none.

        Args:
            entries: Lines to append.

        Raises:
            MachineError: The file cannot be written; it is as before.
        """
        lines = "".join(entry.to_json() + "\n" for entry in entries).encode()
        with machine_errors(self.path, size=len(lines)):
            try:
                self._write(lines)
            except OSError:
                self.truncate(self._size)
                raise
        self._size += len(lines)

    @property
    def size(self) -> int:
        """Return the bytes of all entries."""
        return self._size

    def truncate(self, size: int) -> None:
        """Remove the entries that were appended since the file had a size.

        Args:
            size: An earlier value of `size`.
        """
        os.ftruncate(self._file.fileno(), size)
        self._size = size

    def _write(self, lines: bytes) -> None:
        handle = self._file.fileno()
        rest = memoryview(lines)
        while rest:
            rest = rest[os.write(handle, rest) :]
        os.fsync(handle)

    def _read(self) -> Iterator[Entry]:
        """Read all entries and remove an unfinished last line."""
        for number, line in enumerate(self._file, start=1):
            if not line.endswith(b"\n"):
                break
            yield _read_entry(line, self.path, number)
            self._size += len(line)
        with machine_errors(self.path):
            self.truncate(self._size)


@contextmanager
def open_history(path: Path) -> Iterator[History]:
    """Open the log of a review and lock it, so that one server writes it.

    Args:
        path: File of the log; it is made if it does not exist.

    Raises:
        MachineError: Another server has it open, or it cannot be written.
        AnnotationError: A line of it is damaged.
    """
    with machine_errors(path):
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
    with os.fdopen(handle, "r+b", buffering=0) as file:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise MachineError(
                "another review of this table is running",
                file=path,
                fix="open that one, or end it",
            ) from error
        yield History(path, file)


def latest_revisions(entries: Sequence[Entry]) -> dict[str, Revision]:
    """Return the last revision of each video that was changed.

    Args:
        entries: Entries of a log; refused changes do not count.
    """
    return {entry.video: entry.revision for entry in entries if not entry.is_conflict}


def _read_entry(line: bytes, path: Path, number: int) -> Entry:
    try:
        value = json.loads(line)
        check_id(value["video"], file=path, line=number)
        return Entry(
            value["video"],
            str(value["who"]),
            str(value["action"]),
            _read_revision(value, path),
            bool(value.get("conflict", False)),
            str(value["when"]),
        )
    except VaplanError as error:
        raise AnnotationError(
            error.what, file=path, line=number, fix=LOG_FIX
        ) from error
    except (
        ValueError,
        LookupError,
        TypeError,
        AttributeError,
        OverflowError,
        RecursionError,
    ) as error:
        raise AnnotationError(
            f"not a line of an edit log: {error}", file=path, line=number, fix=LOG_FIX
        ) from error


def _read_revision(value: Mapping[str, Any], path: Path) -> Revision:
    events = tuple(read_event(event, path) for event in value["events"])
    return Revision(int(value["version"]), State(value["state"]), events)

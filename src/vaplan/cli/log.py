"""The log of a long command: one JSON document a line, appended while the command runs."""

import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from io import FileIO
from pathlib import Path
from typing import Any

from vaplan import __version__
from vaplan.errors import VaplanError
from vaplan.writing import machine_errors

PROGRESS_SECONDS = (
    1.0  # between two lines of progress of one step; failures have their own
)


@dataclass
class Log:
    """A log file; see `open_log`.

    Attributes:
        path: The file.
        file: The open file, without a buffer, so that a reader sees whole lines.
        next_line: Time of the next line of progress of each step, of the monotonic clock.
    """

    path: Path
    file: FileIO
    next_line: dict[str, float] = field(default_factory=dict)

    def write(self, event: str, **values: Any) -> None:
        """Append a line.

        Args:
            event: Kind of the line: `start`, `progress`, `failure` or `end`.
            values: JSON values of the line.
        """
        moment = datetime.now(UTC).isoformat(timespec="milliseconds")
        document = {"time": moment, "event": event, **values}
        line = json.dumps(document, ensure_ascii=False) + "\n"
        rest = memoryview(line.encode("utf-8", "backslashreplace"))
        with machine_errors(self.path):
            while rest:
                rest = rest[self.file.write(rest) :]

    def report(self, step: str, done: int, total: int, problem: str) -> None:
        """Append the progress of a step, at most once a second, and every failure.

        Args:
            step: Name of the step.
            done: Number of finished items.
            total: Number of all items; 0 where it is not known.
            problem: Failure of the last item; empty where it succeeded.
        """
        counts = {"step": step, "done": done, "total": total}
        now = time.monotonic()
        if problem:
            self.write("failure", **counts, problem=problem)
        elif done == total or now >= self.next_line.get(step, now):
            self.write("progress", **counts)
            self.next_line[step] = now + PROGRESS_SECONDS


@contextmanager
def open_log(path: Path | None, command: str) -> Iterator[Log | None]:
    """Open a log for the duration of a command.

    Args:
        path: File to append to; None for no log.
        command: Name of the command, for the first line.

    Yields:
        The log; None without a path.

    Raises:
        MachineError: The file cannot be written.
    """
    if path is None:
        yield None
        return
    with machine_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("ab", buffering=0)
    start = time.monotonic()
    with file:
        log = Log(path, file)
        origin = {"host": socket.gethostname(), "pid": os.getpid()}
        log.write("start", command=command, vaplan=__version__, **origin)
        error = ""
        try:
            yield log
        except BaseException as cause:
            is_known = isinstance(cause, VaplanError)
            error = str(cause) if is_known else type(cause).__name__
            raise
        finally:
            seconds = round(time.monotonic() - start, 3)
            log.write("end", seconds=seconds, error=error)

"""A review: versions and states of the videos, and the reviewed table.

The reviewed table has the videos that a person changed or finished. The score of an event is
empty if a person made, changed or accepted it, and every event of a finished video is that.
The table that is reviewed is never written.
"""

import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from vaplan.annotations.annotations import Video
from vaplan.annotations.rows import Row
from vaplan.annotations.table import event_rows, write_rows
from vaplan.errors import AnnotationError, VaplanError, excerpt
from vaplan.review.collection import (
    Collection,
    ReviewVideo,
    read_any_rows,
    read_collection,
    reviewed_path,
)
from vaplan.review.edits import (
    ClassNames,
    EditError,
    read_events,
    sort_events,
    without_scores,
)
from vaplan.review.history import (
    Entry,
    History,
    Revision,
    State,
    latest_revisions,
    open_history,
)
from vaplan.timeline import Event

MAX_TEXT = 100  # characters of the name of a person or of an action
MAX_BEHIND = 50  # changes that a table may lack after a power cut
ADOPTED = "read from the reviewed table"


class ConflictError(VaplanError):
    """A change that is based on an older version of the video.

    Attributes:
        current: The video as it is.
    """

    def __init__(self, current: Revision) -> None:
        super().__init__(
            f"the video was changed meanwhile and is at version {current.version}",
            fix="compare the two and save the one to keep",
        )
        self.current = current


class Session:
    """An open review.

    Attributes:
        collection: The videos before the review.
        table: The reviewed table.
        person: Name of the person, for the log.
    """

    def __init__(self, collection: Collection, history: History, person: str) -> None:
        self.collection = collection
        self.table = reviewed_path(collection.source)
        self.person = check_name("name", person)
        self._history = history
        self._lock = threading.Lock()
        self._revisions = latest_revisions(history.entries)
        self._check_table()
        self._classes = ClassNames(collection.classes, collection.is_closed)
        self._include_classes(self._revisions.values())

    @property
    def classes(self) -> tuple[str, ...]:
        """Return the names of the known classes; new ones come last."""
        return self._classes.names

    def revision(self, video: ReviewVideo) -> Revision:
        """Return the events, the version and the state of a video.

        Args:
            video: Video of the collection.
        """
        untouched = Revision(0, State.UNTOUCHED, video.events)
        return self._revisions.get(video.name, untouched)

    def include_classes(self, names: Iterable[str]) -> None:
        """Add classes that a person may choose, as those of a trained parser.

        Args:
            names: Names of classes; those that differ from a known one in case alone are
                left out, and so are all if a taxonomy file lists the classes.
        """
        if self._classes.is_closed:
            return
        known = {name.casefold() for name in self.classes}
        new_names = [name for name in names if name.casefold() not in known]
        self._classes = self._classes.including(new_names)

    def change(
        self,
        video: ReviewVideo,
        events: object,
        *,
        version: int,
        state: str,
        action: str,
        person: str = "",
    ) -> Revision:
        """Save the events of a video; when this returns, they are durable.

        Args:
            video: Video of the collection.
            events: JSON value: all events of the video.
            version: Version that the change is based on.
            state: State after the change.
            action: Kind of the change, for the log.
            person: Name of the person; by default that of the session.

        Returns:
            The new revision, or the current one if the video already has these events.

        Raises:
            EditError: A value is not valid.
            ConflictError: The video has another version. The log keeps the refused events.
            MachineError: The change cannot be written; nothing has changed.
        """
        who = check_name("name", person) or self.person
        action = check_name("action", action)
        with self._lock:
            current = self.revision(video)
            new_events = read_events(events, self._classes)
            new_state = self._check_state(state, new_events, video)
            if new_state is State.DONE:
                new_events = without_scores(new_events)
            revision = Revision(version + 1, new_state, new_events)
            if version != current.version:
                if (new_state, new_events) == (current.state, current.events):
                    return current  # the same request again, after a lost reply
                refused = replace(revision, version=version)
                entry = Entry(video.name, who, action, refused, is_conflict=True)
                self._history.append([entry])
                raise ConflictError(current)
            self._save([Entry(video.name, who, action, revision)])
            self._include_classes([revision])
            return revision

    def rows(self) -> Iterator[Row]:
        """Yield the rows of the reviewed table, in the order of the collection."""
        return self._rows(self._revisions)

    def _check_state(
        self, text: str, events: Sequence[Event], video: ReviewVideo
    ) -> State:
        try:
            state = State(text)
        except ValueError:
            known = ", ".join(State)
            raise EditError(f"state {excerpt(text)}; expected one of {known}") from None
        if state is State.UNTOUCHED and sort_events(video.events) != tuple(events):
            raise EditError("an untouched video has its first events")
        return state

    def _save(self, entries: Sequence[Entry]) -> None:
        """Write the log, then the table; if the table fails, take the log back."""
        size = self._history.size
        before = self._revisions
        self._history.append(entries)
        self._revisions = {**before, **latest_revisions(entries)}
        try:
            write_rows(self.table, self.rows())
        except BaseException:
            self._revisions = before
            self._history.truncate(size)
            raise

    def _include_classes(self, revisions: Iterable[Revision]) -> None:
        for revision in revisions:
            names = [event.class_name for event in revision.events]
            self._classes = self._classes.including(names)

    def _rows(self, revisions: Mapping[str, Revision]) -> Iterator[Row]:
        videos = {video.name: video.video for video in self.collection.videos}
        for name in dict.fromkeys([*videos, *revisions]):
            revision = revisions.get(name)
            if revision is None or revision.state is State.UNTOUCHED:
                continue
            video = videos.get(name, Video(name))
            for row in event_rows(name, revision.events):
                yield replace(row, path=video.path, split=video.split)

    def _check_table(self) -> None:
        """Compare the table with the log, and write or adopt it where they differ.

        A server that was killed between the two files leaves a table that lacks the last
        change of the log; after a power cut it may lack the last few.
        """
        entries = self._history.entries
        if not self.table.exists():
            if entries:
                write_rows(self.table, self.rows())
            return
        rows = read_any_rows(self.table).rows
        if not entries:
            self._adopt(rows)
            return
        table = set(map(_content, rows))
        if table == set(map(_content, self.rows())):
            return
        if not self._is_earlier(table):
            raise AnnotationError(
                f"it was changed by another program since {self._history.path.name} was "
                "written",
                file=self.table,
                fix="delete the table to continue from the log, or move the log away to "
                "continue from the table",
            )
        write_rows(self.table, self.rows())

    def _is_earlier(self, table: set[tuple[object, ...]]) -> bool:
        """Return whether a table is that of the log without its last changes."""
        entries = self._history.entries
        first = max(0, len(entries) - MAX_BEHIND)
        for end in range(len(entries) - 1, first - 1, -1):
            rows = self._rows(latest_revisions(entries[:end]))
            if table == set(map(_content, rows)):
                return True
        return False

    def _adopt(self, rows: Iterable[Row]) -> None:
        """Begin a log with the events of a reviewed table."""
        events_of = dict[str, list[Event]]()
        for row in rows:
            events = events_of.setdefault(row.video, [])
            for modality in row.modalities if row.marks else ():
                events.append(Event(modality, row.class_name, *row.span, row.score))
        entries = [
            Entry(
                video,
                self.person,
                ADOPTED,
                Revision(1, State.IN_WORK, sort_events(events)),
            )
            for video, events in events_of.items()
        ]
        self._save(entries)


@contextmanager
def open_session(source: Path, *, person: str = "") -> Iterator[Session]:
    """Open the review of a table or a folder, where it was left.

    Args:
        source: Table of events (CSV or Parquet), or folder of timelines.
        person: Name of the person, for the log.

    Raises:
        AnnotationError: The source, the reviewed table or the log cannot be read.
        MachineError: Another review of the source is running.
    """
    collection = read_collection(source)
    with open_history(reviewed_path(source, ".jsonl")) as history:
        yield Session(collection, history, person)


def finished_videos(table: Path) -> list[str] | None:
    """List the videos that a person finished in a review.

    Args:
        table: Reviewed table, with the log of the review beside it.

    Returns:
        Ids of the finished videos; None if there is no log, as beside any other table.

    Raises:
        AnnotationError: The log is damaged.
        MachineError: The review is running.
    """
    log = table.with_suffix(".jsonl")
    if not log.is_file():
        return None
    with open_history(log) as history:
        revisions = latest_revisions(history.entries)
    return [name for name, one in revisions.items() if one.state is State.DONE]


def check_name(kind: str, text: str) -> str:
    """Return a short text for the log.

    Args:
        kind: Kind of the text, for errors.
        text: Name of a person or of an action.

    Raises:
        EditError: It is long, or no printable text.
    """
    if len(text) > MAX_TEXT or not text.isprintable():
        raise EditError(
            f"{kind} {excerpt(text)}; expected at most {MAX_TEXT} printable characters"
        )
    return text


def _content(row: Row) -> tuple[object, ...]:
    """Return what a person decides: all columns except the path and the split."""
    numbers = [
        None if value is None else float(f"{value:.10g}")
        for value in (row.onset, row.offset, row.score)
    ]
    return (row.video, row.modality, row.class_name, *numbers)

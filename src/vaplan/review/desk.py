"""What a review shows: the session, media, lanes of other methods and the order of the videos."""

import shlex
from collections import ChainMap
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vaplan.annotations.annotations import merge_rows
from vaplan.annotations.media_files import MediaFolder
from vaplan.errors import MediaError
from vaplan.review.background import Status
from vaplan.review.collection import (
    Collection,
    ReviewVideo,
    read_any_rows,
    read_collection,
)
from vaplan.review.edits import as_json
from vaplan.review.order import Urgency, rank
from vaplan.review.preparation import MediaSource, Preparation, cache_folder
from vaplan.review.session import Session, open_session
from vaplan.timeline import Event
from vaplan.writing import printable

SEGMENT_SECONDS = 1.0
REFERENCE = "reference"
PSEUDO_LABELS = "pseudo labels"
Lanes = Mapping[str, Mapping[str, Sequence[Event]]]  # events by method and video
Json = dict[str, Any]


@dataclass(frozen=True)
class Desk:
    """An open review with everything that the page shows.

    Attributes:
        session: Events, versions and states.
        preparation: Media files, waveforms, spectrograms, copies and scores.
        lanes: Events of other methods, which are only shown.
        urgencies: Urgency of every video.
        commands: Commands that continue with what was corrected.
    """

    session: Session
    preparation: Preparation
    lanes: Lanes = field(default_factory=dict)
    urgencies: Sequence[Urgency] = ()
    commands: Sequence[str] = ()

    @property
    def videos(self) -> Sequence[ReviewVideo]:
        """Return the videos in the order of the source."""
        return self.session.collection.videos

    def describe_session(self) -> Json:
        """Return the JSON value of the review as a whole."""
        collection = self.session.collection
        return {
            "source": printable(str(collection.source)),
            "table": printable(str(self.session.table)),
            "person": self.session.person,
            "classes": list(self.session.classes),
            "is_closed": collection.is_closed,
            "problems": [printable(problem) for problem in collection.problems],
            "methods": list(self.lanes),
            "has_run": self.preparation.run is not None,
        }

    def list_videos(self) -> list[Json]:
        """Return the JSON value of every video in a list."""
        return [self._list_entry(index) for index in range(len(self.videos))]

    def describe_video(self, index: int) -> Json:
        """Return the JSON value of one video.

        Args:
            index: Place of the video in the collection.
        """
        video = self.videos[index]
        revision = self.session.revision(video)
        missing = [
            {"modality": modality, "onset": onset, "offset": offset}
            for modality, onset, offset in video.missing
        ]
        lanes = [
            {"method": method, "events": list(map(as_json, events.get(video.name, ())))}
            for method, events in self.lanes.items()
        ]
        return {
            "index": index,
            "name": video.name,
            "split": video.video.split,
            "tags": list(video.video.tags),
            "segment_seconds": SEGMENT_SECONDS,
            "version": revision.version,
            "state": revision.state,
            "events": [as_json(event) for event in revision.events],
            "first_events": [as_json(event) for event in video.events],
            "missing": missing,
            "warnings": list(video.warnings),
            "lanes": lanes,
            **self.describe_preparation(index),
        }

    def describe_preparation(self, index: int) -> Json:
        """Return the JSON value of how far the files of a video are.

        Args:
            index: Place of the video in the collection.
        """
        playback = self.preparation.playback(index)
        return {
            "seconds": self._seconds(index),
            "frame_rate": playback.frame_rate if playback else None,
            "has_video": playback is not None and playback.has_video,
            "has_audio": playback is not None and playback.has_audio,
            "media": status_value(self.preparation.media(index)),
            "peaks": status_value(self.preparation.peaks(index)),
            "scores": status_value(self.preparation.scores(index)),
        }

    def _list_entry(self, index: int) -> Json:
        video = self.videos[index]
        revision = self.session.revision(video)
        urgency = self.urgencies[index]
        scores = [event.score for event in video.events if event.score is not None]
        return {
            "index": index,
            "name": video.name,
            "split": video.video.split,
            "tags": list(video.video.tags),
            "events": len(revision.events),
            "state": revision.state,
            "version": revision.version,
            "urgency": urgency.value,
            "reasons": list(urgency.reasons),
            "score": max(scores, default=None),
            "has_media": self.preparation.sources[index].path is not None,
            "seconds": self._seconds(index),
        }

    def _seconds(self, index: int) -> float | None:
        """Return the length of the media file, or else that of the timeline."""
        playback = self.preparation.playback(index)
        if playback is not None and playback.seconds is not None:
            return playback.seconds
        return self.videos[index].seconds


@dataclass(frozen=True)
class Sources:
    """The files that a review reads.

    Attributes:
        source: Table or folder that is reviewed.
        media: Folder of the media files.
        run: Run folder of a trained parser.
        compare: Tables and folders of other methods.
        reference: Table of reference events.
        allow_outside: Whether paths of the table may lead out of the media folder.
    """

    source: Path
    media: Path
    run: Path | None = None
    compare: Sequence[Path] = ()
    reference: Path | None = None
    allow_outside: bool = False


@contextmanager
def open_desk(sources: Sources, *, person: str = "") -> Iterator[Desk]:
    """Open a review with everything that its page shows.

    Args:
        sources: Files to read.
        person: Name of the person, for the log.

    Raises:
        UsageError: A folder or a run does not exist.
        AnnotationError: A table cannot be read.
        MachineError: Another review of the source is running.
    """
    folder = MediaFolder(
        sources.media, table=sources.source, allow_outside=sources.allow_outside
    )
    run = _read_run(sources.run) if sources.run is not None else _Run((), None)
    lanes = dict(_read_lanes(sources, run.labels))
    with open_session(sources.source, person=person) as session:
        session.include_classes(run.classes)
        collection = session.collection
        media = [_find_media(video, folder) for video in collection.videos]
        preparation = Preparation(media, cache_folder(sources.source), run=sources.run)
        try:
            yield Desk(
                session,
                preparation,
                lanes,
                rank(collection, _compared(lanes)),
                _commands(session, sources),
            )
        finally:
            preparation.close()


def _find_media(video: ReviewVideo, folder: MediaFolder) -> MediaSource:
    try:
        return MediaSource(folder.find(video.video), scores=video.scores)
    except MediaError as error:
        return MediaSource(None, printable(error.what), video.scores)


def _read_lanes(
    sources: Sources, labels: Path | None
) -> Iterator[tuple[str, dict[str, Sequence[Event]]]]:
    """Yield the events of the other methods with their names."""
    if sources.reference is not None:
        yield REFERENCE, _read_events(sources.reference)
    names = [path.name for path in sources.compare]
    for path in sources.compare:
        is_unique = names.count(path.name) == 1
        name = path.name if is_unique else str(path)
        yield printable(name), _read_events(path)
    if labels is not None:
        yield PSEUDO_LABELS, _read_events(labels)


def _read_events(path: Path) -> dict[str, Sequence[Event]]:
    if path.is_dir():
        return _events_of(read_collection(path))
    return {**merge_rows(read_any_rows(path)).events}


def _events_of(collection: Collection) -> dict[str, Sequence[Event]]:
    return {video.name: video.events for video in collection.videos}


def _compared(lanes: Lanes) -> Mapping[str, Sequence[Event]]:
    """Return the events that the source is compared with, to order the videos.

    They are those of pseudo labels, else of the first other method; never the reference.
    """
    methods = [name for name in lanes if name not in (REFERENCE, PSEUDO_LABELS)]
    order = [name for name in (PSEUDO_LABELS, *methods) if name in lanes]
    return ChainMap(*({**lanes[name]} for name in order))


@dataclass(frozen=True)
class _Run:
    """The parts of a trained run that a review shows.

    Attributes:
        classes: Names of its classes.
        labels: Table of pseudo labels that it was trained on, if it is still there.
    """

    classes: Sequence[str]
    labels: Path | None


def _read_run(folder: Path) -> _Run:
    from vaplan import runs  # imports torch, which starts slowly

    run = runs.load(folder)
    labels = Path(run.recipe.labels) if run.recipe.labels else None
    exists = labels is not None and labels.is_file()
    return _Run(run.taxonomy.classes, labels if exists else None)


def _commands(session: Session, sources: Sources) -> list[str]:
    """Return the commands that continue with the reviewed table."""
    table = str(session.table)
    out = str(session.table.with_name(session.table.stem + "-elan"))
    media = str(sources.media)
    run = str(sources.run or "run")
    fit = ["fit", "tags.csv", "--media", media, "--run", run, "--corrections", table]
    export = ["export", table, "--format", "elan", "--media", media, "--out", out]
    return [printable(shlex.join(["vaplan", *words])) for words in (fit, export)]


def status_value(status: Status) -> Json:
    """Return the JSON value of the state of a job.

    Args:
        status: State of the job.
    """
    return {
        "state": status.state,
        "progress": status.progress,
        "message": status.message,
    }

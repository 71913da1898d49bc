"""Annotations of a data set: tags, splits and events of its videos."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from jaxtyping import Bool

from vaplan.annotations.rows import AnnotationRows, Row
from vaplan.errors import AnnotationError, UsageError, unknown
from vaplan.modalities import MODALITIES
from vaplan.ragged import Lengths
from vaplan.taxonomy import Taxonomy, multi_hot
from vaplan.timeline import Event, merge, to_grid

MAX_LABELS = 250_000_000  # of a video: segments, modalities and classes multiplied


@dataclass(frozen=True)
class Video:
    """A video of a data set.

    Attributes:
        video: Id.
        tags: Names of the classes that occur in it.
        path: Path of the media file; may be empty.
        split: Name of its split; may be empty.
        line: Line of its first row.
    """

    video: str
    tags: tuple[str, ...] = ()
    path: str = ""
    split: str = ""
    line: int = 0


@dataclass(frozen=True)
class Annotations:
    """Tags of every video, and events of the densely labelled videos.

    Attributes:
        taxonomy: Classes.
        videos: Videos in file order.
        events: Events of each densely labelled video. An empty tuple means that a video has no
            event; a video without an entry is not densely labelled.
        source: File of the data set.
        version: Version of the annotations.
        files: All files of the data set.
        segments: Number of segments of every video, if fixed.
        localisation: Whether every segment has one class or background.
    """

    taxonomy: Taxonomy
    videos: tuple[Video, ...]
    events: Mapping[str, tuple[Event, ...]] = field(default_factory=dict)
    source: Path = Path()
    version: str = ""
    files: tuple[Path, ...] = ()
    segments: int | None = None
    localisation: bool = False

    @property
    def ids(self) -> tuple[str, ...]:
        """Return the ids in file order."""
        return tuple(video.video for video in self.videos)

    def by_split(self) -> dict[str, "Annotations"]:
        """Return the videos of each split in file order; the name of no split is empty."""
        videos_of = defaultdict[str, list[Video]](list)
        for video in self.videos:
            videos_of[video.split].append(video)
        return {split: self._of(tuple(videos)) for split, videos in videos_of.items()}

    def select(self, split: str) -> "Annotations":
        """Return the videos of a split.

        Args:
            split: Name of the split; empty for all videos.

        Raises:
            UsageError: There is no such split.
        """
        if not split:
            return self
        videos = tuple(video for video in self.videos if video.split == split)
        if not videos:
            splits = {video.split for video in self.videos} - {""}
            raise UsageError(unknown("split", split, splits), file=self.source)
        return self._of(videos)

    def select_videos(self, ids: Sequence[str]) -> "Annotations":
        """Return the videos with these ids, in this order.

        Args:
            ids: Ids of the videos.
        """
        by_id = {video.video: video for video in self.videos}
        return self._of(tuple(by_id[video] for video in ids))

    def labelled_ids(self) -> list[str]:
        """List the ids of the densely labelled videos in file order."""
        return [video.video for video in self.videos if video.video in self.events]

    def weak_label(self) -> Bool[np.ndarray, "video class"]:
        """Return the tags as an array: classes that occur somewhere in each video."""
        return np.array([multi_hot(video.tags, self.taxonomy) for video in self.videos])

    def reference(self, segments: int) -> Bool[np.ndarray, "video time modality class"]:
        """Return the dense labels on a grid; segments beyond the end of a video are empty.

        Args:
            segments: Length of the grid.
        """
        grids = [
            to_grid(self.events.get(video.video, ()), self.taxonomy, segments)
            for video in self.videos
        ]
        return np.stack(grids)

    def labels(self, lengths: Lengths) -> Bool[np.ndarray, "segment modality class"]:
        """Return the dense labels of the segments of all videos, end to end.

        Args:
            lengths: Number of segments of each video.
        """
        grids = [
            to_grid(self.events.get(video.video, ()), self.taxonomy, segments)
            for video, segments in zip(
                self.videos, lengths.counts.tolist(), strict=True
            )
        ]
        return np.concatenate(grids)

    def dense_indices(self, split: str) -> list[int]:
        """List the indices of the densely labelled videos of a split.

        Args:
            split: Name of the split.
        """
        return [
            index
            for index, video in enumerate(self.videos)
            if video.split == split and video.video in self.events
        ]

    def _of(self, videos: tuple[Video, ...]) -> "Annotations":
        events = {
            video.video: self.events[video.video]
            for video in videos
            if video.video in self.events
        }
        return replace(self, videos=videos, events=events)


def merge_rows(sheet: AnnotationRows) -> Annotations:
    """Merge the rows of a data set into annotations; rows without an effect are left out.

    Args:
        sheet: Rows of a data set.
    """
    tags = defaultdict[str, list[str]](list)
    events = defaultdict[str, list[Event]](list)
    first_row = dict[str, Row]()
    for row in sheet.own():
        _check_size(sheet, row)
        first = first_row.setdefault(row.video, row)
        if row.is_dense or first.split in sheet.labelled:
            events[row.video] += _events(row)
        if row.is_tag:
            tags[row.video].append(row.class_name)

    videos = (
        _video(row, tags.get(video), events.get(video, []))
        for video, row in first_row.items()
    )

    return Annotations(
        sheet.taxonomy,
        tuple(videos),
        {video: merge(video_events) for video, video_events in events.items()},
        sheet.source,
        sheet.version,
        sheet.files,
        sheet.segments,
        sheet.localisation,
    )


def _check_size(sheet: AnnotationRows, row: Row) -> None:
    """Raise AnnotationError if the labels of a video that lasts to the event are too many.

    The number of segments comes from a file, so that a typing error must not fill the memory.
    """
    classes = len(sheet.taxonomy)
    if not row.marks or row.span[1] * classes * len(MODALITIES) <= MAX_LABELS:
        return
    raise AnnotationError(
        f"the event of {row.video!r} ends at {row.span[1]:g} s; with {classes:,} classes such "
        f"a video has more than {MAX_LABELS:,} labels",
        file=row.file if row.line else sheet.source,
        line=row.line or None,
        fix="correct the time, or use fewer classes",
    )


def _video(row: Row, tags: Sequence[str] | None, events: Sequence[Event]) -> Video:
    """Make a video; a densely labelled one without tags is tagged with its events."""
    names = tags if tags is not None else sorted({event.class_name for event in events})
    return Video(row.video, tuple(dict.fromkeys(names)), row.path, row.split, row.line)


def _events(row: Row) -> list[Event]:
    if not row.marks:
        return []
    return [
        Event(modality, row.class_name, *row.span, row.score)
        for modality in row.modalities
    ]

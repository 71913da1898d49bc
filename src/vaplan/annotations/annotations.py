"""What is known about the videos of a data set, whatever file it came from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jaxtyping import Bool

from vaplan.errors import AnnotationError, UsageError, unknown
from vaplan.taxonomy import Taxonomy, multi_hot
from vaplan.timeline import Event, to_grid


@dataclass(frozen=True)
class Video:
    """One video: what is said to occur in it, and where and in which split it is."""

    video: str
    tags: tuple[str, ...] = ()
    path: str = ""
    split: str = ""


@dataclass(frozen=True)
class Annotations:
    """Weak labels of every video, and the events of those that were densely labelled.

    `events` maps a video to its events: a video with an empty tuple was looked at and holds nothing, one that is
    not in the mapping was never densely labelled. `source` is the file the annotations came from.
    """

    taxonomy: Taxonomy
    videos: tuple[Video, ...]
    events: Mapping[str, tuple[Event, ...]] = field(default_factory=dict)
    source: Path = Path()
    warnings: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.videos:
            raise AnnotationError("there is no video in it", file=self.source, fix="add a row per video")

    @property
    def ids(self) -> tuple[str, ...]:
        """The ids in file order."""
        return tuple(video.video for video in self.videos)

    def select(self, split: str) -> "Annotations":
        """The videos of one split, or all of them for an empty name."""
        if not split:
            return self
        chosen = tuple(video for video in self.videos if video.split == split)
        if not chosen:
            splits = {video.split for video in self.videos} - {""}
            raise UsageError(unknown("split", split, splits), file=self.source)
        return self._of(chosen)

    def ordered(self, ids: Sequence[str]) -> "Annotations":
        """The videos with these ids, in the order given."""
        by_id = {video.video: video for video in self.videos}
        return self._of(tuple(by_id[video] for video in ids))

    def labelled_ids(self) -> list[str]:
        """The densely labelled videos, in file order."""
        return [video.video for video in self.videos if video.video in self.events]

    def weak_label(self) -> Bool[np.ndarray, "video class"]:
        """Which classes are known to occur somewhere in each video."""
        return np.array([multi_hot(video.tags, self.taxonomy) for video in self.videos])

    def reference(self, segments: int) -> Bool[np.ndarray, "video time modality class"]:
        """The dense labels of every video on a grid of so many segments; what lies beyond a video's end is empty."""
        grids = [to_grid(self.events.get(video.video, ()), self.taxonomy, segments) for video in self.videos]
        return np.stack(grids)

    def _of(self, videos: tuple[Video, ...]) -> "Annotations":
        kept = {video.video: self.events[video.video] for video in videos if video.video in self.events}
        return Annotations(self.taxonomy, videos, kept, self.source, self.warnings)

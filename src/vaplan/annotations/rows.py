"""Rows of annotation files, the common form that every reader returns before rows are merged."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from vaplan.modalities import MODALITIES
from vaplan.taxonomy import Taxonomy

BOTH = "both"  # stands for one row in each modality


@dataclass(frozen=True)
class Row:
    """One row of an annotation file, and the file and line that it was read from.

    With a modality and times it is an event. Without a modality it is a weak label; its times,
    if there are any, are those of the class in an unknown modality. A row without a class
    states that the video was labelled and has no event.
    """

    video: str
    modality: str = ""
    class_name: str = ""
    onset: float | None = None
    offset: float | None = None
    score: float | None = None
    path: str = ""
    split: str = ""
    line: int = 0
    file: Path = Path()

    @property
    def span(self) -> tuple[float, float]:
        """Return the onset and the offset of an event in seconds."""
        assert self.onset is not None
        assert self.offset is not None
        return self.onset, self.offset

    @property
    def marks(self) -> bool:
        """Return whether the row is an event of positive length; official files have others."""
        return bool(self.modality) and self.span[0] < self.span[1]

    @property
    def is_tag(self) -> bool:
        """Return whether the row is a weak label: a class without a modality."""
        return bool(self.class_name) and not self.modality

    @property
    def is_dense(self) -> bool:
        """Return whether the row is an event, or states that the video has no event."""
        return bool(self.modality) or not self.class_name

    @property
    def modalities(self) -> tuple[str, ...]:
        """Return the modalities of an event."""
        return MODALITIES if self.modality == BOTH else (self.modality,)


@dataclass(frozen=True)
class Issue:
    """An issue of a data set: its kind, description, file and line."""

    kind: str
    what: str
    video: str = ""
    file: Path = Path()
    line: int = 0


def itself(video: str) -> str:
    """Return the id, for data sets without recordings in their ids."""
    return video


@dataclass(frozen=True)
class AnnotationRows:
    """The rows of a data set.

    Attributes:
        source: File or folder of the data set.
        files: All files that were read.
        version: Version of the annotations.
        segments: Number of segments of every video, if the data set fixes it.
        listed: Videos of the data set, if rows may name others; None if all rows belong to it.
        labelled: Splits in which every video is densely labelled, even one without a row.
        localisation: Whether a segment has one class or background (audio-visual event
            localisation).
        recording: Function of a video id that returns the recording it was cut from, to find
            recordings that two splits share.
        issues: Issues that the reader found.
        columns: Meaning of each column of a table, by its name; empty for an unused column.
    """

    source: Path
    taxonomy: Taxonomy
    rows: Sequence[Row]
    version: str
    files: tuple[Path, ...]
    segments: int | None = None
    listed: frozenset[str] | None = None
    labelled: frozenset[str] = frozenset()
    localisation: bool = False
    recording: Callable[[str], str] = itself
    issues: tuple[Issue, ...] = ()
    columns: Mapping[str, str] = field(default_factory=dict)

    def own(self) -> list[Row]:
        """Return the rows of videos that belong to the data set."""
        return [
            row for row in self.rows if self.listed is None or row.video in self.listed
        ]

"""What the files of a data set say, row by row, before anything is merged: the common form that
every reader makes."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from vaplan.modalities import MODALITIES
from vaplan.taxonomy import Taxonomy

BOTH = "both"  # stands for one row in each modality


@dataclass(frozen=True)
class Row:
    """One row; `file` and `line` are where it was read.

    With a modality and times it is an event. Without a modality it is a weak label, even with
    times, which then say when the class occurs but not whether it is heard or seen. Without a
    class it says that the video was looked at.
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
        """Onset and offset in seconds, of an event."""
        assert self.onset is not None
        assert self.offset is not None
        return self.onset, self.offset

    @property
    def marks(self) -> bool:
        """Whether the row is an event of positive length; official files contain others."""
        return bool(self.modality) and self.span[0] < self.span[1]

    @property
    def modalities(self) -> tuple[str, ...]:
        """The modalities an event is in."""
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
    """Return the id as the recording, for ids that do not name it."""
    return video


@dataclass(frozen=True)
class AnnotationRows:
    """The rows of a data set.

    Attributes:
        source: The file or folder it was read from; `files` are all files that count.
        version: Which annotations these are.
        segments: How many segments every video has, where the data set fixes that.
        listed: The videos that belong to the data set, where rows may name others; None if all do.
        labelled: The splits whose every video was densely labelled, even those without a row.
        localisation: Whether a segment holds one class or background (audio-visual event
            localisation).
        recording: Which recording a video was cut from, to tell whether two splits share one.
        issues: What the reader itself noticed.
        columns: What the columns of a table mean, by their names; "" for one that is not used.
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
        """The rows of videos that belong to the data set."""
        return [
            row for row in self.rows if self.listed is None or row.video in self.listed
        ]

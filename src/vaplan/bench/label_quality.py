"""Quality of pseudo labels against dense labels, and the changes that denoising made."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jaxtyping import Float
from numpy import ndarray

from vaplan.annotations import Annotations, read_table
from vaplan.bench.execute import read_dense_labels
from vaplan.bench.jobs import Workspace
from vaplan.evaluation import align, segment_counts
from vaplan.metrics.llp import class_f, label_f

TRAIN = "train"


@dataclass(frozen=True)
class Flips:
    """Numbers of labels that denoising or refinement changed.

    Attributes:
        set: Labels changed from 0 to 1.
        removed: Labels changed from 1 to 0.
        right: Changes that agree with the dense labels.
    """

    set: int
    removed: int
    right: int

    @property
    def percent_right(self) -> float:
        """Return the share of right changes in percent; NaN without any change."""
        changes = self.set + self.removed
        return 100 * self.right / changes if changes else float("nan")


@dataclass(frozen=True)
class LabelQuality:
    """Scores of a table of pseudo labels on splits with dense labels.

    Attributes:
        table: Table of pseudo labels.
        f: F in percent by split, modality and level.
        flips: Changes by split, for denoised and refined labels.
    """

    table: Path
    f: dict[str, dict[str, dict[str, float]]]
    flips: dict[str, Flips]

    def document(self) -> dict[str, Any]:
        """Return the scores as JSON values."""
        flips = {
            split: {"set": counts.set, "removed": counts.removed, "right": counts.right}
            for split, counts in self.flips.items()
        }
        return {"table": str(self.table), "f": self.f, "flips": flips}


def measure_quality(
    workspace: Workspace, table: Path, *, original: Path | None = None
) -> LabelQuality:
    """Score pseudo labels on the split of the bench and, if possible, the training videos.

    Args:
        workspace: Data, store and folder of the bench.
        table: Table of pseudo labels.
        original: Table of the labels before denoising or refinement.
    """
    data = workspace.annotations
    references = {workspace.split: data.select(workspace.split)}
    if workspace.truth:
        references[TRAIN] = read_dense_labels(workspace, TRAIN)
    labels = read_table(table, taxonomy=data.taxonomy)
    old_labels = read_table(original, taxonomy=data.taxonomy) if original else None
    f = dict[str, dict[str, dict[str, float]]]()
    changes = dict[str, Flips]()
    for split, reference in references.items():
        videos = [id_ for id_ in reference.labelled_ids() if id_ in labels.events]
        if not videos:
            continue
        f[split] = label_f(*align(reference, labels, videos))
        if old_labels:
            changes[split] = count_flips(reference, old_labels, labels, videos)
    return LabelQuality(table, f, changes)


def count_flips(
    data: Annotations, before: Annotations, after: Annotations, videos: Sequence[str]
) -> Flips:
    """Count the changed labels and those that agree with the dense labels.

    Args:
        data: Data set with dense labels.
        before: Labels before the change.
        after: Labels after the change.
        videos: Ids of the videos.
    """
    lengths = segment_counts(videos, data, before, after)
    reference, old, new = (
        table.select_videos(videos).labels(lengths) for table in (data, before, after)
    )
    changed = new ^ old
    return Flips(
        int((changed & new).sum()),
        int((changed & old).sum()),
        int((changed & (new == reference)).sum()),
    )


def f_by_class(
    data: Annotations, table: Path, videos: Sequence[str]
) -> Float[ndarray, "level modality class"]:
    """Compute the F of each class in percent; NaN for a class without any label.

    Args:
        data: Data set with dense labels.
        table: Table of labels.
        videos: Ids of the videos.
    """
    labels = read_table(table, taxonomy=data.taxonomy)
    return class_f(*align(data, labels, list(videos)))

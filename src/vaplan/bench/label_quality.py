"""How good pseudo labels are against dense ones, and what PLD changed in them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vaplan.annotations import Annotations, read_table
from vaplan.bench.execute import truth
from vaplan.bench.jobs import Desk
from vaplan.evaluation import align
from vaplan.metrics.llp import class_f, label_f

TRAIN = "train"


@dataclass(frozen=True)
class Flips:
    """Number of labels that PLD set and removed, and number of right changes."""

    set: int
    removed: int
    right: int

    @property
    def share_right(self) -> float:
        """In percent; NaN without flips."""
        return (
            100 * self.right / (self.set + self.removed)
            if self.set + self.removed
            else float("nan")
        )


@dataclass(frozen=True)
class Quality:
    """A table of pseudo labels against dense labels, by the name of the videos it was compared
    on."""

    table: Path
    f: dict[str, dict[str, dict[str, float]]]
    flips: dict[str, Flips]

    def document(self) -> dict[str, Any]:
        flips = {
            name: {"set": counts.set, "removed": counts.removed, "right": counts.right}
            for name, counts in self.flips.items()
        }
        return {"table": str(self.table), "f": self.f, "flips": flips}


def quality(desk: Desk, table: Path, *, before: Path | None = None) -> Quality:
    """Compare labels with the dense labels of the split and, if given, of the training videos.

    Args:
        desk: Data, store and folders of the bench.
        table: Table of labels.
        before: Labels before the change.
    """
    data = desk.annotations
    references = {desk.split: data.select(desk.split)}
    if desk.truth:
        references[TRAIN] = truth(desk, TRAIN)
    labels = read_table(table, taxonomy=data.taxonomy)
    old = read_table(before, taxonomy=data.taxonomy) if before else None
    f, changed = {}, {}
    for name, reference in references.items():
        if videos := [
            video for video in reference.labelled_ids() if video in labels.events
        ]:
            f[name] = label_f(*align(reference, labels, videos))
            if old:
                changed[name] = flips(reference, old, labels, videos)
    return Quality(table, f, changed)


def flips(
    data: Annotations, before: Annotations, after: Annotations, videos: list[str]
) -> Flips:
    """Compare labels before and after PLD with the dense labels of these videos.

    Args:
        data: Data set with dense labels.
        before: Labels before the change.
        after: Labels after the change.
        videos: Ids of the videos.
    """
    truth, old = align(data, before, videos)
    new = after.select_videos(videos).reference(truth.shape[1])
    changed = new ^ old
    return Flips(
        int((changed & new).sum()),
        int((changed & old).sum()),
        int((changed & (new == truth)).sum()),
    )


def f_by_class(data: Annotations, table: Path, videos: Sequence[str]) -> Any:
    """Compute the F of each class in percent by level and modality; NaN without any label.

    Args:
        data: Data set with dense labels.
        table: Table of labels.
        videos: Ids of the videos.
    """
    return class_f(
        *align(data, read_table(table, taxonomy=data.taxonomy), list(videos))
    )

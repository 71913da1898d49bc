"""Tables to numbers: put a reference and an estimate on one grid and score it."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool

from vaplan.annotations import Annotations
from vaplan.errors import AnnotationError, UsageError, unknown
from vaplan.metrics.llp import LLPScores, llp_scores
from vaplan.timeline import Event


@dataclass(frozen=True)
class Evaluation:
    """The scores, and how much of the data set they rest on.

    `missing` are labelled videos that the estimate says nothing about, `ignored` videos of the estimate that are not
    densely labelled in this split.
    """

    scores: LLPScores
    missing: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()


def evaluate(reference: Annotations, estimate: Annotations, *, split: str = "") -> Evaluation:
    """Score an estimate against the densely labelled videos of a split, in whole one-second segments."""
    strangers = sorted(set(estimate.ids) - set(reference.ids))
    if strangers:
        raise UsageError(
            f"{len(strangers)} of {len(estimate.ids)} videos are not in the data set, the first is {strangers[0]!r}",
            file=estimate.source,
            fix="evaluate the table against the data set it was made from",
        )
    for name in estimate.taxonomy.classes:
        if name not in reference.taxonomy.classes:
            raise AnnotationError(unknown("class", name, reference.taxonomy.classes), file=estimate.source)
    labelled = reference.select(split).labelled_ids()
    both = [video for video in labelled if video in estimate.events]
    if not both:
        raise UsageError(f"nothing to compare in split {split!r}", file=estimate.source, fix="choose another split")
    grids = align(reference, estimate, both)
    missing = tuple(video for video in labelled if video not in estimate.events)
    return Evaluation(llp_scores(*grids), missing, tuple(sorted(set(estimate.ids) - set(labelled))))


def align(
    reference: Annotations, estimate: Annotations, videos: list[str]
) -> tuple[Bool[np.ndarray, "video time modality class"], Bool[np.ndarray, "video time modality class"]]:
    """Both on one grid, as long as the last event of either; segments beyond it are empty in both and score nothing."""
    length = max(1, *(last_segment(table.events[video]) for table in (reference, estimate) for video in videos))
    painted = replace(estimate, taxonomy=reference.taxonomy)
    return reference.ordered(videos).reference(length), painted.ordered(videos).reference(length)


def last_segment(events: Iterable[Event]) -> int:
    """How many segments hold these events."""
    return max((math.ceil(event.offset) for event in events), default=1)

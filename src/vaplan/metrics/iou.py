"""Event F where the overlap that makes a match is a setting, and its mean over several ("mIoU
sweep").

At 0.5 these are the event numbers of `metrics.llp`. Below one half an event can meet several of
the other side; then hits are counted among the estimated events and misses among those of the
reference, as the published LLP code would, or events are paired one to one.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import Bool, Float

from vaplan.arrays import AUDIO, VISUAL
from vaplan.metrics.counts import Counts
from vaplan.metrics.llp import KINDS, VIDEOS_AT_ONCE, video_scores
from vaplan.metrics.overlaps import Overlaps, find_overlaps, match_one_to_one

THRESHOLDS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)


def iou_f(
    reference: Bool[np.ndarray, "video time modality class"],
    estimate: Bool[np.ndarray, "video time modality class"],
    *,
    thresholds: Sequence[float] = THRESHOLDS,
    one_to_one: bool = False,
    mask: Bool[np.ndarray, "video time"] | None = None,
) -> dict[str, dict[str, float]]:
    """Event F in percent at every threshold and their mean: `{"0.1": {"audio", …, "event"}, …,
    "mean": {…}}`.

    Args:
        one_to_one: Let every event match one other at most.
    """
    scores = iou_scores(
        reference, estimate, thresholds=thresholds, one_to_one=one_to_one, mask=mask
    )
    if not len(scores):
        raise ValueError("no videos to average over")
    numbers = 100 * scores.mean(axis=0)
    rows = {
        f"{threshold:g}": row
        for threshold, row in zip(thresholds, numbers, strict=True)
    }
    rows["mean"] = numbers.mean(axis=0)
    return {
        name: dict(zip(KINDS, map(float, row), strict=True))
        for name, row in rows.items()
    }


def iou_scores(
    reference: Bool[np.ndarray, "video time modality class"],
    estimate: Bool[np.ndarray, "video time modality class"],
    *,
    thresholds: Sequence[float] = THRESHOLDS,
    one_to_one: bool = False,
    mask: Bool[np.ndarray, "video time"] | None = None,
) -> Float[np.ndarray, "video threshold kind"]:
    """Every video's event F at every threshold, in [0, 1], for each of `KINDS`.

    Args:
        reference: Dense labels of the videos.
        estimate: Estimated labels of the same videos.
        thresholds: Least intersection over union of a match.
        one_to_one: Match each event at most once.
        mask: Segments that exist; other segments do not count.
    """
    if any(not 0 < threshold <= 1 for threshold in thresholds):
        raise ValueError(f"thresholds lie in (0, 1], not {list(thresholds)}")
    scores = np.empty((len(reference), len(thresholds), len(KINDS)))
    for start in range(0, len(reference), VIDEOS_AT_ONCE):
        part = slice(start, start + VIDEOS_AT_ONCE)
        exists = None if mask is None else mask[part]
        rows = [_rows(grid[part], exists) for grid in (reference, estimate)]
        for t, counts in enumerate(
            _counts(*rows, thresholds=thresholds, one_to_one=one_to_one)
        ):
            scores[part, t] = video_scores(counts)
    return scores


def _rows(
    grid: Bool[np.ndarray, "video time modality class"],
    mask: Bool[np.ndarray, "video time"] | None,
) -> Bool[np.ndarray, "video kind class time"]:
    """The time rows of each class in audio, visual and audio-visual."""
    existing = grid if mask is None else grid & mask[:, :, None, None]
    rows = existing.transpose(0, 2, 3, 1)
    return np.concatenate((rows, rows[:, [AUDIO]] & rows[:, [VISUAL]]), axis=1)


def _counts(
    reference: Bool[np.ndarray, "video kind class time"],
    estimate: Bool[np.ndarray, "video kind class time"],
    *,
    thresholds: Sequence[float],
    one_to_one: bool,
) -> Iterator[Counts]:
    """Per threshold the counts of each `video kind class`."""
    *shape, time = reference.shape
    rows = int(np.prod(shape))
    overlaps = find_overlaps(
        reference.reshape(rows, time), estimate.reshape(rows, time)
    )
    for threshold in thresholds:
        counts = match_events(
            overlaps, rows=rows, min_iou=threshold, one_to_one=one_to_one
        )
        yield Counts(
            *(
                c.reshape(shape)
                for c in (counts.matched, counts.reference, counts.estimate)
            )
        )


def match_events(
    overlaps: Overlaps, *, rows: int, min_iou: float, one_to_one: bool = False
) -> Counts:
    """Count the runs of each row that match one of the other side.

    Without `one_to_one`, `matched` are estimated runs, and `reference` these and the missed ones,
    so that F has TP and FP from the estimate and FN from the reference.

    Args:
        overlaps: Pairs of events that share a segment.
        rows: Number of rows.
        min_iou: Least intersection over union of a match.
        one_to_one: Match each event at most once.
    """
    close = (
        match_one_to_one(overlaps, min_iou=min_iou)
        if one_to_one
        else overlaps.iou >= min_iou
    )
    matched_estimates, hit = (np.unique(side) for side in overlaps.pairs[close].T)
    run_row, other_row = overlaps.reference.row, overlaps.estimate.row
    in_rows = (
        np.bincount(row, minlength=rows)
        for row in (run_row, run_row[matched_estimates], other_row[hit], other_row)
    )
    held, matched, hits, said = in_rows
    return Counts(hits, hits + held - matched, said)

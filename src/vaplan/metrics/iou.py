"""Event F with any limit of the overlap of a match, and its mean over several limits.

At 0.5 these are the event numbers of `metrics.llp`. Below 0.5 an event can match
several events of the other side. Then hits are counted among the estimated events and
misses among the reference events, as in the published LLP code, or events are matched
one to one.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import Bool, Float, Int

from vaplan.metrics.counts import Counts
from vaplan.metrics.llp import KINDS, VIDEOS_AT_ONCE, video_scores
from vaplan.metrics.overlaps import Overlaps, find_overlaps, match_one_to_one
from vaplan.modalities import AUDIO, VISUAL

THRESHOLDS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)


def iou_f(
    reference: Bool[np.ndarray, "video time modality class"],
    estimate: Bool[np.ndarray, "video time modality class"],
    *,
    thresholds: Sequence[float] = THRESHOLDS,
    one_to_one: bool = False,
    mask: Bool[np.ndarray, "video time"] | None = None,
) -> dict[str, dict[str, float]]:
    """Compute event F in percent at each threshold, and the mean over the thresholds.

    Args:
        reference: Dense labels of the videos.
        estimate: Estimated labels of the same videos.
        thresholds: Least intersection over union of a match.
        one_to_one: Match each event at most once.
        mask: Segments that exist; other segments do not count.

    Returns:
        `{"0.1": {"audio", …, "event"}, …, "mean": {…}}`.
    """
    scores = iou_scores(
        reference, estimate, thresholds=thresholds, one_to_one=one_to_one, mask=mask
    )
    if not len(scores):
        raise ValueError("no videos to average over")

    numbers = 100 * scores.mean(axis=0)
    names = [f"{threshold:g}" for threshold in thresholds]
    rows = dict(zip(names, numbers, strict=True))
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
    """Compute event F of each video at each threshold, in [0, 1], for each of `KINDS`.

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
        counts_at_thresholds = _counts(
            _rows(reference[part], exists),
            _rows(estimate[part], exists),
            thresholds=thresholds,
            one_to_one=one_to_one,
        )

        for t, counts in enumerate(counts_at_thresholds):
            scores[part, t] = video_scores(counts)
    return scores


def _rows(
    grid: Bool[np.ndarray, "video time modality class"],
    mask: Bool[np.ndarray, "video time"] | None,
) -> Bool[np.ndarray, "video kind class time"]:
    """Return the rows of each class in audio, visual and audio-visual."""
    if mask is not None:
        grid = grid & mask[:, :, None, None]
    rows = grid.transpose(0, 2, 3, 1)
    audio = rows[:, [AUDIO]]
    visual = rows[:, [VISUAL]]
    return np.concatenate((rows, audio & visual), axis=1)


def _counts(
    reference: Bool[np.ndarray, "video kind class time"],
    estimate: Bool[np.ndarray, "video kind class time"],
    *,
    thresholds: Sequence[float],
    one_to_one: bool,
) -> Iterator[Counts]:
    """Yield the counts `video kind class` at each threshold."""
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
            matched=counts.matched.reshape(shape),
            reference=counts.reference.reshape(shape),
            estimate=counts.estimate.reshape(shape),
        )


def match_events(
    overlaps: Overlaps, *, rows: int, min_iou: float, one_to_one: bool = False
) -> Counts:
    """Count the runs of each row that match a run of the other side.

    Without `one_to_one`, `matched` are estimated runs, and `reference` is their number
    plus the number of missed reference runs. F then has TP and FP of the estimate and
    FN of the reference.

    Args:
        overlaps: Pairs of events that share a segment.
        rows: Number of rows.
        min_iou: Least intersection over union of a match.
        one_to_one: Match each event at most once.
    """
    if one_to_one:
        is_match = match_one_to_one(overlaps, min_iou=min_iou)
    else:
        is_match = overlaps.iou >= min_iou
    reference_index, estimate_index = overlaps.pairs[is_match].T
    reference_row = overlaps.reference.row
    estimate_row = overlaps.estimate.row
    detections = _count_rows(reference_row[np.unique(reference_index)], rows)
    hits = _count_rows(estimate_row[np.unique(estimate_index)], rows)
    misses = _count_rows(reference_row, rows) - detections
    return Counts(
        matched=hits,
        reference=hits + misses,
        estimate=_count_rows(estimate_row, rows),
    )


def _count_rows(row: Int[np.ndarray, " run"], rows: int) -> Int[np.ndarray, " row"]:
    """Count the runs in each row."""
    return np.bincount(row, minlength=rows)

"""Count what was found, on the rows of a grid: cells, and maximal runs of cells (events)."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int


@dataclass(frozen=True)
class Counts:
    """Per row: what the reference holds, what the estimate holds, and how many of these match."""

    matched: Int[np.ndarray, "*row"]
    reference: Int[np.ndarray, "*row"]
    estimate: Int[np.ndarray, "*row"]


def f_score(counts: Counts) -> Float[np.ndarray, "*row"]:
    """F = 2 TP / (2 TP + FP + FN); NaN where neither side holds anything.

    >>> f_score(Counts(np.array([1, 0]), np.array([1, 0]), np.array([2, 0])))
    array([0.66666667,        nan])
    """
    held = counts.reference + counts.estimate
    f = np.full(held.shape, np.nan)
    np.divide(2 * counts.matched, held, out=f, where=held > 0)
    return f


def count_cells(reference: Bool[np.ndarray, "row time"], estimate: Bool[np.ndarray, "row time"]) -> Counts:
    """Count marked segments.

    >>> count_cells(np.array([[True, True, False]]), np.array([[False, True, True]]))
    Counts(matched=array([1]), reference=array([2]), estimate=array([2]))
    """
    return Counts(*(rows.sum(axis=1, dtype=np.int64) for rows in (reference & estimate, reference, estimate)))


def count_events(reference: Bool[np.ndarray, "row time"], estimate: Bool[np.ndarray, "row time"]) -> Counts:
    """Count maximal runs; two match if their intersection is at least half of their union.

    No exclusive assignment is made and none is needed: at one half, and with maximal runs, a run matches one other
    at most.

    >>> count_events(np.array([[True, True, True, True]]), np.array([[True, True, False, True]]))
    Counts(matched=array([1]), reference=array([1]), estimate=array([2]))
    """
    runs, others = _Runs.of(reference), _Runs.of(estimate)
    shared = np.flatnonzero(runs.marked & others.marked)
    pairs = runs.index[shared], others.index[shared]
    first = np.flatnonzero(np.diff(pairs[0], prepend=-1) | np.diff(pairs[1], prepend=-1))
    intersection = np.diff(np.append(first, len(shared)))
    run, other = pairs[0][first], pairs[1][first]
    matched = run[3 * intersection >= runs.length[run] + others.length[other]]  # intersection / union >= 1 / 2
    rows = len(reference)
    counted = (np.bincount(owner, minlength=rows) for owner in (runs.row[matched], runs.row, others.row))
    return Counts(*counted)


@dataclass(frozen=True)
class _Runs:
    """The maximal runs of all rows, read as one line with a gap after each row."""

    marked: Bool[np.ndarray, " cell"]
    index: Int[np.ndarray, " cell"]  # which run a marked cell belongs to; meaningless elsewhere
    length: Int[np.ndarray, " run"]
    row: Int[np.ndarray, " run"]

    @classmethod
    def of(cls, rows: Bool[np.ndarray, "row time"]) -> "_Runs":
        marked = np.pad(rows, ((0, 0), (0, 1))).ravel()
        starts = marked & ~np.concatenate(([False], marked[:-1]))
        index = np.cumsum(starts) - 1
        length = np.bincount(index[marked], minlength=int(starts.sum()))
        return cls(marked, index, length, np.flatnonzero(starts) // (rows.shape[1] + 1))

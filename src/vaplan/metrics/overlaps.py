"""Which runs of marked segments overlap, and how much: all pairs of a reference run and an
estimated run."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int


@dataclass(frozen=True)
class Runs:
    """The maximal runs of all rows, in order of row and time."""

    row: Int[np.ndarray, " run"]
    length: Int[np.ndarray, " run"]

    def __len__(self) -> int:
        return len(self.row)


@dataclass(frozen=True)
class Overlaps:
    """The pairs of runs of one row that share a segment, ordered by row and time, and their IoU.

    `pairs` are indices of `reference` and `estimate`.
    """

    reference: Runs
    estimate: Runs
    pairs: Int[np.ndarray, "pair two"]
    iou: Float[np.ndarray, " pair"]

    @property
    def row(self) -> Int[np.ndarray, " pair"]:
        """The row a pair lies in."""
        return np.take(self.reference.row, self.pairs[:, 0])


def find_overlaps(
    reference: Bool[np.ndarray, "row time"], estimate: Bool[np.ndarray, "row time"]
) -> Overlaps:
    """List the pairs of maximal runs that share a segment.

    Args:
        reference: Dense labels of the videos.
        estimate: Estimated labels of the same videos.

    >>> found = find_overlaps(np.array([[True, True, True, True]]), np.array([[True, True, False, True]]))
    >>> found.pairs.tolist(), found.iou.tolist()
    ([[0, 0], [0, 1]], [0.5, 0.25])
    """
    (runs, run_at), (others, other_at) = _runs(reference), _runs(estimate)
    shared = np.flatnonzero(reference & estimate)
    cells = np.stack((run_at[shared], other_at[shared]), axis=1)
    first = np.flatnonzero((np.diff(cells, axis=0, prepend=-1) != 0).any(axis=1))
    pairs, intersection = cells[first], np.diff(np.append(first, len(shared)))
    union = runs.length[pairs[:, 0]] + others.length[pairs[:, 1]] - intersection
    return Overlaps(runs, others, pairs, intersection / union)


def match_one_to_one(
    overlaps: Overlaps, *, min_iou: float
) -> Bool[np.ndarray, " pair"]:
    """Find a largest set of disjoint pairs with an IoU of at least `min_iou`.

    Runs of one row are disjoint on each side, so pairs never cross: where an earlier reference
    run overlaps a later estimated run, no later reference run reaches an earlier estimated run.
    Two pairs that share a run with the leftmost pair, one its reference run and the other its
    estimated run, would cross; so a matching holds at most one of them, and holds as many pairs
    if the leftmost takes that one's place. Taking pairs from left to right, wherever both runs
    are free, therefore gives a maximum matching.

    Args:
        overlaps: Pairs of events that share a segment.
        min_iou: Least intersection over union of a match.
    """
    close = np.flatnonzero(overlaps.iou >= min_iou)
    row, pairs = overlaps.row[close], overlaps.pairs[close]
    begins = np.flatnonzero(np.diff(row, prepend=-1))
    rank = np.arange(len(row)) - np.repeat(begins, np.diff(np.append(begins, len(row))))
    is_matched = np.zeros(len(overlaps.iou), dtype=bool)
    last = np.full((int(row.max(initial=-1)) + 1, 2), -1)
    for turn in range(
        int(rank.max(initial=-1)) + 1
    ):  # the n-th pair of every row at once
        at = np.flatnonzero(rank == turn)
        at = at[(pairs[at] != last[row[at]]).all(axis=1)]
        last[row[at]] = pairs[at]
        is_matched[close[at]] = True
    return is_matched


def _runs(rows: Bool[np.ndarray, "row time"]) -> tuple[Runs, Int[np.ndarray, " cell"]]:
    """The runs, and for each cell the run it belongs to, which is meaningless in unmarked cells."""
    offset = np.zeros_like(rows)
    offset[:, 1:] = rows[:, :-1]
    begins = (rows & ~offset).ravel()
    run_at = np.cumsum(begins) - 1
    begin = np.flatnonzero(begins)
    length = np.bincount(run_at[rows.ravel()], minlength=len(begin))
    return Runs(begin // max(rows.shape[1], 1), length), run_at

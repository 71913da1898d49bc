"""Overlapping pairs of a reference run and an estimated run, with their IoU.

A run is a maximal sequence of marked segments in a row.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int


@dataclass(frozen=True)
class Runs:
    """Row and length of the maximal runs, in order of row and time."""

    row: Int[np.ndarray, " run"]
    length: Int[np.ndarray, " run"]

    def __len__(self) -> int:
        return len(self.row)


@dataclass(frozen=True)
class Overlaps:
    """Pairs of runs of one row that share a segment, in order of row and time.

    Attributes:
        reference: Runs of the reference.
        estimate: Runs of the estimate.
        pairs: Index of the reference run and of the estimated run.
        iou: Intersection over union of each pair.
    """

    reference: Runs
    estimate: Runs
    pairs: Int[np.ndarray, "pair two"]
    iou: Float[np.ndarray, " pair"]

    @property
    def row(self) -> Int[np.ndarray, " pair"]:
        """The row of each pair."""
        reference_index = self.pairs[:, 0]
        return np.take(self.reference.row, reference_index)


def find_overlaps(
    reference: Bool[np.ndarray, "row time"], estimate: Bool[np.ndarray, "row time"]
) -> Overlaps:
    """List the pairs of maximal runs that share a segment.

    Args:
        reference: Dense labels of the videos.
        estimate: Estimated labels of the same videos.

    >>> reference = np.array([[True, True, True, True]])
    >>> estimate = np.array([[True, True, False, True]])
    >>> overlaps = find_overlaps(reference, estimate)
    >>> overlaps.pairs.tolist(), overlaps.iou.tolist()
    ([[0, 0], [0, 1]], [0.5, 0.25])
    """
    reference_runs, reference_index = _find_runs(reference)
    estimate_runs, estimate_index = _find_runs(estimate)

    shared_cells = np.flatnonzero(reference & estimate)
    pair_of_cell = np.stack(
        (reference_index[shared_cells], estimate_index[shared_cells]), axis=1
    )

    # consecutive shared cells of the same two runs are one pair
    pair_changes = np.diff(pair_of_cell, axis=0, prepend=-1) != 0
    first_cell = np.flatnonzero(pair_changes.any(axis=1))
    pairs = pair_of_cell[first_cell]
    intersection = np.diff(np.append(first_cell, len(shared_cells)))

    reference_length = reference_runs.length[pairs[:, 0]]
    estimate_length = estimate_runs.length[pairs[:, 1]]
    union = reference_length + estimate_length - intersection
    return Overlaps(reference_runs, estimate_runs, pairs, intersection / union)


def match_one_to_one(
    overlaps: Overlaps, *, min_iou: float
) -> Bool[np.ndarray, " pair"]:
    """Find a largest set of disjoint pairs with an IoU of at least `min_iou`.

    Pairs are taken from left to right wherever both runs are free. This gives a maximum
    matching: runs of one row are disjoint on each side, so pairs never cross. If an
    earlier reference run overlaps a later estimated run, no later reference run reaches
    an earlier estimated run. Two pairs that share a run with the leftmost pair, one its
    reference run and the other its estimated run, would cross. A matching therefore
    contains at most one of them, and is as large if the leftmost pair replaces it.

    Args:
        overlaps: Pairs of events that share a segment.
        min_iou: Least intersection over union of a match.

    Returns:
        The pairs of the matching.
    """
    candidates = np.flatnonzero(overlaps.iou >= min_iou)
    row = overlaps.row[candidates]
    pairs = overlaps.pairs[candidates]
    rank = _rank_in_row(row)
    rows = int(row.max(initial=-1)) + 1
    turns = int(rank.max(initial=-1)) + 1
    last_pair = np.full((rows, 2), -1)
    is_matched = np.zeros(len(overlaps.iou), dtype=bool)
    for turn in range(turns):  # the n-th pair of every row at once
        current = np.flatnonzero(rank == turn)
        is_free = (pairs[current] != last_pair[row[current]]).all(axis=1)
        matches = current[is_free]
        last_pair[row[matches]] = pairs[matches]
        is_matched[candidates[matches]] = True
    return is_matched


def _rank_in_row(row: Int[np.ndarray, " pair"]) -> Int[np.ndarray, " pair"]:
    """Number the pairs of each row from 0; pairs are in order of row."""
    first_of_row = np.flatnonzero(np.diff(row, prepend=-1))
    pairs_in_row = np.diff(np.append(first_of_row, len(row)))
    rank: Int[np.ndarray, " pair"] = np.arange(len(row)) - np.repeat(
        first_of_row, pairs_in_row
    )
    return rank


def _find_runs(
    rows: Bool[np.ndarray, "row time"],
) -> tuple[Runs, Int[np.ndarray, " cell"]]:
    """Return the runs, and the index of the run of each marked cell.

    The index of an unmarked cell has no meaning.
    """
    previous = np.zeros_like(rows)
    previous[:, 1:] = rows[:, :-1]
    is_onset = (rows & ~previous).ravel()
    run_of_cell = np.cumsum(is_onset) - 1
    onset = np.flatnonzero(is_onset)
    length = np.bincount(run_of_cell[rows.ravel()], minlength=len(onset))
    segments = max(rows.shape[1], 1)
    return Runs(onset // segments, length), run_of_cell

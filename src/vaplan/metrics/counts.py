"""Count what was found, row by row of a grid: cells, and maximal runs of cells (events).

A row is packed into bits, so that a whole row is compared by one instruction.
"""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int, UInt

from vaplan.metrics.overlaps import find_overlaps

WORDS = (np.uint8, np.uint16, np.uint32, np.uint64)
LONGEST = 64  # bits of the widest word


@dataclass(frozen=True)
class Counts:
    """Counts of reference events, estimated events and matches, per row."""

    matched: Int[np.ndarray, "*row"]
    reference: Int[np.ndarray, "*row"]
    estimate: Int[np.ndarray, "*row"]


def f_score(counts: Counts) -> Float[np.ndarray, "*row"]:
    """Compute F = 2 TP / (2 TP + FP + FN); NaN without reference and estimate.

    >>> f_score(Counts(np.array([1, 0]), np.array([1, 0]), np.array([2, 0])))
    array([0.66666667,        nan])
    """
    total = counts.reference + counts.estimate
    f = np.full(total.shape, np.nan)
    np.divide(2 * counts.matched, total, out=f, where=total > 0)
    return f


def pack(
    marked: Bool[np.ndarray, "..."], *, axis: int = -1
) -> UInt[np.ndarray, "... word"]:
    """Write the rows along an axis as bits, the first cell lowest, in one word or as many 64-bit
    words as it takes.

    Args:
        marked: Marked cells.
        axis: Axis that becomes the bits of the words.

    >>> pack(np.array([[True, True, False, True]]))
    array([[11]], dtype=uint8)
    """
    cells = np.moveaxis(marked, axis, 0)
    starts = range(0, max(len(cells), 1), LONGEST)
    kind = next(
        (word for word in WORDS if len(cells) <= 8 * word().itemsize), np.uint64
    )
    words = np.zeros((*cells.shape[1:], len(starts)), dtype=kind)
    for w, start in enumerate(starts):
        for bit, cell in enumerate(cells[start : start + LONGEST]):
            words[..., w] |= cell.astype(kind) << kind(bit)
    return words


def unpack(words: UInt[np.ndarray, "*row word"]) -> Bool[np.ndarray, "*row time"]:
    """Undo `pack`; the last word is filled up with unmarked cells."""
    little = words.astype(words.dtype.newbyteorder("<"), copy=False)
    return np.unpackbits(
        np.ascontiguousarray(little).view(np.uint8), axis=-1, bitorder="little"
    ).view(bool)


def count_cells(
    reference: UInt[np.ndarray, "*row word"], estimate: UInt[np.ndarray, "*row word"]
) -> Counts:
    """Count marked segments.

    Args:
        reference: Dense labels of the videos.
        estimate: Estimated labels of the same videos.

    >>> count_cells(pack(np.array([[True, True, False]])), pack(np.array([[False, True, True]])))
    Counts(matched=array([1]), reference=array([2]), estimate=array([2]))
    """
    return Counts(
        *(_marked(words) for words in (reference & estimate, reference, estimate))
    )


def count_events(
    reference: UInt[np.ndarray, "*row word"], estimate: UInt[np.ndarray, "*row word"]
) -> Counts:
    """Count maximal runs; two match if their intersection is at least half of their union.

    No exclusive assignment is made and none is needed: at one half, and with maximal runs, a run
    matches one other at most.

    Args:
        reference: Dense labels of the videos.
        estimate: Estimated labels of the same videos.

    >>> count_events(pack(np.array([[True, True, True, True]])), pack(np.array([[True, True, False, True]])))
    Counts(matched=array([1]), reference=array([1]), estimate=array([2]))
    """
    matched = _matched_in_words if reference.shape[-1] == 1 else _matched_in_rows
    return Counts(
        matched(reference, estimate),
        *(_marked(_first_cells(words)) for words in (reference, estimate)),
    )


def _marked(words: UInt[np.ndarray, "*row word"]) -> Int[np.ndarray, "*row"]:
    marked: Int[np.ndarray, "*row"] = np.bitwise_count(words).sum(
        axis=-1, dtype=np.int64
    )
    return marked


def _first_cells(words: UInt[np.ndarray, "*row word"]) -> UInt[np.ndarray, "*row word"]:
    """The cells at which a run begins: marked, and the cell before is not."""
    shifted = words << 1
    shifted[..., 1:] |= words[..., :-1] >> (8 * words.itemsize - 1)
    first: UInt[np.ndarray, "*row word"] = words & ~shifted
    return first


def _matched_in_words(
    reference: UInt[np.ndarray, "*row one"], estimate: UInt[np.ndarray, "*row one"]
) -> Int[np.ndarray, "*row"]:
    """Compare the lowest runs of both sides in all rows at once, drop the one that ends first,
    and go on.

    What ends first meets nothing further on; where both end together only the shorter is dropped,
    and the longer meets nothing further on either.
    """
    matched = np.zeros(reference.size, dtype=np.int64)
    marked, predicted = reference.ravel(), estimate.ravel()
    row = live = np.flatnonzero(marked & predicted)
    while len(live):
        marked, predicted = marked[live], predicted[live]
        run, other = _lowest_run(marked), _lowest_run(predicted)
        matched[row] += _half_shared(run, other)
        run_first = run <= other  # what ends later has the higher top bit
        marked, predicted = marked ^ run * run_first, predicted ^ other * ~run_first
        live = np.flatnonzero(marked & predicted)
        row = row[live]
    return matched.reshape(reference.shape[:-1])


def _lowest_run(words: UInt[np.ndarray, " row"]) -> UInt[np.ndarray, " row"]:
    """Adding the lowest bit carries through the run that begins there; at the top of the word the
    carry is lost."""
    run: UInt[np.ndarray, " row"] = words & ~(words + (words & -words))
    return run


def _half_shared(
    run: UInt[np.ndarray, " row"], other: UInt[np.ndarray, " row"]
) -> Bool[np.ndarray, " row"]:
    shared, union = np.bitwise_count(run & other), np.bitwise_count(run | other)
    half: Bool[np.ndarray, " row"] = (shared > 0) & (
        2 * shared >= union
    )  # at most 128: a byte holds it
    return half


def _matched_in_rows(
    reference: UInt[np.ndarray, "*row word"], estimate: UInt[np.ndarray, "*row word"]
) -> Int[np.ndarray, "*row"]:
    """The same for rows that take several words."""
    rows = (
        unpack(words).reshape(-1, 8 * words.itemsize * words.shape[-1])
        for words in (reference, estimate)
    )
    overlaps = find_overlaps(*rows)
    shape = reference.shape[:-1]
    return np.bincount(
        overlaps.row[overlaps.iou >= 0.5], minlength=math.prod(shape)
    ).reshape(shape)

"""Count marked segments and events in every row of a grid.

An event is a maximal run of marked segments. A row is packed into the bits of one word
(or of several), so that one instruction compares a whole row.
"""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int, UInt

from vaplan.metrics.overlaps import find_overlaps

WORDS = (np.uint8, np.uint16, np.uint32, np.uint64)
WIDEST_WORD = 64  # bits


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
    """Pack the rows along an axis into bits; the first cell is the lowest bit.

    Args:
        marked: Marked cells.
        axis: Axis that becomes the bits of the words.

    Returns:
        One word a row, of the smallest type that fits, or several words of 64 bits.

    >>> pack(np.array([[True, True, False, True]]))
    array([[11]], dtype=uint8)
    """
    cells = np.moveaxis(marked, axis, 0)
    word_type = _word_type(len(cells))
    word_starts = range(0, max(len(cells), 1), WIDEST_WORD)
    words = np.zeros((*cells.shape[1:], len(word_starts)), dtype=word_type)
    for w, start in enumerate(word_starts):
        for bit, cell in enumerate(cells[start : start + WIDEST_WORD]):
            words[..., w] |= cell.astype(word_type) << word_type(bit)
    return words


def unpack(words: UInt[np.ndarray, "*row word"]) -> Bool[np.ndarray, "*row time"]:
    """Undo `pack`; the last word is filled up with unmarked cells."""
    little_endian = words.dtype.newbyteorder("<")
    ordered = np.ascontiguousarray(words.astype(little_endian, copy=False))
    bits = np.unpackbits(ordered.view(np.uint8), axis=-1, bitorder="little")
    return bits.view(bool)


def count_cells(
    reference: UInt[np.ndarray, "*row word"], estimate: UInt[np.ndarray, "*row word"]
) -> Counts:
    """Count marked segments.

    Args:
        reference: Dense labels of the videos, packed.
        estimate: Estimated labels of the same videos, packed.

    >>> reference = pack(np.array([[True, True, False]]))
    >>> estimate = pack(np.array([[False, True, True]]))
    >>> count_cells(reference, estimate)
    Counts(matched=array([1]), reference=array([2]), estimate=array([2]))
    """
    return Counts(
        matched=_count_bits(reference & estimate),
        reference=_count_bits(reference),
        estimate=_count_bits(estimate),
    )


def count_events(
    reference: UInt[np.ndarray, "*row word"], estimate: UInt[np.ndarray, "*row word"]
) -> Counts:
    """Count events; two match if their intersection is at least half of their union.

    Exclusive assignment is not necessary: with this limit a maximal run matches at
    most one other.

    Args:
        reference: Dense labels of the videos, packed.
        estimate: Estimated labels of the same videos, packed.

    >>> reference = pack(np.array([[True, True, True, True]]))
    >>> estimate = pack(np.array([[True, True, False, True]]))
    >>> count_events(reference, estimate)
    Counts(matched=array([1]), reference=array([1]), estimate=array([2]))
    """
    fits_one_word = reference.shape[-1] == 1
    count_matches = _matches_in_words if fits_one_word else _matches_in_rows
    return Counts(
        matched=count_matches(reference, estimate),
        reference=_count_bits(_onsets(reference)),
        estimate=_count_bits(_onsets(estimate)),
    )


def _word_type(cells: int) -> type[np.unsignedinteger]:
    """Return the smallest word that fits the cells, or the widest."""
    for word_type in WORDS:
        if cells <= 8 * word_type().itemsize:
            return word_type
    return WORDS[-1]


def _count_bits(words: UInt[np.ndarray, "*row word"]) -> Int[np.ndarray, "*row"]:
    bits = np.bitwise_count(words)
    count: Int[np.ndarray, "*row"] = bits.sum(axis=-1, dtype=np.int64)
    return count


def _onsets(words: UInt[np.ndarray, "*row word"]) -> UInt[np.ndarray, "*row word"]:
    """Mark the cells at which a run begins: marked cells after an unmarked one."""
    word_bits = 8 * words.itemsize
    previous = words << 1
    previous[..., 1:] |= words[..., :-1] >> (word_bits - 1)
    onsets: UInt[np.ndarray, "*row word"] = words & ~previous
    return onsets


def _matches_in_words(
    reference: UInt[np.ndarray, "*row one"], estimate: UInt[np.ndarray, "*row one"]
) -> Int[np.ndarray, "*row"]:
    """Count the matching events of rows of one word.

    Each turn compares the lowest run of both sides in all rows at once and removes the
    run that ends first, since it overlaps no later run. If both end together, only the
    shorter one is removed; the longer one overlaps no later run either.
    """
    matches = np.zeros(reference.size, dtype=np.int64)
    reference_rows = reference.ravel()
    estimate_rows = estimate.ravel()
    active = np.flatnonzero(reference_rows & estimate_rows)
    row = active
    while len(active):
        reference_rows = reference_rows[active]
        estimate_rows = estimate_rows[active]
        reference_run = _lowest_run(reference_rows)
        estimate_run = _lowest_run(estimate_rows)
        matches[row] += _is_match(reference_run, estimate_run)
        # a run that ends later has the higher top bit and is the larger number
        reference_first = reference_run <= estimate_run
        reference_rows = reference_rows ^ np.where(reference_first, reference_run, 0)
        estimate_rows = estimate_rows ^ np.where(reference_first, 0, estimate_run)
        active = np.flatnonzero(reference_rows & estimate_rows)
        row = row[active]
    return matches.reshape(reference.shape[:-1])


def _lowest_run(words: UInt[np.ndarray, " row"]) -> UInt[np.ndarray, " row"]:
    """Return the bits of the lowest run of each word.

    Adding the lowest bit carries through the run that begins with it; at the top of the
    word the carry is lost.
    """
    lowest_bit = words & -words
    run: UInt[np.ndarray, " row"] = words & ~(words + lowest_bit)
    return run


def _is_match(
    first: UInt[np.ndarray, " row"], second: UInt[np.ndarray, " row"]
) -> Bool[np.ndarray, " row"]:
    """Return whether the intersection is at least half of the union."""
    intersection = np.bitwise_count(first & second)
    union = np.bitwise_count(first | second)
    # twice the intersection is at most 128 and fits a byte
    is_match: Bool[np.ndarray, " row"] = (intersection > 0) & (
        2 * intersection >= union
    )
    return is_match


def _matches_in_rows(
    reference: UInt[np.ndarray, "*row word"], estimate: UInt[np.ndarray, "*row word"]
) -> Int[np.ndarray, "*row"]:
    """Count the matching events of rows of several words."""
    shape = reference.shape[:-1]
    overlaps = find_overlaps(_unpack_rows(reference), _unpack_rows(estimate))
    matching_row = overlaps.row[overlaps.iou >= 0.5]
    return np.bincount(matching_row, minlength=math.prod(shape)).reshape(shape)


def _unpack_rows(
    words: UInt[np.ndarray, "*row word"],
) -> Bool[np.ndarray, "row time"]:
    segments = 8 * words.itemsize * words.shape[-1]
    return unpack(words).reshape(-1, segments)

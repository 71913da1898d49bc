"""Confusion matrices: of classes within a modality, and of modalities."""

import numpy as np
from jaxtyping import Bool, Float, Int, UInt

from vaplan.modalities import AUDIO, VISUAL

PRESENCES = ("neither", "audio only", "visual only", "both")
VIDEOS_AT_ONCE = 4096  # keeps the floats of the class confusion small


def class_confusion(
    reference: Bool[np.ndarray, "video time modality class"],
    estimate: Bool[np.ndarray, "video time modality class"],
    *,
    mask: Bool[np.ndarray, "video time"] | None = None,
) -> Float[np.ndarray, "modality label label"]:
    """Count segments per modality by reference class (row) and predicted class (column).

    A correct class counts on the diagonal. A missed class counts in equal shares for
    the falsely predicted classes of the same segment, or in the last column if there
    are none; each row therefore adds up to the class's reference segments. The last
    row counts false positives in segments without a missed class.

    Args:
        reference: Dense labels of the videos.
        estimate: Estimated labels of the same videos.
        mask: Segments that exist; other segments do not count.
    """
    _, _, modalities, classes = reference.shape
    confusion = np.zeros((modalities, classes + 1, classes + 1))
    for start in range(0, len(reference), VIDEOS_AT_ONCE):
        videos = slice(start, start + VIDEOS_AT_ONCE)
        exists = None if mask is None else mask[videos]
        reference_part = _existing(reference[videos], exists)
        estimate_part = _existing(estimate[videos], exists)
        for m in range(modalities):
            confusion[m] += _confusion_of_segments(
                reference_part[:, :, m].reshape(-1, classes),
                estimate_part[:, :, m].reshape(-1, classes),
            )
    return confusion


def modality_confusion(
    reference: Bool[np.ndarray, "video time modality class"],
    estimate: Bool[np.ndarray, "video time modality class"],
    *,
    mask: Bool[np.ndarray, "video time"] | None = None,
) -> Int[np.ndarray, "presence presence"]:
    """Count cells by reference and predicted presence: audio, visual, both or neither.

    Args:
        reference: Dense labels of the videos.
        estimate: Estimated labels of the same videos.
        mask: Segments that exist; other segments do not count.
    """
    kinds = len(PRESENCES)
    pairs = _presence(reference) * kinds + _presence(estimate)
    existing = pairs if mask is None else pairs[mask]
    counts = np.bincount(existing.ravel(), minlength=kinds**2)
    return counts.reshape(kinds, kinds)


def _existing(
    grid: Bool[np.ndarray, "video time modality class"],
    mask: Bool[np.ndarray, "video time"] | None,
) -> Bool[np.ndarray, "video time modality class"]:
    if mask is None:
        return grid
    existing: Bool[np.ndarray, "video time modality class"]
    existing = grid & mask[:, :, None, None]
    return existing


def _presence(
    grid: Bool[np.ndarray, "video time modality class"],
) -> UInt[np.ndarray, "video time class"]:
    """Return the index in `PRESENCES` of each class and segment."""
    visual = grid[:, :, VISUAL].astype(np.uint8)
    presence: UInt[np.ndarray, "video time class"] = grid[:, :, AUDIO] + 2 * visual
    return presence


def _confusion_of_segments(
    reference: Bool[np.ndarray, "segment class"],
    estimate: Bool[np.ndarray, "segment class"],
) -> Float[np.ndarray, "label label"]:
    """Count the classes of one modality's segments; see `class_confusion`."""
    classes = reference.shape[1]
    correct_counts = (reference & estimate).sum(axis=0)
    misses = (reference & ~estimate).astype(np.float64)
    false_positives = (estimate & ~reference).astype(np.float64)
    false_count = false_positives.sum(axis=1, keepdims=True)
    share = false_positives / np.maximum(false_count, 1)
    without_false = false_count[:, 0] == 0
    without_miss = ~misses.any(axis=1)
    confusion = np.zeros((classes + 1, classes + 1))
    confusion[:-1, :-1] = misses.T @ share + np.diag(correct_counts)
    confusion[:-1, -1] = misses[without_false].sum(axis=0)
    confusion[-1, :-1] = false_positives[without_miss].sum(axis=0)
    return confusion

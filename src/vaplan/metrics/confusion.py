"""What is taken for what: classes for classes, and a modality for the other."""

import numpy as np
from jaxtyping import Bool, Float, Int

from vaplan.arrays import AUDIO, VISUAL

PRESENCES = ("neither", "audio only", "visual only", "both")
VIDEOS_AT_ONCE = 4096  # keeps the floats of the class confusion small


def class_confusion(
    reference: Bool[np.ndarray, "video time modality class"],
    estimate: Bool[np.ndarray, "video time modality class"],
    *,
    mask: Bool[np.ndarray, "video time"] | None = None,
) -> Float[np.ndarray, "modality label label"]:
    """Count segments per modality by reference class (row) and predicted class (column).

    A class that was found counts for itself. A missed class is shared equally among the classes
    that were falsely said in the same segment, or counts as nothing if there are none, so that a
    row adds up to the reference's segments. The last row counts false alarms in segments where
    nothing was missed.

    Args:
        reference: Dense labels of the videos.
        estimate: Estimated labels of the same videos.
        mask: Segments that exist; other segments do not count.
    """
    _, _, modalities, classes = reference.shape
    labels = classes + 1
    confusion = np.zeros((modalities, labels, labels))
    for start in range(0, len(reference), VIDEOS_AT_ONCE):
        part = slice(start, start + VIDEOS_AT_ONCE)
        sides = (reference[part], estimate[part])
        if mask is not None:
            sides = tuple(side & mask[part, :, None, None] for side in sides)
        for m in range(modalities):
            confusion[m] += _of_segments(
                *(side[:, :, m].reshape(-1, classes) for side in sides)
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
    marked, predicted = (
        grid[:, :, AUDIO] + 2 * grid[:, :, VISUAL].astype(np.uint8)
        for grid in (reference, estimate)
    )
    kinds = len(PRESENCES)
    pairs = marked * kinds + predicted
    existing = pairs if mask is None else pairs[mask]
    return np.bincount(existing.ravel(), minlength=kinds**2).reshape(kinds, kinds)


def _of_segments(
    reference: Bool[np.ndarray, "segment class"],
    estimate: Bool[np.ndarray, "segment class"],
) -> Float[np.ndarray, "label label"]:
    """The confusion of one modality."""
    missed, false = (
        (reference & ~estimate).astype(np.float64),
        (estimate & ~reference).astype(np.float64),
    )
    false_number = false.sum(axis=1, keepdims=True)
    share = false / np.maximum(false_number, 1)
    classes = reference.shape[1]
    confusion = np.zeros((classes + 1, classes + 1))
    confusion[:-1, :-1] = missed.T @ share + np.diag((reference & estimate).sum(axis=0))
    confusion[:-1, -1] = missed[false_number[:, 0] == 0].sum(axis=0)
    confusion[-1, :-1] = false[~missed.any(axis=1)].sum(axis=0)
    return confusion

"""Calibration of probabilities: of the cells with probability 0.7, 70 % should be marked.

A cell is one class in one segment of one modality. Cells are sorted into bins by
probability. The expected calibration error is the mean distance between a bin's mean
probability and its share of marked cells, weighted by the number of cells.

Source: Guo, Pleiss, Sun, Weinberger, ICML 2017, arXiv 1706.04599, section 2; Brier,
Monthly Weather Review 78, 1950.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int, Real

from vaplan.modalities import MODALITIES

BINS = 15


@dataclass(frozen=True)
class Reliability:
    """Probability and frequency in each bin of each modality.

    Attributes:
        confidence: Mean probability of the bin's cells; NaN in an empty bin.
        frequency: Share of marked cells; NaN in an empty bin.
        count: Number of cells.
    """

    confidence: Float[np.ndarray, "modality bin"]
    frequency: Float[np.ndarray, "modality bin"]
    count: Int[np.ndarray, "modality bin"]

    def error(self) -> Float[np.ndarray, " modality"]:
        """Compute the expected calibration error, in [0, 1].

        Returns:
            One number a modality; NaN for a modality without cells.
        """
        difference = np.abs(self.confidence - self.frequency)
        weighted_sum = np.nansum(difference * self.count, axis=1)
        cells = self.count.sum(axis=1)
        return _divide(weighted_sum, cells)


def calibration(
    reference: Bool[np.ndarray, "video time modality class"],
    probability: Float[np.ndarray, "video time modality class"],
    *,
    mask: Bool[np.ndarray, "video time modality"] | None = None,
) -> dict[str, dict[str, float]]:
    """Compute calibration errors and the Brier score of each modality.

    Args:
        reference: Dense labels of the videos.
        probability: Probability of each class in each segment and modality.
        mask: Segments that exist; other segments do not count.

    Returns:
        `{"audio": {"ece", "ece_equal_mass", "brier"}, "visual": …}`, all in [0, 1].
    """
    equal_width = reliability(reference, probability, mask=mask)
    equal_mass = reliability(reference, probability, equal_mass=True, mask=mask)
    numbers = {
        "ece": equal_width.error(),
        "ece_equal_mass": equal_mass.error(),
        "brier": brier(reference, probability, mask=mask),
    }

    return {
        name: {key: float(row[m]) for key, row in numbers.items()}
        for m, name in enumerate(MODALITIES)
    }


def reliability(
    reference: Bool[np.ndarray, "video time modality class"],
    probability: Float[np.ndarray, "video time modality class"],
    *,
    bins: int = BINS,
    equal_mass: bool = False,
    mask: Bool[np.ndarray, "video time modality"] | None = None,
) -> Reliability:
    """Sort the cells of each modality into bins by probability.

    Args:
        reference: Dense labels of the videos.
        probability: Probability of each class in each segment and modality.
        bins: Number of bins. Bin b contains the probabilities in
            [b / bins, (b + 1) / bins); the last bin also contains 1.
        equal_mass: Put the same number of cells into every bin, in order of
            probability; equal probabilities may be in different bins.
        mask: Segments that exist; other segments do not count.
    """
    assign_bins = _bins_of_equal_mass if equal_mass else _bins_of_equal_width
    confidences = []
    frequencies = []
    counts = []
    for label, cell_probability in _cells(reference, probability, mask):
        bin_ = assign_bins(cell_probability, bins)
        count = np.bincount(bin_, minlength=bins)
        probability_sum = np.bincount(bin_, weights=cell_probability, minlength=bins)
        label_sum = np.bincount(bin_, weights=label, minlength=bins)
        confidences.append(_divide(probability_sum, count))
        frequencies.append(_divide(label_sum, count))
        counts.append(count)

    return Reliability(np.stack(confidences), np.stack(frequencies), np.stack(counts))


def brier(
    reference: Bool[np.ndarray, "video time modality class"],
    probability: Float[np.ndarray, "video time modality class"],
    *,
    mask: Bool[np.ndarray, "video time modality"] | None = None,
) -> Float[np.ndarray, " modality"]:
    """Compute the mean squared difference of probability and label, per modality.

    Args:
        reference: Dense labels of the videos.
        probability: Probability of each class in each segment and modality.
        mask: Segments that exist; other segments do not count.

    Returns:
        One number a modality, in [0, 1]; NaN for a modality without cells.
    """
    scores = []
    for label, cell_probability in _cells(reference, probability, mask):
        squares = np.square(cell_probability - label)
        scores.append(squares.mean() if len(squares) else np.nan)
    return np.array(scores)


def _cells(
    reference: Bool[np.ndarray, "video time modality class"],
    probability: Float[np.ndarray, "video time modality class"],
    mask: Bool[np.ndarray, "video time modality"] | None,
) -> list[tuple[Bool[np.ndarray, " cell"], Float[np.ndarray, " cell"]]]:
    """Return label and probability of the existing cells of each modality.

    Raises:
        ValueError: A number is not a probability.
    """
    exists = np.ones(reference.shape[:3], dtype=bool) if mask is None else mask
    cells = []
    for m in range(reference.shape[2]):
        label = reference[:, :, m][exists[:, :, m]].ravel()
        cell_probability = probability[:, :, m][exists[:, :, m]].ravel()
        if not ((cell_probability >= 0) & (cell_probability <= 1)).all():
            raise ValueError(
                "probabilities must lie in [0, 1]; use the output of a sigmoid, "
                "not logits"
            )
        cells.append((label, cell_probability.astype(np.float64)))
    return cells


def _bins_of_equal_width(
    probability: Float[np.ndarray, " cell"], bins: int
) -> Int[np.ndarray, " cell"]:
    index = (probability * bins).astype(np.int64)
    return np.minimum(index, bins - 1)


def _bins_of_equal_mass(
    probability: Float[np.ndarray, " cell"], bins: int
) -> Int[np.ndarray, " cell"]:
    cells = len(probability)
    order = probability.argsort(kind="stable")
    bin_ = np.empty(cells, dtype=np.int64)
    bin_[order] = np.arange(cells) * bins // max(cells, 1)
    return bin_


def _divide(
    total: Real[np.ndarray, " of"], number: Int[np.ndarray, " of"]
) -> Float[np.ndarray, " of"]:
    """Divide; NaN where the number is 0."""
    mean: Float[np.ndarray, " of"] = np.full(len(number), np.nan)
    np.divide(total, number, out=mean, where=number > 0)
    return mean

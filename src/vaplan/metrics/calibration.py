"""Whether probabilities mean what they say: of the cells given 0.7, seven in ten should be marked.

A cell is one class in one segment of one modality. The calibration error is the mean distance
between what a bin of cells was given and what share of it is marked, weighted by the number of
cells.
Source: Guo, Pleiss, Sun, Weinberger, ICML 2017 (arXiv 1706.04599), section 2; Brier, Monthly
Weather Review 78, 1950.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int, Real

from vaplan.arrays import MODALITIES

BINS = 15


@dataclass(frozen=True)
class Reliability:
    """Per modality and bin: the mean probability and the share of marked cells, NaN in an empty
    bin, and the number."""

    confidence: Float[np.ndarray, "modality bin"]
    frequency: Float[np.ndarray, "modality bin"]
    count: Int[np.ndarray, "modality bin"]

    def error(self) -> Float[np.ndarray, " modality"]:
        """The expected calibration error, in [0, 1]; NaN for a modality without cells."""
        difference = np.abs(self.confidence - self.frequency)
        total, cells = (
            np.nansum(difference * self.count, axis=1),
            self.count.sum(axis=1),
        )
        return _share(total, cells)


def calibration(
    reference: Bool[np.ndarray, "video time modality class"],
    probability: Float[np.ndarray, "video time modality class"],
    *,
    mask: Bool[np.ndarray, "video time modality"] | None = None,
) -> dict[str, dict[str, float]]:
    """The numbers of each modality: `{"audio": {"ece", "ece_equal_mass", "brier"}, "visual": …}`,
    all in [0, 1].

    Args:
        reference: Dense labels of the videos.
        probability: Probability of each class in each segment and modality.
        mask: Segments that exist; other segments do not count.
    """
    numbers = {
        "ece": reliability(reference, probability, mask=mask).error(),
        "ece_equal_mass": reliability(
            reference, probability, equal_mass=True, mask=mask
        ).error(),
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
    """Sort the cells of each modality into bins.

    Args:
        bins: Bin b holds the probabilities from b / bins on to before (b + 1) / bins, the last
            one also 1.
        equal_mass: Let every bin hold as many cells, in order of probability; equal probabilities
            may be parted.
        mask: Which segments could be heard and seen.
    """
    into_bins = _by_rank if equal_mass else _by_width
    rows = []
    for marked, predicted in _cells(reference, probability, mask):
        bin_ = into_bins(predicted, bins)
        count, *totals = (
            np.bincount(bin_, weights=w, minlength=bins)
            for w in (None, predicted, marked)
        )
        rows.append((*(_share(total, count) for total in totals), count))
    return Reliability(*(np.stack(column) for column in zip(*rows, strict=True)))


def brier(
    reference: Bool[np.ndarray, "video time modality class"],
    probability: Float[np.ndarray, "video time modality class"],
    *,
    mask: Bool[np.ndarray, "video time modality"] | None = None,
) -> Float[np.ndarray, " modality"]:
    """The mean squared distance between probability and label; NaN for a modality without cells.

    Args:
        reference: Dense labels of the videos.
        probability: Probability of each class in each segment and modality.
        mask: Segments that exist; other segments do not count.
    """
    cells = _cells(reference, probability, mask)
    return np.array(
        [
            np.square(predicted - marked).mean() if len(predicted) else np.nan
            for marked, predicted in cells
        ]
    )


def _cells(
    reference: Bool[np.ndarray, "video time modality class"],
    probability: Float[np.ndarray, "video time modality class"],
    mask: Bool[np.ndarray, "video time modality"] | None,
) -> list[tuple[Bool[np.ndarray, " cell"], Float[np.ndarray, " cell"]]]:
    """Label and probability of the existing cells, modality by modality.

    Raises: ValueError for what is no probability.
    """
    exists = np.ones(reference.shape[:3], dtype=bool) if mask is None else mask
    each = []
    for m in range(reference.shape[2]):
        marked, predicted = (
            grid[:, :, m][exists[:, :, m]].ravel() for grid in (reference, probability)
        )
        if not ((predicted >= 0) & (predicted <= 1)).all():
            raise ValueError(
                "probabilities lie in [0, 1]; give those that came out of a sigmoid, not logits"
            )
        each.append((marked, predicted.astype(np.float64)))
    return each


def _by_width(
    probability: Float[np.ndarray, " cell"], bins: int
) -> Int[np.ndarray, " cell"]:
    return np.minimum((probability * bins).astype(np.int64), bins - 1)


def _by_rank(
    probability: Float[np.ndarray, " cell"], bins: int
) -> Int[np.ndarray, " cell"]:
    bin_ = np.empty(len(probability), dtype=np.int64)
    bin_[probability.argsort(kind="stable")] = (
        np.arange(len(probability)) * bins // max(len(probability), 1)
    )
    return bin_


def _share(
    total: Real[np.ndarray, " of"], number: Int[np.ndarray, " of"]
) -> Float[np.ndarray, " of"]:
    share: Float[np.ndarray, " of"] = np.divide(
        total, number, out=np.full(len(number), np.nan), where=number > 0
    )
    return share

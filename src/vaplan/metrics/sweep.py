"""The ten LLP numbers at many thresholds, and the best one.

Choose on validation videos, then apply the choice to test videos once:

>>> probability, reference = np.array([[[[0.8], [0.4]]]]), np.array([[[[True], [False]]]])
>>> best = sweep(reference, probability, np.array([0.1, 0.3, 0.5, 0.7])).best("segment", "type")
>>> best
(0.5, 0.5)
>>> mark(probability, best).tolist()
[[[[True], [False]]]]
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from vaplan.arrays import MODALITIES
from vaplan.metrics.llp import KINDS, LEVELS, by_name, llp_scores


@dataclass(frozen=True)
class Sweep:
    """The ten numbers in percent at each threshold; a threshold is one number a modality."""

    thresholds: Float[np.ndarray, "threshold modality"]
    numbers: Float[np.ndarray, "threshold level kind"]

    def of(self, level: str, kind: str) -> Float[np.ndarray, " threshold"]:
        """One of the ten numbers at every threshold (for a curve).

        Args:
            level: `segment` or `event`.
            kind: Kind of the score, a name in `KINDS`.
        """
        return self.numbers[:, list(LEVELS).index(level), KINDS.index(kind)]

    def best(self, level: str, kind: str) -> tuple[float, ...]:
        """The threshold at which a number is highest.

        Of several equally good ones it is the one nearest their mean, the first of two: the
        middle of a plateau is the furthest from where the number falls.

        Args:
            level: `segment` or `event`.
            kind: Kind of the score, a name in `KINDS`.
        """
        scores = self.of(level, kind)
        tied = self.thresholds[scores >= scores.max() - 1e-9]
        distance = np.abs(tied - tied.mean(axis=0)).sum(axis=1).round(9)
        return tuple(map(float, tied[distance.argmin()]))

    def at(self, index: int) -> dict[str, dict[str, float]]:
        """The ten numbers at one threshold by name."""
        return by_name(self.numbers[index])


def sweep(
    reference: Bool[np.ndarray, "video time modality class"],
    probability: Float[np.ndarray, "video time modality class"],
    thresholds: Float[np.ndarray, " threshold"]
    | Float[np.ndarray, "threshold modality"],
    *,
    mask: Bool[np.ndarray, "video time"] | None = None,
) -> Sweep:
    """Score the estimate that every threshold gives.

    Args:
        thresholds: One number for all modalities, or one a modality; `every_pair` makes the latter.
    """
    if not thresholds.size or not len(reference):
        raise ValueError(
            "no thresholds to try" if len(reference) else "no videos to average over"
        )
    each = np.broadcast_to(
        thresholds.reshape(len(thresholds), -1), (len(thresholds), len(MODALITIES))
    )
    estimates = (mark(probability, row) for row in each.tolist())
    numbers = [
        100 * llp_scores(reference, estimate, mask=mask).per_video.mean(axis=0)
        for estimate in estimates
    ]
    return Sweep(each, np.stack(numbers))


def mark(
    probability: Float[np.ndarray, "*video time modality class"],
    threshold: Sequence[float],
) -> Bool[np.ndarray, "*video time modality class"]:
    """Mark values that reach the threshold of their modality.

    Args:
        probability: Probability of each class in each segment and modality.
        threshold: Threshold of each modality.
    """
    return probability >= np.array(threshold, dtype=probability.dtype)[:, None]


def every_pair(
    thresholds: Float[np.ndarray, " threshold"],
) -> Float[np.ndarray, "pair modality"]:
    """Each threshold of one modality with each of the other.

    >>> every_pair(np.array([0.2, 0.5])).tolist()
    [[0.2, 0.2], [0.2, 0.5], [0.5, 0.2], [0.5, 0.5]]
    """
    columns = np.meshgrid(*[thresholds] * len(MODALITIES), indexing="ij")
    return np.stack([column.ravel() for column in columns], axis=1)

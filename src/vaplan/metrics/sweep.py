"""The ten LLP numbers at many thresholds, and the best threshold.

Choose the threshold on validation videos, then apply it to test videos once:

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

from vaplan.metrics.llp import KINDS, LEVELS, by_name, llp_scores
from vaplan.modalities import MODALITIES

TOLERANCE = 1e-9  # of scores that count as equal, in percent


@dataclass(frozen=True)
class Sweep:
    """The ten numbers at each threshold.

    Attributes:
        thresholds: One threshold for each modality.
        numbers: The ten numbers in percent.
    """

    thresholds: Float[np.ndarray, "threshold modality"]
    numbers: Float[np.ndarray, "threshold level kind"]

    def of(self, level: str, kind: str) -> Float[np.ndarray, " threshold"]:
        """Return one of the ten numbers at every threshold.

        Args:
            level: `segment` or `event`.
            kind: Kind of the score, a name in `KINDS`.
        """
        level_index = list(LEVELS).index(level)
        return self.numbers[:, level_index, KINDS.index(kind)]

    def best(self, level: str, kind: str) -> tuple[float, ...]:
        """Return the threshold with the highest number.

        Of several equally good thresholds it is the one nearest to their mean, and the
        first of two: the middle of a plateau is farthest from where the number falls.

        Args:
            level: `segment` or `event`.
            kind: Kind of the score, a name in `KINDS`.
        """
        scores = self.of(level, kind)
        is_best = scores >= scores.max() - TOLERANCE
        candidates = self.thresholds[is_best]
        deviation = np.abs(candidates - candidates.mean(axis=0))
        distance = deviation.sum(axis=1).round(9)
        nearest = candidates[distance.argmin()]
        return tuple(nearest.tolist())

    def at(self, index: int) -> dict[str, dict[str, float]]:
        """Return the ten numbers at one threshold by name."""
        return by_name(self.numbers[index])


def sweep(
    reference: Bool[np.ndarray, "video time modality class"],
    probability: Float[np.ndarray, "video time modality class"],
    thresholds: Float[np.ndarray, " threshold"]
    | Float[np.ndarray, "threshold modality"],
    *,
    mask: Bool[np.ndarray, "video time"] | None = None,
) -> Sweep:
    """Compute the ten numbers of the estimate at each threshold.

    Args:
        reference: Dense labels of the videos.
        probability: Probability of each class in each segment and modality.
        thresholds: One number for both modalities, or one for each, as from
            `every_pair`.
        mask: Segments that exist; other segments do not count.
    """
    if not len(reference):
        raise ValueError("no videos to average over")
    if not thresholds.size:
        raise ValueError("no thresholds to try")

    count = len(thresholds)
    pairs = np.broadcast_to(thresholds.reshape(count, -1), (count, len(MODALITIES)))

    numbers = []
    for threshold in pairs.tolist():
        estimate = mark(probability, threshold)
        scores = llp_scores(reference, estimate, mask=mask)
        numbers.append(100 * scores.per_video.mean(axis=0))
    return Sweep(pairs, np.stack(numbers))


def mark(
    probability: Float[np.ndarray, "*video time modality class"],
    threshold: Sequence[float],
) -> Bool[np.ndarray, "*video time modality class"]:
    """Mark values that reach the threshold of their modality.

    Args:
        probability: Probability of each class in each segment and modality.
        threshold: Threshold of each modality.
    """
    limit = np.array(threshold, dtype=probability.dtype)
    return probability >= limit[:, None]


def every_pair(
    thresholds: Float[np.ndarray, " threshold"],
) -> Float[np.ndarray, "pair modality"]:
    """Combine each threshold of one modality with each of the other.

    >>> every_pair(np.array([0.2, 0.5])).tolist()
    [[0.2, 0.2], [0.2, 0.5], [0.5, 0.2], [0.5, 0.5]]
    """
    of_modalities = [thresholds] * len(MODALITIES)
    columns = np.meshgrid(*of_modalities, indexing="ij")
    return np.stack([column.ravel() for column in columns], axis=1)

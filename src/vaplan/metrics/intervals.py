"""How sure a difference between two methods is, from their scores on the same videos."""

import numpy as np
from jaxtyping import Float


def paired_bootstrap(
    first: Float[np.ndarray, " video"],
    second: Float[np.ndarray, " video"],
    *,
    seed: int,
    resamples: int = 2000,
    level: float = 0.95,
) -> tuple[float, float, float]:
    """The mean of `first - second`, and the percentile interval of that mean over resampled videos.

    Source: Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13.

    >>> paired_bootstrap(np.array([1.0, 2.0]), np.array([0.5, 1.5]), seed=0)
    (0.5, 0.5, 0.5)
    """
    if len(first) == 0:
        raise ValueError("no videos to resample")
    difference = first - second
    drawn = np.random.default_rng(seed).integers(len(difference), size=(resamples, len(difference)))
    low, high = np.quantile(difference[drawn].mean(axis=1), [(1 - level) / 2, (1 + level) / 2])
    return float(difference.mean()), float(low), float(high)

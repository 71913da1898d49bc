"""How sure a number or a difference is: percentile intervals over resampled videos.

Source: Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from vaplan.metrics.llp import KINDS, LEVELS, LLPScores

RESAMPLES = 2000
LEVEL = 0.95


@dataclass(frozen=True)
class Interval:
    """A number and the interval it lies in with the confidence that was asked for."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.1f} [{self.low:.1f}, {self.high:.1f}]"


def bootstrap(
    scores: Float[np.ndarray, "video number"],
    *,
    seed: int,
    resamples: int = RESAMPLES,
    level: float = LEVEL,
) -> list[Interval]:
    """The mean of every column over the videos, and its interval; all columns are resampled
    together.

    Args:
        scores: Scores of every video (and seed).
        seed: Seed of the resampling.
        resamples: Number of bootstrap samples.
        level: Confidence level of the interval.
    """
    if len(scores) == 0:
        raise ValueError("no videos to resample")
    means = _resampled_means(scores, seed=seed, resamples=resamples)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2], axis=0)
    columns = zip(scores.mean(axis=0), low, high, strict=True)
    return [Interval(*map(float, column)) for column in columns]


def paired_bootstrap(
    first: Float[np.ndarray, " video"],
    second: Float[np.ndarray, " video"],
    *,
    seed: int,
    resamples: int = RESAMPLES,
    level: float = LEVEL,
) -> tuple[float, float, float]:
    """The mean of `first - second`, scores of the same videos in the same order, and its interval.

    Args:
        first: Scores of the first method.
        second: Scores of the second method on the same videos.
        seed: Seed of the resampling.
        resamples: Number of bootstrap samples.
        level: Confidence level of the interval.

    >>> paired_bootstrap(np.array([1.0, 2.0]), np.array([0.5, 1.5]), seed=0)
    (0.5, 0.5, 0.5)
    """
    (interval,) = bootstrap(
        (first - second)[:, None], seed=seed, resamples=resamples, level=level
    )
    return interval.value, interval.low, interval.high


def bootstrap_over_seeds(
    scores: Float[np.ndarray, "seed video number"],
    *,
    seed: int,
    resamples: int = RESAMPLES,
    level: float = LEVEL,
) -> list[Interval]:
    """Bootstrap over seeds and videos together.

    A difference between two methods is `first - second` of the same seeds and videos. Few seeds
    make few distinct resamples of seeds: the interval then says little of other seeds than these.
    The seeds and the videos are crossed; see Owen, The Annals of Applied Statistics, 2007, for
    why such intervals are wide rather than narrow.

    Args:
        scores: Scores of every video (and seed).
        seed: Seed of the resampling.
        resamples: Number of bootstrap samples.
        level: Confidence level of the interval.
    """
    if scores.size == 0:
        raise ValueError("nothing to resample")
    seeds, videos, numbers = scores.shape
    generator, means = np.random.default_rng(seed), np.empty((resamples, numbers))
    for mean in means:
        of_seed = np.bincount(generator.integers(seeds, size=seeds), minlength=seeds)
        of_video = np.bincount(
            generator.integers(videos, size=videos), minlength=videos
        )
        mean[:] = of_video @ np.tensordot(of_seed, scores, axes=1) / (seeds * videos)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2], axis=0)
    columns = zip(scores.mean(axis=(0, 1)), low, high, strict=True)
    return [Interval(*map(float, column)) for column in columns]


def llp_intervals(
    scores: LLPScores, *, seed: int, resamples: int = RESAMPLES, level: float = LEVEL
) -> dict[str, dict[str, Interval]]:
    """The ten numbers in percent, each with its interval.

    Args:
        scores: Scores of every video (and seed).
        seed: Seed of the resampling.
        resamples: Number of bootstrap samples.
        level: Confidence level of the interval.
    """
    return _ten(100 * scores.per_video, seed=seed, resamples=resamples, level=level)


def llp_differences(
    first: LLPScores,
    second: LLPScores,
    *,
    seed: int,
    resamples: int = RESAMPLES,
    level: float = LEVEL,
) -> dict[str, dict[str, Interval]]:
    """`first - second` of the same videos in the ten numbers, in points of percent, each with its
    interval.

    Args:
        first: Scores of the first method.
        second: Scores of the second method on the same videos.
        seed: Seed of the resampling.
        resamples: Number of bootstrap samples.
        level: Confidence level of the interval.
    """
    if len(first) != len(second):
        raise ValueError(f"{len(first)} videos cannot be compared with {len(second)}")
    return _ten(
        100 * (first.per_video - second.per_video),
        seed=seed,
        resamples=resamples,
        level=level,
    )


def _ten(
    scores: Float[np.ndarray, "video level kind"],
    *,
    seed: int,
    resamples: int,
    level: float,
) -> dict[str, dict[str, Interval]]:
    flat = scores.reshape(len(scores), len(LEVELS) * len(KINDS))
    intervals = iter(bootstrap(flat, seed=seed, resamples=resamples, level=level))
    return {name: {kind: next(intervals) for kind in KINDS} for name in LEVELS}


def _resampled_means(
    scores: Float[np.ndarray, "video number"], *, seed: int, resamples: int
) -> Float[np.ndarray, "resample number"]:
    """One resample at a time: memory stays that of the scores, however many there are."""
    generator, videos = np.random.default_rng(seed), len(scores)
    means = np.empty((resamples, scores.shape[1]))
    for mean in means:
        times_drawn = np.bincount(
            generator.integers(videos, size=videos), minlength=videos
        )
        mean[:] = times_drawn @ scores / videos
    return means

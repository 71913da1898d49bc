"""Percentile intervals of scores and of their differences, by bootstrap over videos.

Source: Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from vaplan.metrics.llp import KINDS, LEVELS, LLPScores

RESAMPLES = 2000
LEVEL = 0.95


@dataclass(frozen=True)
class Interval:
    """A number with its confidence interval."""

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
    """Compute the mean of each column over the videos, with its interval.

    All columns use the same resamples.

    Args:
        scores: Scores of each video.
        seed: Seed of the resampling.
        resamples: Number of bootstrap samples.
        level: Confidence level of the interval.
    """
    if len(scores) == 0:
        raise ValueError("no videos to resample")
    means = _resampled_means(scores, seed=seed, resamples=resamples)
    return _percentile_intervals(scores.mean(axis=0), means, level)


def paired_bootstrap(
    first: Float[np.ndarray, " video"],
    second: Float[np.ndarray, " video"],
    *,
    seed: int,
    resamples: int = RESAMPLES,
    level: float = LEVEL,
) -> tuple[float, float, float]:
    """Compute the mean of `first - second` and the limits of its interval.

    Args:
        first: Scores of the first method.
        second: Scores of the second method on the same videos, in the same order.
        seed: Seed of the resampling.
        resamples: Number of bootstrap samples.
        level: Confidence level of the interval.

    >>> paired_bootstrap(np.array([1.0, 2.0]), np.array([0.5, 1.5]), seed=0)
    (0.5, 0.5, 0.5)
    """
    difference = (first - second)[:, None]
    (interval,) = bootstrap(difference, seed=seed, resamples=resamples, level=level)
    return interval.value, interval.low, interval.high


def bootstrap_over_seeds(
    scores: Float[np.ndarray, "seed video number"],
    *,
    seed: int,
    resamples: int = RESAMPLES,
    level: float = LEVEL,
) -> list[Interval]:
    """Bootstrap over seeds and videos together.

    The scores may be differences of two methods, for the same seeds and videos. A few
    seeds have few distinct resamples: the interval then tells little about other seeds.
    Seeds and videos are crossed; for why such intervals are wide rather than narrow,
    see Owen, The Annals of Applied Statistics, 2007.

    Args:
        scores: Scores of each seed and video.
        seed: Seed of the resampling.
        resamples: Number of bootstrap samples.
        level: Confidence level of the interval.
    """
    if scores.size == 0:
        raise ValueError("nothing to resample")

    seeds, videos, numbers = scores.shape
    generator = np.random.default_rng(seed)
    means = np.empty((resamples, numbers))
    for mean in means:
        seed_counts = _resample_counts(generator, seeds)
        video_counts = _resample_counts(generator, videos)
        over_seeds = np.tensordot(seed_counts, scores, axes=1)
        mean[:] = video_counts @ over_seeds / (seeds * videos)
    return _percentile_intervals(scores.mean(axis=(0, 1)), means, level)


def llp_intervals(
    scores: LLPScores, *, seed: int, resamples: int = RESAMPLES, level: float = LEVEL
) -> dict[str, dict[str, Interval]]:
    """Compute the ten numbers in percent, each with its interval.

    Args:
        scores: Scores of each video.
        seed: Seed of the resampling.
        resamples: Number of bootstrap samples.
        level: Confidence level of the interval.
    """
    percent = 100 * scores.per_video
    return _intervals_by_name(percent, seed=seed, resamples=resamples, level=level)


def llp_differences(
    first: LLPScores,
    second: LLPScores,
    *,
    seed: int,
    resamples: int = RESAMPLES,
    level: float = LEVEL,
) -> dict[str, dict[str, Interval]]:
    """Compute `first - second` of the ten numbers in percentage points, with intervals.

    Args:
        first: Scores of the first method.
        second: Scores of the second method on the same videos.
        seed: Seed of the resampling.
        resamples: Number of bootstrap samples.
        level: Confidence level of the interval.
    """
    if len(first) != len(second):
        raise ValueError(f"{len(first)} videos cannot be compared with {len(second)}")
    difference = 100 * (first.per_video - second.per_video)
    return _intervals_by_name(difference, seed=seed, resamples=resamples, level=level)


def _intervals_by_name(
    scores: Float[np.ndarray, "video level kind"],
    *,
    seed: int,
    resamples: int,
    level: float,
) -> dict[str, dict[str, Interval]]:
    names = [(level_name, kind) for level_name in LEVELS for kind in KINDS]
    columns = scores.reshape(len(scores), len(names))
    intervals = bootstrap(columns, seed=seed, resamples=resamples, level=level)
    by_level: dict[str, dict[str, Interval]] = {name: {} for name in LEVELS}
    for (level_name, kind), interval in zip(names, intervals, strict=True):
        by_level[level_name][kind] = interval
    return by_level


def _percentile_intervals(
    values: Float[np.ndarray, " number"],
    means: Float[np.ndarray, "resample number"],
    level: float,
) -> list[Interval]:
    """Return the values with the central percentiles of their resampled means."""
    limits = [(1 - level) / 2, (1 + level) / 2]
    lows, highs = np.quantile(means, limits, axis=0)
    return [
        Interval(float(value), float(low), float(high))
        for value, low, high in zip(values, lows, highs, strict=True)
    ]


def _resampled_means(
    scores: Float[np.ndarray, "video number"], *, seed: int, resamples: int
) -> Float[np.ndarray, "resample number"]:
    """Compute the mean of each resample, one at a time to bound the memory."""
    videos, numbers = scores.shape
    generator = np.random.default_rng(seed)
    means = np.empty((resamples, numbers))
    for mean in means:
        mean[:] = _resample_counts(generator, videos) @ scores / videos
    return means


def _resample_counts(
    generator: np.random.Generator, count: int
) -> Int[np.ndarray, " item"]:
    """Draw a bootstrap sample and return how often each item is in it."""
    draws = generator.integers(count, size=count)
    return np.bincount(draws, minlength=count)

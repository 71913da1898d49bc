import numpy as np
import pytest

from vaplan.metrics.intervals import (
    Interval,
    bootstrap,
    llp_differences,
    llp_intervals,
    paired_bootstrap,
)
from vaplan.metrics.llp import KINDS, LEVELS, LLPScores, llp_scores


def test_a_constant_gain_is_certain():
    scores = np.random.default_rng(0).random(50)
    difference, low, high = paired_bootstrap(scores + 0.1, scores, seed=0)
    assert [difference, low, high] == pytest.approx([0.1] * 3)


def test_the_interval_covers_the_truth_about_as_often_as_its_level():
    generator = np.random.default_rng(1)
    covered = 0
    for seed in range(200):
        first, second = generator.normal([[0.3], [0.0]], 1.0, (2, 60))
        _, low, high = paired_bootstrap(first, second, seed=seed, resamples=400)
        covered += low <= 0.3 <= high
    assert 0.88 <= covered / 200 <= 0.99


def test_pairing_narrows_the_interval():
    generator = np.random.default_rng(2)
    difficulty = generator.normal(0, 5, 100)
    first, second = difficulty + 0.5, difficulty + generator.normal(0, 0.1, 100)
    _, low, high = paired_bootstrap(first, second, seed=0)
    assert 0.4 < low < high < 0.6


def test_the_same_seed_gives_the_same_interval():
    first, second = np.random.default_rng(3).random((2, 30))
    assert paired_bootstrap(first, second, seed=5) == paired_bootstrap(
        first, second, seed=5
    )
    assert paired_bootstrap(first, second, seed=5) != paired_bootstrap(
        first, second, seed=6
    )


def test_there_is_no_interval_without_videos():
    with pytest.raises(ValueError, match="no videos"):
        paired_bootstrap(np.zeros(0), np.zeros(0), seed=0)


def test_every_number_has_the_quantiles_of_its_means_over_resampled_videos():
    scores = np.random.default_rng(4).random((30, 3))
    generator = np.random.default_rng(9)
    means = [scores[generator.integers(30, size=30)].mean(axis=0) for _ in range(500)]
    low, high = np.quantile(means, [0.05, 0.95], axis=0)
    found = bootstrap(scores, seed=9, resamples=500, level=0.9)
    assert [interval.value for interval in found] == pytest.approx(
        scores.mean(axis=0).tolist()
    )
    assert [interval.low for interval in found] == pytest.approx(low.tolist())
    assert [interval.high for interval in found] == pytest.approx(high.tolist())


def test_a_constant_number_has_an_interval_of_width_zero():
    assert bootstrap(np.full((5, 1), 0.25), seed=0) == [Interval(0.25, 0.25, 0.25)]


def grids():
    return np.random.default_rng(5).random((3, 40, 6, 2, 4)) < 0.3


def test_the_ten_numbers_lie_within_their_intervals():
    reference, estimate, _ = grids()
    found, numbers = (
        llp_intervals(llp_scores(reference, estimate), seed=0),
        llp_scores(reference, estimate).percent(),
    )
    for level in LEVELS:
        assert list(found[level]) == list(KINDS)
        for kind, interval in found[level].items():
            assert interval.value == pytest.approx(numbers[level][kind])
            assert interval.low < interval.value < interval.high


def test_the_differences_of_two_methods_are_those_of_their_numbers():
    reference, *estimates = grids()
    first, second = (llp_scores(reference, estimate) for estimate in estimates)
    found = llp_differences(first, second, seed=0)
    for level in LEVELS:
        for kind, interval in found[level].items():
            assert interval.value == pytest.approx(
                first.percent()[level][kind] - second.percent()[level][kind]
            )
            alone = paired_bootstrap(
                100 * first.of(level, kind), 100 * second.of(level, kind), seed=0
            )
            assert (interval.value, interval.low, interval.high) == pytest.approx(alone)


def test_methods_are_compared_on_the_same_videos():
    scores = LLPScores(np.zeros((3, 2, 5)))
    with pytest.raises(ValueError, match="3 videos cannot be compared with 6"):
        llp_differences(scores, scores + scores, seed=0)


def test_an_interval_is_printed_with_its_limits():
    assert str(Interval(61.26, 58.0, 64.04)) == "61.3 [58.0, 64.0]"

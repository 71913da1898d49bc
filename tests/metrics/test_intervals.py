import numpy as np
import pytest

from vaplan.metrics.intervals import paired_bootstrap


def test_a_constant_gain_is_certain():
    scores = np.random.default_rng(0).random(50)
    difference, low, high = paired_bootstrap(scores + 0.1, scores, seed=0)
    assert [difference, low, high] == pytest.approx([0.1] * 3)


def test_the_interval_covers_the_truth_about_as_often_as_it_says():
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
    assert paired_bootstrap(first, second, seed=5) == paired_bootstrap(first, second, seed=5)
    assert paired_bootstrap(first, second, seed=5) != paired_bootstrap(first, second, seed=6)


def test_there_is_no_interval_without_videos():
    with pytest.raises(ValueError, match="no videos"):
        paired_bootstrap(np.zeros(0), np.zeros(0), seed=0)

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from vaplan.arrays import AUDIO, VISUAL
from vaplan.metrics.llp import KINDS, LEVELS, llp_scores
from vaplan.metrics.sweep import Sweep, every_pair, mark, sweep

TENTHS = np.arange(1, 10) / 10


def video_set(seed=0, videos=40):
    """Make a reference and probabilities that are correlated with it."""
    generator = np.random.default_rng(seed)
    reference = generator.random((videos, 6, 2, 4)) < 0.3
    probability = np.clip(
        0.3 * reference + generator.random(reference.shape) * 0.7, 0, 1
    )
    return reference, probability.astype(np.float32)


def test_every_threshold_has_the_ten_numbers_of_its_estimate():
    reference, probability = video_set()
    mask = np.random.default_rng(1).random(reference.shape[:2]) < 0.8
    found = sweep(reference, probability, TENTHS, mask=mask)
    for t, threshold in enumerate(TENTHS.tolist()):
        expected = llp_scores(reference, probability >= threshold, mask=mask).percent()
        for level in LEVELS:
            assert found.at(t)[level] == pytest.approx(expected[level])


def test_each_modality_can_have_its_own_threshold():
    reference, probability = video_set()
    found = sweep(reference, probability, every_pair(TENTHS))
    t = found.thresholds.tolist().index([0.3, 0.6])
    estimate = np.stack(
        (probability[:, :, AUDIO] >= 0.3, probability[:, :, VISUAL] >= 0.6), axis=2
    )
    assert found.at(t)["segment"] == pytest.approx(
        llp_scores(reference, estimate).percent()["segment"]
    )
    best_of_one = sweep(reference, probability, TENTHS).of("segment", "type").max()
    assert found.of("segment", "type").max() >= best_of_one


def test_a_threshold_fits_one_data_set_and_is_applied_to_another():
    reference, probability = video_set()
    best = sweep(reference, probability, TENTHS).best("segment", "type")
    reference, probability = video_set(seed=1)
    at_best = llp_scores(reference, mark(probability, best)).percent()
    at_high = llp_scores(reference, mark(probability, (0.9, 0.9))).percent()
    assert at_best["segment"]["type"] > at_high["segment"]["type"]


def numbers(values):
    """The same values for each of the ten numbers."""
    return np.broadcast_to(
        np.array(values)[:, None, None], (len(values), len(LEVELS), len(KINDS))
    )


@pytest.mark.parametrize(
    ("values", "best"),
    [
        ([1.0, 3.0, 2.0], 0.2),
        ([1.0, 3.0, 3.0, 3.0, 2.0], 0.3),
        ([3.0, 3.0], 0.1),
        ([0.0, 3.0, 3.0, 3.0, 3.0, 1.0], 0.3),
    ],
)
def test_the_middle_of_equally_good_thresholds_is_the_best(values, best):
    thresholds = np.repeat(TENTHS[: len(values), None], 2, axis=1)
    assert Sweep(thresholds, numbers(values)).best("event", "audio") == (best, best)


@given(arrays(float, st.integers(1, 9), elements=st.floats(0, 100)))
def test_the_best_threshold_is_a_candidate_and_none_is_better(values):
    found = Sweep(np.repeat(TENTHS[: len(values), None], 2, axis=1), numbers(values))
    at = found.thresholds.tolist().index(list(found.best("segment", "event")))
    assert found.of("segment", "event")[at] >= values.max() - 1e-9


def test_a_probability_equal_to_the_threshold_is_marked_whatever_its_precision():
    for kind in (np.float16, np.float32, np.float64):
        assert mark(np.full((1, 2, 1), 0.7, dtype=kind), (0.7, 0.7)).all()


def test_a_sweep_needs_a_threshold():
    with pytest.raises(ValueError, match="no thresholds"):
        sweep(*video_set(), np.zeros(0))
    with pytest.raises(ValueError, match="no videos"):
        sweep(*video_set(videos=0), TENTHS)

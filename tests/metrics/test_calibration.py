import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tests.oracles import calibration as oracle
from vaplan.arrays import AUDIO, VISUAL
from vaplan.metrics.calibration import brier, calibration, reliability


@st.composite
def cases(draw):
    """Labels, probabilities (many of them equal or at the border of a bin) and a mask."""
    shape = draw(st.integers(0, 3)), draw(st.integers(1, 4)), 2, draw(st.integers(1, 3))
    probability = st.sampled_from([0.0, 0.25, 0.5, 1.0]) | st.floats(0, 1, width=32)
    kind = draw(st.sampled_from([np.float32, np.float64]))
    probabilities = draw(arrays(np.float64, shape, elements=probability)).astype(kind)
    return draw(arrays(bool, shape)), probabilities, draw(arrays(bool, shape[:3]))


def cells(reference, probability, mask, modality):
    here = mask[:, :, modality]
    pairs = (
        grid[:, :, modality][here].ravel().tolist() for grid in (probability, reference)
    )
    return list(zip(*pairs, strict=True))


@given(cases(), st.integers(1, 6))
def test_bins_and_numbers_equal_a_plain_restatement(case, bins):
    reference, probability, mask = case
    squares = brier(reference, probability, mask=mask)
    for equal_mass, split in ((False, oracle.equal_width), (True, oracle.equal_mass)):
        found = reliability(
            reference, probability, bins=bins, equal_mass=equal_mass, mask=mask
        )
        for m in (AUDIO, VISUAL):
            pairs = cells(*case, m)
            rows = np.array(oracle.table(split(pairs, bins)))
            ours = np.stack(
                (found.confidence[m], found.frequency[m], found.count[m]), axis=1
            )
            assert ours == pytest.approx(rows, nan_ok=True)
            assert found.error()[m] == pytest.approx(
                oracle.error(split(pairs, bins)), nan_ok=True
            )
            assert squares[m] == pytest.approx(oracle.brier(pairs), nan_ok=True)


def test_true_probabilities_are_calibrated_and_overconfident_ones_are_not():
    generator = np.random.default_rng(0)
    honest = generator.random((400, 10, 2, 5))
    reference = generator.random(honest.shape) < honest
    boasting = np.where(honest > 0.5, 0.5 + honest / 2, honest / 2)
    for m in ("audio", "visual"):
        for key in ("ece", "ece_equal_mass"):
            assert calibration(reference, honest)[m][key] < 0.015
            assert calibration(reference, boasting)[m][key] > 0.1
        assert (
            calibration(reference, honest)[m]["brier"]
            < calibration(reference, boasting)[m]["brier"]
        )


def test_a_modality_is_scored_by_its_own_cells():
    reference = np.zeros((1, 1, 2, 1), dtype=bool)
    probability = np.zeros((1, 1, 2, 1))
    probability[:, :, VISUAL] = 0.75
    assert calibration(reference, probability) == {
        "audio": {"ece": 0, "ece_equal_mass": 0, "brier": 0},
        "visual": {"ece": 0.75, "ece_equal_mass": 0.75, "brier": 0.75**2},
    }


def test_values_under_a_mask_change_nothing():
    reference = np.ones((1, 2, 2, 1), dtype=bool)
    probability = np.full((1, 2, 2, 1), 0.5)
    probability[0, 1] = np.nan
    mask = np.array([[[True, True], [False, False]]])
    assert brier(reference, probability, mask=mask).tolist() == [0.25, 0.25]


def test_equal_masses_differ_by_one_cell_at_most():
    probability = np.random.default_rng(1).random((1, 10, 2, 3))
    counts = reliability(probability > 0.5, probability, bins=7, equal_mass=True).count
    assert counts.max() - counts.min() == 1


def test_logits_are_no_probabilities():
    with pytest.raises(ValueError, match="not logits"):
        brier(np.ones((1, 1, 2, 1), dtype=bool), np.full((1, 1, 2, 1), 3.0))

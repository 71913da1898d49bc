import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tests.metrics.test_llp import grids
from tests.oracles import confusion as oracle
from vaplan.arrays import AUDIO, VISUAL
from vaplan.metrics import confusion
from vaplan.metrics.confusion import class_confusion, modality_confusion


@given(grids(), st.data())
def test_the_confusion_of_classes_equals_a_plain_restatement(pair, data):
    mask = data.draw(arrays(bool, pair[0].shape[:2]))
    found = class_confusion(*pair, mask=mask)
    for m in (AUDIO, VISUAL):
        segments = list(
            zip(*(side[:, :, m][mask].tolist() for side in pair), strict=True)
        )
        expected = np.array(oracle.of_classes(segments, pair[0].shape[3]), dtype=float)
        assert found[m] == pytest.approx(expected)


@given(grids(), st.data())
def test_the_confusion_of_modalities_equals_a_plain_restatement(pair, data):
    mask = data.draw(arrays(bool, pair[0].shape[:2]))
    cells = [
        tuple(
            (bool(side[v, t, AUDIO, c]), bool(side[v, t, VISUAL, c])) for side in pair
        )
        for v, t in np.argwhere(mask)
        for c in range(pair[0].shape[3])
    ]
    assert modality_confusion(*pair, mask=mask).tolist() == oracle.of_modalities(cells)


@given(grids())
def test_every_reference_segment_is_counted_once(pair):
    reference, _ = pair
    rows = class_confusion(*pair).sum(axis=2)
    assert rows[:, :-1] == pytest.approx(reference.sum(axis=(0, 1)))


def test_a_missed_class_is_shared_among_the_false_ones():
    reference, estimate = np.zeros((2, 1, 3, 2, 3), dtype=bool)
    reference[0, 0, AUDIO, 0] = True  # missed, two other classes predicted
    estimate[0, 0, AUDIO, 1:] = True
    reference[0, 1, AUDIO, 0] = True  # missed, nothing predicted
    estimate[0, 2, AUDIO, 2] = True  # a false alarm without any reference
    assert class_confusion(reference, estimate)[AUDIO].tolist() == [
        [0, 0.5, 0.5, 1],
        [0, 0, 0, 0],
        [0, 0, 0, 0],
        [0, 0, 1, 0],
    ]


def test_an_audible_event_predicted_as_visible_has_its_own_cell():
    reference, estimate = np.zeros((2, 1, 1, 2, 2), dtype=bool)
    reference[0, 0, AUDIO, 0] = True
    estimate[0, 0, VISUAL, 0] = True
    found = modality_confusion(reference, estimate)
    assert (
        found[
            confusion.PRESENCES.index("audio only"),
            confusion.PRESENCES.index("visual only"),
        ]
        == 1
    )
    assert found[0, 0] == 1
    assert found.sum() == 2


def test_many_videos_are_counted_in_parts(monkeypatch):
    pair = np.random.default_rng(0).random((2, 20, 4, 2, 3)) < 0.4
    mask = np.random.default_rng(1).random((20, 4)) < 0.5
    whole = class_confusion(*pair, mask=mask)
    monkeypatch.setattr(confusion, "VIDEOS_AT_ONCE", 7)
    assert class_confusion(*pair, mask=mask) == pytest.approx(whole)

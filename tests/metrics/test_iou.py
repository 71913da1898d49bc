import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.metrics.test_counts import rows
from tests.metrics.test_llp import grids
from tests.oracles import iou as oracle
from tests.oracles.llp import runs
from vaplan.arrays import AUDIO
from vaplan.metrics.iou import THRESHOLDS, iou_f, iou_scores
from vaplan.metrics.llp import llp_scores
from vaplan.metrics.overlaps import find_overlaps, match_one_to_one

COUNTS = {False: oracle.event_counts, True: oracle.paired_counts}


@pytest.mark.parametrize("one_to_one", COUNTS)
@given(grids())
@settings(max_examples=60)
def test_f_at_every_threshold_equals_a_plain_restatement(one_to_one, pair):
    numbers = iou_f(*pair, one_to_one=one_to_one)
    lists = [grid.tolist() for grid in pair]
    assert list(numbers) == [
        "0.1",
        "0.2",
        "0.3",
        "0.4",
        "0.5",
        "0.6",
        "0.7",
        "0.8",
        "0.9",
        "mean",
    ]
    for threshold in THRESHOLDS:
        assert numbers[f"{threshold:g}"] == pytest.approx(
            oracle.iou_f(*lists, threshold, COUNTS[one_to_one])
        )


@given(grids())
def test_at_one_half_these_are_the_official_event_numbers(pair):
    for one_to_one in (False, True):
        numbers = iou_f(*pair, thresholds=(0.5,), one_to_one=one_to_one)
        assert (
            numbers["0.5"]
            == numbers["mean"]
            == pytest.approx(llp_scores(*pair).percent()["event"])
        )


@given(rows())
def test_every_pair_of_runs_that_share_a_segment_is_found(pair):
    found = find_overlaps(*pair)
    expected = [
        (row, oracle.iou(run, other))
        for row, (marked, estimated) in enumerate(
            zip(*(side.tolist() for side in pair), strict=True)
        )
        for run in runs(marked)
        for other in runs(estimated)
        if run & other
    ]
    assert list(zip(found.row.tolist(), found.iou.tolist(), strict=True)) == expected


@given(st.integers(0, 2**32), st.sampled_from(THRESHOLDS))
@settings(max_examples=200)
def test_pairing_from_left_to_right_is_a_maximum_matching(seed, min_iou):
    generator = np.random.default_rng(seed)
    marked, estimated = generator.random((2, 6, 16)) < generator.choice(
        [0.4, 0.6, 0.8], size=(2, 6, 1)
    )
    overlaps = find_overlaps(marked, estimated)
    chosen = match_one_to_one(overlaps, min_iou=min_iou)
    assert (overlaps.iou[chosen] >= min_iou).all()
    for side in overlaps.pairs[chosen].T:
        assert len(np.unique(side)) == chosen.sum()
    largest = [
        oracle.paired_counts(*row, min_iou)[0]
        for row in zip(marked.tolist(), estimated.tolist(), strict=True)
    ]
    assert np.bincount(overlaps.row[chosen], minlength=6).tolist() == largest


def test_below_one_half_an_event_can_match_two_unless_they_are_paired():
    reference, estimate = np.zeros((2, 1, 5, 2, 1), dtype=bool)
    reference[0, :, AUDIO] = True  # one event of five segments, predicted as two of two
    estimate[0, [0, 1, 3, 4], AUDIO] = True
    assert iou_f(reference, estimate, thresholds=(0.4,))["0.4"]["audio"] == 100
    paired = iou_f(reference, estimate, thresholds=(0.4,), one_to_one=True)
    assert paired["0.4"]["audio"] == pytest.approx(100 * 2 / 3)


@given(grids())
def test_a_stricter_overlap_matches_no_more(pair):
    scores = iou_scores(*pair, one_to_one=True)
    assert (np.diff(scores, axis=1) <= 1e-12).all()


def test_values_under_a_mask_change_nothing():
    reference, estimate, other = np.random.default_rng(0).random((3, 20, 6, 2, 3)) < 0.4
    mask = np.arange(6) < np.random.default_rng(1).integers(1, 7, (20, 1))
    hidden = np.where(mask[..., None, None], estimate, other)
    assert iou_f(reference, estimate, mask=mask) == iou_f(reference, hidden, mask=mask)
    assert iou_f(reference, estimate, mask=mask) != iou_f(reference, estimate)


@pytest.mark.parametrize("threshold", [0.0, 1.5])
def test_a_threshold_is_a_share_of_a_union(threshold):
    with pytest.raises(ValueError, match="thresholds lie in"):
        iou_f(*np.ones((2, 1, 1, 2, 1), dtype=bool), thresholds=(threshold,))


def test_no_videos_have_no_f():
    with pytest.raises(ValueError, match="no videos"):
        iou_f(*np.zeros((2, 0, 3, 2, 1), dtype=bool))

import csv
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tests.oracles import llp as oracle
from vaplan.arrays import AUDIO, VISUAL
from vaplan.metrics.llp import (
    KINDS,
    LEVELS,
    VIDEOS_AT_ONCE,
    LLPSum,
    class_f,
    label_f,
    llp_counts,
    llp_scores,
)
from vaplan.taxonomy import LLP

DATA = Path(__file__).parents[3] / "shared" / "data"


@st.composite
def grids(draw):
    """A reference and an estimate of any size, from empty through runs at the borders to full."""
    videos, time, classes = (
        draw(st.integers(1, 4)),
        draw(st.integers(1, 12)),
        draw(st.integers(1, 4)),
    )
    shape = (videos, time, 2, classes)
    density = st.sampled_from([st.just(False), st.just(True), st.booleans()])
    return tuple(draw(arrays(bool, shape, elements=draw(density))) for _ in range(2))


def assert_same(ours, theirs):
    for level in LEVELS:
        assert list(ours[level]) == list(KINDS)
        for kind in KINDS:
            assert ours[level][kind] == pytest.approx(theirs[level][kind], abs=1e-9)


@given(grids())
@settings(max_examples=300, deadline=None)
def test_the_ten_numbers_equal_a_plain_restatement(pair):
    assert_same(
        llp_scores(*pair).percent(), oracle.llp(*(grid.tolist() for grid in pair))
    )


@given(grids(), st.data())
@settings(max_examples=100, deadline=None)
def test_videos_of_unequal_length_score_as_if_alone(pair, data):
    videos, time = pair[0].shape[:2]
    lengths = [data.draw(st.integers(1, time)) for _ in range(videos)]
    mask = np.arange(time) < np.array(lengths)[:, None]
    cut = [
        [grid[v, :length].tolist() for v, length in enumerate(lengths)] for grid in pair
    ]
    assert_same(llp_scores(*pair, mask=mask).percent(), oracle.llp(*cut))


@given(grids())
@settings(deadline=None)
def test_exchanging_reference_and_estimate_changes_no_score(pair):
    assert_same(llp_scores(*pair).percent(), llp_scores(*reversed(pair)).percent())


def test_the_reference_itself_and_an_empty_pair_score_100():
    reference = np.random.default_rng(0).random((20, 10, 2, 5)) < 0.3
    assert all(
        value == pytest.approx(100)
        for row in llp_scores(reference, reference).percent().values()
        for value in row.values()
    )
    silent = np.zeros((3, 10, 2, 5), dtype=bool)
    assert llp_scores(silent, silent).percent()["event"] == dict.fromkeys(KINDS, 100.0)


def test_a_modality_without_events_scores_one_hundred_for_an_empty_estimate():
    reference = np.zeros((1, 10, 2, 2), dtype=bool)
    reference[0, 2:5, AUDIO, 0] = True
    scores = llp_scores(reference, np.zeros_like(reference)).percent()["segment"]
    assert scores == {
        "audio": 0,
        "visual": 100,
        "audio_visual": 100,
        "type": pytest.approx(200 / 3),
        "event": 0,
    }


def test_an_event_counts_from_half_the_union_on():
    reference, estimate = np.zeros((2, 1, 6, 2, 1), dtype=bool)
    reference[0, :4, AUDIO] = True
    estimate[0, :2, AUDIO] = True
    assert llp_scores(reference, estimate).percent()["event"]["audio"] == 100
    estimate[0, 1, AUDIO] = False
    assert llp_scores(reference, estimate).percent()["event"]["audio"] == 0


def test_an_event_never_runs_from_one_video_into_the_next():
    reference, estimate = np.zeros((2, 2, 3, 2, 1), dtype=bool)
    reference[0, 2], reference[1, 0] = True, True
    estimate[0, 2] = True
    assert llp_scores(reference, estimate).of("event", "audio").tolist() == [1, 0]


def test_scores_add_video_by_video():
    reference, estimate = np.random.default_rng(1).random((2, 30, 6, 2, 4)) < 0.3
    whole = llp_scores(reference, estimate)
    parts = llp_scores(reference[:7], estimate[:7]) + llp_scores(
        reference[7:], estimate[7:]
    )
    assert len(parts) == 30
    assert parts.percent() == whole.percent()


def test_a_sum_over_parts_is_all_that_the_ten_numbers_need():
    reference, estimate = np.random.default_rng(3).random((2, 30, 6, 2, 4)) < 0.3
    parts = [
        llp_scores(reference[part], estimate[part]).sum()
        for part in (slice(0, 0), slice(0, 7), slice(7, 30))
    ]
    added = sum(parts, start=LLPSum(np.zeros((2, 5)), 0))
    assert added.videos == 30
    assert_same(added.percent(), llp_scores(reference, estimate).percent())


def test_many_videos_have_the_scores_of_their_parts():
    reference, estimate = (
        np.random.default_rng(4).random((2, 2 * VIDEOS_AT_ONCE + 5, 3, 2, 2)) < 0.3
    )
    mask = np.random.default_rng(5).random((len(reference), 3)) < 0.7
    whole = llp_scores(reference, estimate, mask=mask).per_video
    one_by_one = zip(reference[:, None], estimate[:, None], mask[:, None], strict=True)
    every = [
        llp_scores(marked, estimated, mask=exists).per_video
        for marked, estimated, exists in one_by_one
    ]
    assert np.array_equal(whole, np.concatenate(every))
    assert np.array_equal(
        llp_counts(reference, estimate).counts,
        (
            llp_counts(reference[:9], estimate[:9])
            + llp_counts(reference[9:], estimate[9:])
        ).counts,
    )


def test_no_videos_have_no_score():
    nothing = np.zeros((0, 10, 2, 3), dtype=bool)
    with pytest.raises(ValueError, match="no videos"):
        llp_scores(nothing, nothing).percent()


def test_the_f_of_labels_is_that_of_the_ten_numbers():
    reference, estimate = np.random.default_rng(2).random((2, 30, 6, 2, 4)) < 0.3
    labels = label_f(reference, estimate)
    numbers = llp_scores(reference, estimate).percent()
    assert labels["visual"] == {level: numbers[level]["visual"] for level in LEVELS}


def test_the_f_of_a_class_sums_counts_over_videos():
    reference, estimate = np.zeros((2, 2, 4, 2, 3), dtype=bool)
    reference[0, :4, VISUAL, 0] = True  # 4 segments, 2 of them found; one event, found
    estimate[0, :2, VISUAL, 0] = True
    estimate[1, 0, VISUAL, 0] = True  # one false alarm
    estimate[0, 0, AUDIO, 1] = True
    f = class_f(reference, estimate)
    assert f[:, VISUAL, 0].tolist() == pytest.approx([100 * 4 / 7, 100 * 2 / 3])
    assert f[:, AUDIO, 1].tolist() == [0, 0]
    assert np.isnan(f[:, AUDIO, 0]).all()
    assert np.isnan(f[:, :, 2]).all()


def test_the_f_of_classes_is_by_name_and_undefined_for_unmarked_classes():
    reference, estimate = np.zeros((2, 1, 4, 2, 2), dtype=bool)
    reference[0, :, :, 0] = True
    estimate[0, 0, AUDIO, 0] = True
    by_class = llp_counts(reference, estimate).per_class(["Dog", "Cat"])
    assert set(by_class["event"]) == set(KINDS)
    assert all(f["Cat"] is None for level in by_class.values() for f in level.values())
    segment = {kind: f["Dog"] for kind, f in by_class["segment"].items()}
    audio = 100 * 2 * 1 / (4 + 1)
    assert segment == pytest.approx(
        {
            "audio": audio,
            "visual": 0,
            "audio_visual": 0,
            "type": audio / 3,
            "event": 100 * 2 * 1 / (8 + 1),
        }
    )


def test_micro_f_weights_a_video_by_its_events():
    reference, estimate = np.zeros((2, 2, 4, 2, 2), dtype=bool)
    reference[0, :, AUDIO] = True  # 8 segments in 2 classes, all found; 2 events
    estimate[0, :, AUDIO] = True
    reference[1, 0, VISUAL, 0] = True  # one segment, missed
    estimate[1, 2, AUDIO, 1] = True  # one false alarm
    numbers = llp_counts(reference, estimate).micro()
    assert numbers["segment"]["audio"] == pytest.approx(100 * 16 / 17)
    assert numbers["event"]["audio"] == pytest.approx(100 * 4 / 5)
    assert numbers["segment"]["event"] == pytest.approx(100 * 16 / 18)
    assert numbers["segment"]["visual"] == 0
    assert np.isnan(numbers["segment"]["audio_visual"])
    assert numbers["segment"]["type"] == pytest.approx(100 * 16 / 17 / 2)


def read(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file, delimiter="\t"))


def official(audio, split, predictor):
    """Reference and estimate grids of an LLP split, painted as the published code does."""
    weak = {
        row["filename"]: row["event_labels"].split(",")
        for row in read(DATA / "llp" / f"AVVP_{split}_pd.csv")
    }
    position = {video: v for v, video in enumerate(weak)}
    reference, estimate = np.zeros((2, len(weak), 10, 2, len(LLP)), dtype=bool)
    for m, path in ((AUDIO, audio), (VISUAL, DATA / "llp" / "AVVP_eval_visual.csv")):
        for row in read(path):
            if row["filename"] in position:
                span = slice(int(row["onset"]), int(row["offset"]))
                reference[
                    position[row["filename"]], span, m, LLP.index(row["event_labels"])
                ] = True
    if predictor == "weak10":
        for video, names in weak.items():
            estimate[position[video], :, :, [LLP.index(name) for name in names]] = True
    return reference, estimate


PUBLISHED = """
llp val empty 0.6163 10.7858 14.3297 8.5773 0 0.6163 10.7858 14.3297 8.5773 0
llp val weak10 77.0748 58.6541 52.0727 62.6005 71.5336 63.8487 53.4754 44.1491 53.8244 61.1207
llp test empty 0.5 10.0833 14.5 8.3611 0 0.5 10.0833 14.5 8.3611 0
llp test weak10 76.1176 60.3480 52.6103 63.0253 71.7258 63.0272 55.7527 44.6921 54.4907 61.6011
llp-legacy test weak10 76.0802 60.3480 52.6072 63.0118 71.7029 63.0272 55.7527 44.6921 54.4907 61.6039
"""
PRESENT = [
    line.split()
    for line in PUBLISHED.split("\n")
    if line and (DATA / line.split()[0]).is_dir()
]


@pytest.mark.parametrize("case", PRESENT, ids=lambda case: "-".join(case[:3]))
def test_the_numbers_on_real_annotations_are_those_of_the_published_code(case):
    data, split, predictor, *expected = case
    numbers = llp_scores(
        *official(DATA / data / "AVVP_eval_audio.csv", split, predictor)
    ).percent()
    ours = [numbers[level][kind] for level in LEVELS for kind in KINDS]
    assert ours == pytest.approx([float(value) for value in expected], abs=5.1e-5)

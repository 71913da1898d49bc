from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tests.oracles import ave as oracle
from vaplan.metrics.ave import ave_labels, ave_scores

DATA = Path(__file__).parents[3] / "shared" / "data" / "ave"
SECONDS = 10


@st.composite
def labelled(draw):
    """Labels of both sides, a mask, and the number of classes."""
    classes = draw(st.integers(1, 4))
    shape = draw(st.integers(1, 4)), draw(st.integers(1, 6))
    label = arrays(np.int64, shape, elements=st.integers(0, classes))
    return draw(label), draw(label), draw(arrays(bool, shape)), classes


@given(labelled())
def test_the_accuracies_equal_a_plain_restatement(case):
    reference, estimate, mask, classes = case
    pairs = list(zip(reference[mask].tolist(), estimate[mask].tolist(), strict=True))
    expected = oracle.accuracies(pairs, classes)
    assert ave_scores(
        reference, estimate, classes=classes, mask=mask
    ).percent() == pytest.approx(expected, nan_ok=True)
    by_label = ave_scores(
        reference, estimate, classes=classes, mask=mask
    ).label_accuracy()
    recalls = [
        oracle.share([r == e for r, e in pairs if r == label])
        for label in range(classes + 1)
    ]
    assert by_label.tolist() == pytest.approx(recalls, nan_ok=True)


@given(labelled())
def test_scores_add_over_videos(case):
    reference, estimate, mask, classes = case
    parts = [
        ave_scores(reference[part], estimate[part], classes=classes, mask=mask[part])
        for part in (slice(0, 1), slice(1, None))
    ]
    added, whole = (
        parts[0] + parts[1],
        ave_scores(reference, estimate, classes=classes, mask=mask),
    )
    assert np.array_equal(added.confusion, whole.confusion)
    assert np.array_equal(added.per_video, whole.per_video, equal_nan=True)


@given(st.data())
def test_a_segment_has_the_label_of_its_best_marked_class(data):
    shape = (
        data.draw(st.integers(1, 3)),
        data.draw(st.integers(1, 3)),
        data.draw(st.integers(1, 4)),
    )
    grid = data.draw(arrays(bool, shape))
    score = data.draw(
        arrays(np.float32, shape, elements=st.sampled_from([-1.0, 0.0, 0.5, 1.0]))
    )
    labels = ave_labels(grid, score=score)
    for v, t in np.ndindex(shape[:2]):
        assert labels[v, t] == oracle.label(grid[v, t].tolist(), score[v, t].tolist())


def test_videos_of_one_length_have_the_mean_of_their_accuracies():
    reference, estimate = np.random.default_rng(0).integers(0, 4, (2, 30, SECONDS))
    scores = ave_scores(reference, estimate, classes=3)
    assert 100 * scores.per_video.mean() == pytest.approx(scores.accuracy())


def test_an_empty_estimate_is_right_only_in_the_background():
    reference = np.array([[0, 0, 1, 3], [3, 3, 3, 3]])
    silent = np.full_like(reference, 3)
    scores = ave_scores(reference, silent, classes=3)
    assert scores.percent() == {
        "accuracy": 62.5,
        "event_accuracy": 62.5,
        "foreground_accuracy": 0,
        "background_accuracy": 100,
    }
    assert scores.per_class(["Dog", "Cat", "Bus"]) == {
        "Dog": 0,
        "Cat": 0,
        "Bus": None,
        "background": 100,
    }
    assert scores.per_video.tolist() == [0.25, 1]


def test_a_wrong_class_counts_as_an_event_in_the_event_accuracy():
    numbers = ave_scores(np.array([[0, 2]]), np.array([[1, 2]]), classes=2).percent()
    assert (numbers["accuracy"], numbers["event_accuracy"]) == (50, 100)


def test_labels_of_a_byte_are_counted_like_any():
    reference, estimate = np.random.default_rng(1).integers(0, 29, (2, 5, SECONDS))
    small = reference.astype(np.int8), estimate.astype(np.int8)
    assert (
        ave_scores(reference, estimate, classes=28).percent()
        == ave_scores(*small, classes=28).percent()
    )


def test_a_label_beyond_background_is_no_label():
    with pytest.raises(
        ValueError, match=r"labels run from 0 to 2 \(background\), not from 0 to 3"
    ):
        ave_scores(np.array([[0, 1]]), np.array([[0, 3]]), classes=2).percent()


@pytest.mark.skipif(not DATA.is_dir(), reason="the published annotations are not here")
def test_an_oracle_of_the_class_has_the_published_ceiling_on_the_test_split():
    lines = [
        line.split("&") for line in (DATA / "Annotations.txt").read_text().splitlines()
    ]
    names = list(dict.fromkeys(name for name, *_ in lines))
    rows = [lines[int(line)] for line in (DATA / "test_order.txt").read_text().split()]
    background, second = len(names), np.arange(SECONDS)
    reference = np.array(
        [
            np.where(
                (int(start) <= second) & (second < int(end)),
                names.index(name),
                background,
            )
            for name, _, _, start, end in rows
        ]
    )
    of_video = np.array([[names.index(name)] * SECONDS for name, *_ in rows])
    everywhere = ave_scores(reference, of_video, classes=background)
    nowhere = ave_scores(
        reference, np.full_like(of_video, background), classes=background
    )
    assert round(everywhere.accuracy(), 2) == 82.21
    assert (
        round(
            100 * float(np.maximum(everywhere.per_video, nowhere.per_video).mean()), 2
        )
        == 88.68
    )
    assert round(nowhere.accuracy(), 1) == 17.8

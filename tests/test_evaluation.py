"""Tables against tables."""

from pathlib import Path

import pytest

from tests.official import write_ave
from vaplan.annotations import Annotations, ave, merge_rows, read_table
from vaplan.errors import AnnotationError, UsageError
from vaplan.evaluation import evaluate

HEADER = "video,modality,class,onset,offset,score,path,split\n"


def read(path: Path, text: str) -> Annotations:
    path.write_text(HEADER + text, encoding="utf-8")
    return read_table(path)


@pytest.fixture
def reference(tmp_path: Path) -> Annotations:
    text = "a,audio,Dog,0,4,,,test\na,visual,Cat,2,3,,,test\nb,audio,Cat,1,2,,,test\nc,,Dog,,,,,train\n"
    return read(tmp_path / "reference.csv", text)


def test_the_reference_itself_scores_a_hundred(reference: Annotations) -> None:
    numbers = evaluate(reference, reference, split="test").numbers()
    assert {value for kinds in numbers.values() for value in kinds.values()} == {100.0}


def test_half_an_event_scores_as_by_hand(
    reference: Annotations, tmp_path: Path
) -> None:
    estimate = read(
        tmp_path / "estimate.csv",
        "a,audio,Dog,0,2,,,\na,visual,Cat,2,3,,,\nb,audio,Cat,1,2,,,\n",
    )
    numbers = evaluate(reference, estimate, split="test").numbers()
    assert numbers["segment"]["audio"] == pytest.approx(
        100 * (2 * 2 / (2 * 2 + 2) + 1) / 2
    )
    assert numbers["event"]["audio"] == 100.0  # an overlap of exactly one half counts


def test_a_video_without_rows_counts_as_empty_and_other_splits_are_ignored(
    reference: Annotations, tmp_path: Path
) -> None:
    estimate = read(
        tmp_path / "e.csv",
        "a,audio,Dog,0,4,,,\na,visual,Cat,2,3,,,\nc,audio,Dog,0,1,,,\n",
    )
    result = evaluate(reference, estimate, split="test")
    assert (result.data.ids, result.missing, result.ignored) == (
        ("a", "b"),
        ("b",),
        ("c",),
    )
    assert result.numbers()["segment"] == {
        "audio": 50,
        "visual": 100,
        "audio_visual": 100,
        "type": 250 / 3,
        "event": 50,
    }


def test_excluded_videos_are_not_scored_and_are_reported(
    reference: Annotations, tmp_path: Path
) -> None:
    estimate = read(tmp_path / "e.csv", "a,audio,Dog,0,4,,,\na,visual,Cat,2,3,,,\n")
    result = evaluate(reference, estimate, split="test", without=["b", "c"])
    assert (result.data.ids, result.missing, result.left_out) == (("a",), (), ("b",))
    assert result.numbers()["event"]["type"] == 100
    with pytest.raises(
        UsageError, match="no densely labelled video in split 'test' is left"
    ):
        evaluate(reference, estimate, split="test", without=["a", "b"])
    with pytest.raises(
        UsageError, match="the video to leave out 'z' is not in the data set"
    ):
        evaluate(reference, estimate, without=["z"])


def test_unknown_videos_and_classes_and_splits_without_labels_are_errors(
    reference: Annotations, tmp_path: Path
) -> None:
    with pytest.raises(
        AnnotationError,
        match=r"e\.csv:3: 1 of 2 videos are not in the data set, the first is 'z'",
    ):
        evaluate(
            reference,
            read(tmp_path / "e.csv", "a,audio,Dog,0,4,,,\nz,audio,Dog,0,4,,,\n"),
            split="test",
        )
    with pytest.raises(
        AnnotationError, match="unknown class 'Dgo'; did you mean 'Dog'"
    ):
        evaluate(
            reference, read(tmp_path / "e.csv", "a,audio,Dgo,0,4,,,\n"), split="test"
        )
    with pytest.raises(UsageError, match="no densely labelled video in split 'train'"):
        evaluate(reference, reference, split="train")


def test_classes_are_scored_separately_and_none_means_no_events(
    reference: Annotations,
) -> None:
    by_class = evaluate(reference, reference, split="test").per_class()
    assert by_class["segment"]["audio"] == {"Cat": 100, "Dog": 100}
    assert by_class["event"]["visual"] == {"Cat": 100, "Dog": None}


def test_an_estimate_does_not_differ_from_itself_and_its_intervals_contain_its_scores(
    reference: Annotations, tmp_path: Path
) -> None:
    result = evaluate(
        reference, read(tmp_path / "e.csv", "a,audio,Dog,0,2,,,\n"), split="test"
    )
    assert result.minus(result)["segment"]["audio"] == {"value": 0, "low": 0, "high": 0}
    low, high = result.intervals()["segment"]["audio"]
    assert low <= result.numbers()["segment"]["audio"] <= high
    assert low < high


def test_the_difference_of_two_estimates_is_that_of_their_scores(
    reference: Annotations, tmp_path: Path
) -> None:
    worse = evaluate(
        reference, read(tmp_path / "e.csv", "a,audio,Dog,0,2,,,\n"), split="test"
    )
    better = evaluate(reference, reference, split="test")
    ahead = better.minus(worse)["event"]["type"]["value"]
    assert ahead == pytest.approx(
        better.numbers()["event"]["type"] - worse.numbers()["event"]["type"]
    )


@pytest.fixture
def localised(tmp_path: Path) -> Annotations:
    return merge_rows(ave.read(write_ave(tmp_path / "ave")))


def test_ave_is_scored_by_accuracy_and_both_stands_for_an_audio_visual_event(
    localised: Annotations, tmp_path: Path
) -> None:
    text = "RUhOCu3LNXM@2,both,Bark,2,4,,,\nRUhOCu3LNXM@2,audio,Bark,7,9,,,\nRUhOCu3LNXM@0,both,Bark,0,9,,,\n"
    result = evaluate(localised, read(tmp_path / "e.csv", text), split="test")
    assert (
        result.numbers()["accuracy"] == 90
    )  # 1 of 3 seconds of the event missed; an event that is only audible is background
    assert result.ignored == ("RUhOCu3LNXM@0",)
    assert result.per_class()["Bark"] == pytest.approx(200 / 3)
    assert result.per_class()["background"] == 100
    assert result.intervals() == {"accuracy": [90, 90]}


def test_of_several_classes_in_a_segment_the_most_confident_one_counts(
    localised: Annotations, tmp_path: Path
) -> None:
    sure = (
        "RUhOCu3LNXM@2,both,Church bell,2,5,0.{},,\nRUhOCu3LNXM@2,both,Bark,2,5,0.5,,\n"
    )
    wrong, right = (
        evaluate(localised, read(tmp_path / "e.csv", sure.format(n)), split="test")
        for n in (9, 1)
    )
    assert (wrong.numbers()["accuracy"], right.numbers()["accuracy"]) == (70, 100)

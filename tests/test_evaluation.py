"""Tables against tables."""

from pathlib import Path

import pytest

from vaplan.annotations import Annotations, read_table
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
    numbers = evaluate(reference, reference, split="test").scores.percent()
    assert {value for kinds in numbers.values() for value in kinds.values()} == {100.0}


def test_half_an_event_scores_as_by_hand(reference: Annotations, tmp_path: Path) -> None:
    estimate = read(tmp_path / "estimate.csv", "a,audio,Dog,0,2,,,\na,visual,Cat,2,3,,,\nb,audio,Cat,1,2,,,\n")
    numbers = evaluate(reference, estimate, split="test").scores.percent()
    assert numbers["segment"]["audio"] == pytest.approx(100 * (2 * 2 / (2 * 2 + 2) + 1) / 2)
    assert numbers["event"]["audio"] == 100.0  # an overlap of exactly one half counts


def test_what_the_estimate_leaves_out_and_adds_is_counted(reference: Annotations, tmp_path: Path) -> None:
    result = evaluate(reference, read(tmp_path / "e.csv", "a,audio,Dog,0,4,,,\nc,audio,Dog,0,1,,,\n"), split="test")
    assert (len(result.scores), result.missing, result.ignored) == (1, ("b",), ("c",))


def test_strangers_unknown_classes_and_empty_comparisons_are_errors(reference: Annotations, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="1 of 1 videos are not in the data set, the first is 'z'"):
        evaluate(reference, read(tmp_path / "e.csv", "z,audio,Dog,0,4,,,\n"), split="test")
    with pytest.raises(AnnotationError, match="unknown class 'Dgo'; did you mean 'Dog'"):
        evaluate(reference, read(tmp_path / "e.csv", "a,audio,Dgo,0,4,,,\n"), split="test")
    with pytest.raises(UsageError, match="nothing to compare"):
        evaluate(reference, read(tmp_path / "e.csv", "c,audio,Dog,0,4,,,\n"), split="test")

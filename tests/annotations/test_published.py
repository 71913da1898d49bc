"""What the readers of published data sets share."""

from pathlib import Path

import pytest

from vaplan.annotations.published import expect_seconds, split_of, youtube_id
from vaplan.errors import AnnotationError


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("training", "train"),
        ("Validation", "val"),
        ("audioset_eval_strong", "test"),
        ("unbalanced_train_segments", "train"),
        ("2019_test-1", "test"),
        ("contest", ""),
        ("", ""),
    ],
)
def test_a_split_is_a_whole_word_of_a_name(name: str, split: str) -> None:
    assert split_of(name) == split


def test_the_start_is_no_part_of_the_recording() -> None:
    assert youtube_id("a_b-c_d_e_f_000030") == "a_b-c_d_e_f"
    assert youtube_id("nothing") == "nothing"


@pytest.mark.parametrize("value", [None, "1", True, -0.1, 1e6, float("inf"), 10**400])
def test_only_a_number_of_seconds_is_a_time(value: object) -> None:
    with pytest.raises(
        AnnotationError, match=r"file\.json: x\[0\] is .*, expected a n"
    ):
        expect_seconds(value, "x[0]", file=Path("file.json"))

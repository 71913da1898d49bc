"""The language of conditions: what is read, and what is refused with its place."""

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vaplan.errors import UsageError
from vaplan.search.conditions import (
    EventCondition,
    check_classes,
    read_condition,
    to_sql,
)


@pytest.mark.parametrize(
    ("text", "expression"),
    [
        ("audio:Dog", "e0"),
        ("a and b and c", "(e0 AND e1 AND e2)"),
        ("a or b and c", "(e0 OR (e1 AND e2))"),
        ("(a or b) and c", "((e0 OR e1) AND e2)"),
        ("not a and b", "(NOT e0 AND e1)"),
        ("not (a and b)", "NOT (e0 AND e1)"),
        ("not not a", "NOT NOT e0"),
        ("a AND NOT a", "(e0 AND NOT e0)"),
        ("a and video(b or a) or video(c)", "((e0 AND w0) OR w1)"),
    ],
)
def test_and_binds_more_than_or(text: str, expression: str) -> None:
    assert read_condition(text).expression == expression


def test_events_have_modality_class_and_score() -> None:
    text = 'audio:Dog>=0.5 or "Dog ""big"" (loud)" or visual:"and" < 1e-3 or -x'
    assert read_condition(text).events == (
        EventCondition("Dog", "audio", ">=", 0.5),
        EventCondition('Dog "big" (loud)'),
        EventCondition("and", "visual", "<", 0.001),
        EventCondition("-x"),
    )


def test_values_of_the_user_are_parameters_and_never_in_the_statement() -> None:
    evil = "x'; DROP TABLE events; --"
    statement, values = to_sql(read_condition(f'audio:"{evil}" > 0.25'))
    assert "DROP" not in statement
    assert "0.25" not in statement
    assert values == [evil, "audio", 0.25]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "at the end, expected a class, not, video or"),
        ("a and", "at the end, expected a class"),
        ("a b", "at 'b', expected and, or, or the end"),
        ("(a or b", r"at the end, expected and, or, or \)"),
        ("a)", r"at '\)', expected and"),
        ("video a", r"at 'a', expected \( after video"),
        ("a > high", "at 'high', expected a score"),
        ("a > audio:1", "expected a score"),
        ("a >", "at the end, expected a score"),
        ("a > inf", "expected a finite score"),
        ('"a', "'\"a' in the condition cannot be read"),
        ("a = b", "'= b' in the condition cannot be read"),
        ("(" * 60 + "a" + ")" * 60, "nested deeper than 50"),
        ("not " * 60 + "a", "nested deeper than 50"),
        ("a or " * 5_000 + "a", "at most 10,000"),
    ],
)
def test_a_mistake_is_named_with_its_place(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        read_condition(text)


@given(st.text("audiovsl:()\"<>= nt1.\n'", max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    with suppress(UsageError):
        to_sql(read_condition(text))


def test_a_class_that_does_not_occur_names_the_nearest() -> None:
    condition = read_condition("audio:Dog or Catt")
    with pytest.raises(UsageError, match="unknown class 'Catt'; did you mean 'Cat'"):
        check_classes(condition, {"Dog", "Cat"}, file=Path("a.csv"))
    check_classes(condition, {"Dog", "Catt"}, file=Path("a.csv"))

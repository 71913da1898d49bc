"""Events that a page may send, and those that are refused."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vaplan.review.edits import (
    ClassNames,
    EditError,
    as_json,
    read_events,
    sort_events,
)
from vaplan.timeline import Event

OPEN = ClassNames(("Dog", "Rain"))
CLOSED = ClassNames(("Dog", "Rain"), is_closed=True)
GOOD = {"modality": "audio", "class": "Dog", "onset": 0.0, "offset": 1.0, "score": None}

times = st.integers(0, 1_000_000).map(lambda n: n / 10_000)
events = st.builds(
    lambda modality, name, onset, length, score: Event(
        modality, name, onset, round(onset + length, 4), score
    ),
    st.sampled_from(["audio", "visual"]),
    st.sampled_from(["Dog", "Rain", "<img src=x>", "גשם"]),
    times,
    times.filter(bool),
    st.none(),
)


@given(st.lists(events, unique=True))
def test_events_come_back_sorted_and_unchanged(given_events: list[Event]) -> None:
    sent = [as_json(event) for event in given_events]
    assert read_events(sent, OPEN) == sort_events(given_events)


def test_times_are_rounded_to_a_tenth_of_a_millisecond() -> None:
    (event,) = read_events([GOOD | {"onset": 0.123456789}], OPEN)
    assert event.onset == 0.1235


def test_of_equal_events_one_without_a_score_stays() -> None:
    sent = [GOOD | {"score": 0.25}, GOOD, GOOD | {"score": 0.75}]
    assert read_events(sent, OPEN) == (Event("audio", "Dog", 0.0, 1.0),)


def test_a_new_class_is_accepted_unless_a_taxonomy_lists_all() -> None:
    sent = [GOOD | {"class": " Door "}]
    assert read_events(sent, OPEN)[0].class_name == "Door"
    with pytest.raises(EditError, match="unknown class 'Door'"):
        read_events(sent, CLOSED)


def test_two_spellings_of_a_new_class_are_refused() -> None:
    sent = [GOOD | {"class": "Door"}, GOOD | {"class": "door"}]
    with pytest.raises(EditError, match="differs from 'Door' in case alone"):
        read_events(sent, OPEN)


@pytest.mark.parametrize(
    "value",
    [
        None,
        {},
        "events",
        [None],
        [[]],
        [GOOD | {"extra": 1}],
        [GOOD | {"modality": "both"}],
        [GOOD | {"modality": ["audio"]}],
        [GOOD | {"class": ""}],
        [GOOD | {"class": None}],
        [GOOD | {"class": 7}],
        [GOOD | {"class": "dog"}],
        [GOOD | {"class": "nan"}],
        [GOOD | {"class": "a\nb"}],
        [GOOD | {"class": "a\0b"}],
        [GOOD | {"class": "\ud800"}],
        [GOOD | {"class": "x" * 201}],
        [GOOD | {"onset": None}],
        [GOOD | {"onset": "0"}],
        [GOOD | {"onset": True}],
        [GOOD | {"onset": -0.1}],
        [GOOD | {"onset": 1.0}],
        [GOOD | {"onset": 0.99999}],
        [GOOD | {"onset": float("nan")}],
        [GOOD | {"offset": float("inf")}],
        [GOOD | {"offset": 10**400}],
        [GOOD | {"offset": 172_801}],
        [GOOD | {"score": "high"}],
        [GOOD | {"score": float("nan")}],
        [GOOD] * 5_001,
    ],
)
def test_bad_events_are_refused(value: Any) -> None:
    with pytest.raises(EditError):
        read_events(value, OPEN)

"""Strict JSON of a change."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vaplan.review.changes import Change, RequestError, read_change
from vaplan.review.edits import EditError

VALUE: dict[str, Any] = {
    "version": 3,
    "state": "done",
    "action": "nudge",
    "events": [{"class": "Dög"}],
}


def test_a_change_is_read_and_the_person_is_optional() -> None:
    expected = Change(3, "done", "nudge", "", [{"class": "Dög"}])
    assert read_change(json.dumps(VALUE).encode()) == expected
    with_person = json.dumps(VALUE | {"person": "Ada"}, ensure_ascii=False).encode()
    assert read_change(with_person).person == "Ada"


@pytest.mark.parametrize("name", ["version", "state", "action"])
def test_a_missing_key_is_named(name: str) -> None:
    value = {key: one for key, one in VALUE.items() if key != name}
    with pytest.raises(EditError, match=name):
        read_change(json.dumps(value).encode())


@given(st.binary(max_size=200))
def test_any_bytes_are_a_change_or_one_of_two_errors(body: bytes) -> None:
    with pytest.raises((RequestError, EditError)):
        read_change(body)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_any_json_without_the_keys_is_an_error(value: Any) -> None:
    with pytest.raises((RequestError, EditError)):
        read_change(json.dumps(value).encode())

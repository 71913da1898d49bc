"""Replies are JSON in ASCII."""

import json

import pytest

from vaplan.review.replies import encode_json, error_value


def test_any_text_is_encoded_and_decoded() -> None:
    text = "ü \u202e <img onerror=1> \udcff \0"
    content = encode_json({"name": text})
    assert content.isascii()
    assert json.loads(content) == {"name": text}


def test_a_number_that_json_does_not_have_is_an_error() -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        encode_json([float("nan")])


def test_an_error_has_a_message_and_a_fix() -> None:
    assert error_value("full", "free space") == {"message": "full", "fix": "free space"}

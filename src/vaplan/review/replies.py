"""Content of replies: JSON that is valid everywhere, and errors with a fix."""

import json
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Refusal:
    """Why a request is refused.

    Attributes:
        status: HTTP status.
        message: The problem.
        fix: What to do.
    """

    status: int
    message: str
    fix: str = ""


def error_value(message: str, fix: str = "") -> dict[str, str]:
    """Return the JSON value of an error.

    Args:
        message: The problem.
        fix: What to do.
    """
    return {"message": message, "fix": fix}


def encode_json(value: Any) -> bytes:
    """Return a JSON value in ASCII, so that any text of a file name passes.

    Raises:
        ValueError: A number is not finite.
    """
    text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    return text.encode("ascii")

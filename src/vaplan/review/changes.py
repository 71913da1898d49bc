"""Changes that a page sends, as strict JSON."""

import json
from dataclasses import dataclass
from typing import Any

from vaplan.errors import excerpt
from vaplan.review.edits import EditError

KEYS = frozenset(("version", "state", "action", "person", "events"))
MAX_VERSION = 10**9


class RequestError(Exception):
    """A body that is not JSON."""


@dataclass(frozen=True)
class Change:
    """A change of the events of a video; the session checks the events themselves.

    Attributes:
        version: Version that it is based on.
        state: State after it.
        action: Kind of the change.
        person: Name of the person; empty for that of the session.
        events: JSON value: all events.
    """

    version: int
    state: str
    action: str
    person: str
    events: Any


def read_change(body: bytes) -> Change:
    """Read the body of a request.

    Args:
        body: JSON object with version, state, action and events, and perhaps person.

    Raises:
        RequestError: It is not JSON, a name occurs twice, or a number is not finite.
        EditError: A value has another type.
    """
    value = _parse(body)
    if not isinstance(value, dict) or not KEYS.issuperset(value):
        known = ", ".join(sorted(KEYS))
        raise EditError(f"{excerpt(value)} is no change; keys: {known}")
    version = value.get("version")
    if (
        type(version) is not int or not 0 <= version <= MAX_VERSION
    ):  # True is an int, too
        raise EditError(f"version is {excerpt(version)}, expected a whole number")
    texts = {
        "state": value.get("state"),
        "action": value.get("action"),
        "person": value.get("person", ""),
    }
    for name, text in texts.items():
        if not isinstance(text, str):
            raise EditError(f"{name} is {excerpt(text)}, expected a text")
    return Change(version, events=value.get("events"), **texts)


def _parse(body: bytes) -> Any:
    try:
        return json.loads(
            body.decode("utf-8"),
            parse_constant=_refuse_constant,
            object_pairs_hook=_unique_names,
        )
    except RecursionError:
        raise RequestError("the JSON is too deep") from None
    except ValueError as error:
        raise RequestError(f"not JSON: {error}") from error


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no number of JSON")


def _unique_names(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError("a name occurs twice")
    return value

"""Checks of the events that a page sends before they are saved."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from vaplan.annotations.fields import LONGEST_SECONDS, check_text
from vaplan.errors import AnnotationError, UsageError, excerpt, unknown
from vaplan.modalities import MODALITIES
from vaplan.timeline import Event

MAX_EVENTS = 5_000  # of one video
MAX_CLASS_NAME = 200  # characters
DECIMALS = 4  # of a second; a table writes 48 hours with this precision
MAX_NUMBER = 1e9
KEYS = frozenset(("modality", "class", "onset", "offset", "score"))


class EditError(UsageError):
    """Events that cannot be saved."""


@dataclass(frozen=True)
class ClassNames:
    """The classes that an event may have.

    Attributes:
        names: Names of the known classes.
        is_closed: Whether other classes are refused.
    """

    names: tuple[str, ...]
    is_closed: bool = False

    def check(self, value: object) -> str:
        """Return the name of an existing or a new class.

        Args:
            value: JSON value.

        Raises:
            EditError: It is no name, it differs from a known class in case alone, or new
                classes are refused.
        """
        if not isinstance(value, str) or not value.strip():
            raise EditError(f"class is {excerpt(value)}, expected a name")
        name = value.strip()
        if name in self.names:
            return name
        if len(name) > MAX_CLASS_NAME:
            raise EditError(
                f"class {excerpt(name)} has more than {MAX_CLASS_NAME} characters"
            )
        try:
            check_text("class", name, file=Path(), line=None)
            name.encode()
        except (AnnotationError, UnicodeEncodeError) as error:
            raise EditError(f"class {excerpt(name)} is not plain text") from error
        alike = [one for one in self.names if one.casefold() == name.casefold()]
        if alike:
            raise EditError(f"class {name!r} differs from {alike[0]!r} in case alone")
        if self.is_closed:
            raise EditError(unknown("class", name, self.names))
        return name

    def including(self, names: Iterable[str]) -> "ClassNames":
        """Return the classes with more names, which come last.

        Args:
            names: Names of classes, known or new.
        """
        return replace(self, names=tuple(dict.fromkeys([*self.names, *names])))


def read_events(value: object, classes: ClassNames) -> tuple[Event, ...]:
    """Check the events that a page sends, and sort them by time.

    Times are rounded to a tenth of a millisecond. Of several events with equal class,
    modality and times one stays, without a score if one of them has none.

    Args:
        value: JSON value: a list of events.
        classes: Classes that an event may have.

    Raises:
        EditError: A value is not valid.
    """
    if not isinstance(value, list):
        raise EditError(f"events are {excerpt(value)}, expected a list")
    if len(value) > MAX_EVENTS:
        raise EditError(
            f"{len(value):,} events, expected at most {MAX_EVENTS:,} in one video"
        )
    unique = dict[tuple[str, str, float, float], Event]()
    spellings = classes
    for one in value:
        event = _read_event(one, spellings)
        spellings = spellings.including([event.class_name])
        key = (event.modality, event.class_name, event.onset, event.offset)
        if key not in unique or event.score is None:
            unique[key] = event
    return sort_events(unique.values())


def sort_events(events: Iterable[Event]) -> tuple[Event, ...]:
    """Sort events by onset, modality, class and offset.

    Args:
        events: Events of one video.
    """
    return tuple(
        sorted(events, key=lambda e: (e.onset, e.modality, e.class_name, e.offset))
    )


def without_scores(events: Iterable[Event]) -> tuple[Event, ...]:
    """Return the events as statements of a person, which have no score.

    Args:
        events: Events of one video.
    """
    return tuple(replace(event, score=None) for event in events)


def as_json(event: Event) -> dict[str, str | float | None]:
    """Return an event as the JSON value that `read_events` takes.

    Args:
        event: Event of a video.
    """
    return {
        "modality": event.modality,
        "class": event.class_name,
        "onset": event.onset,
        "offset": event.offset,
        "score": event.score,
    }


def _read_event(value: object, classes: ClassNames) -> Event:
    if not isinstance(value, dict) or not KEYS.issuperset(value):
        raise EditError(
            f"{excerpt(value)} is no event; keys: {', '.join(sorted(KEYS))}"
        )
    modality = value.get("modality")
    if modality not in MODALITIES:
        raise EditError(unknown("modality", str(modality), MODALITIES))
    onset = round(_read_number(value, "onset"), DECIMALS)
    offset = round(_read_number(value, "offset"), DECIMALS)
    if not 0 <= onset < offset <= LONGEST_SECONDS:
        raise EditError(
            f"an event from {onset:g} s to {offset:g} s; expected "
            f"0 <= onset < offset <= {LONGEST_SECONDS:,.0f}"
        )
    score = None
    if value.get("score") is not None:
        score = float(f"{_read_number(value, 'score'):.10g}")  # as a table writes it
    return Event(modality, classes.check(value.get("class")), onset, offset, score)


def _read_number(value: Mapping[str, object], key: str) -> float:
    number = value.get(key)
    if isinstance(number, bool) or not isinstance(number, int | float):
        raise EditError(f"{key} is {excerpt(number)}, expected a number")
    if not -MAX_NUMBER < number < MAX_NUMBER:  # true of NaN, too
        raise EditError(f"{key} is {excerpt(number)}, expected a smaller number")
    return float(number)

"""Names and times of events in formats that know neither modalities nor scores.

The label of an event is its modality, class and score, as in `audio:Dog [0.83]`; its lane (a tier
of ELAN or Praat) is `audio:Dog`. Formats with whole units of time, such as milliseconds, get
rounded times.
"""

import math
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from vaplan.annotations.fields import LONGEST_SECONDS, check_text
from vaplan.annotations.rows import BOTH
from vaplan.errors import AnnotationError, excerpt
from vaplan.modalities import MODALITIES
from vaplan.reading import plain_number
from vaplan.timeline import Event, Timeline, merge, split_lane

MILLISECONDS = 1000  # in a second
SCORE = re.compile(r" \[([^\[\]]*)\]$")  # at the end of a label
MODALITY_FIX = (
    "write the modality before the class, as in audio:Dog, or name it with --modality"
)


@dataclass(frozen=True)
class Defaults:
    """Facts that files of other tools may lack.

    Attributes:
        modality: Modality of the events whose label names none: `audio`, `visual` or `both`.
            Without it, such a label is an error.
        frame_rate: Frames a second, for times that are frame numbers.
    """

    modality: str = ""
    frame_rate: float | None = None


NO_DEFAULTS = Defaults()
Reader = Callable[[Path, str, Defaults], list[Timeline]]


def label(event: Event) -> str:
    """Name an event with its score; see `read_label`.

    >>> label(Event("audio", "Dog", 1.0, 2.0, 0.83)), label(Event("audio", "Dog [2]", 1.0, 2.0))
    ('audio:Dog [0.83]', 'audio:Dog [2] []')
    """
    return with_score(event.lane, event.score)


def with_score(text: str, score: float | None) -> str:
    """Add a score to a text; empty brackets protect brackets that are no score.

    Args:
        text: Name of a class or lane.
        score: Score of the event, if it has one.
    """
    if score is not None:
        return f"{text} [{score!r}]"
    return f"{text} []" if SCORE.search(text) else text


def split_score(
    text: str, *, file: Path, line: int | None = None
) -> tuple[str, float | None]:
    """Separate the score from a text; other brackets at its end belong to the text.

    Args:
        text: Text of `with_score`, or of a person.
        file: File, for errors.
        line: Line, for errors.

    Raises:
        AnnotationError: The score is not finite.
    """
    match = SCORE.search(text)
    if match is None:
        return text, None
    name, content = text[: match.start()], match[1]
    if not content:
        return name, None
    score = plain_number(content)
    if score is None:  # a part of the name
        return text, None
    if not math.isfinite(score):
        raise AnnotationError(
            f"the score of {excerpt(text)} is not finite",
            file=file,
            line=line,
            fix="write a plain number such as 0.5",
        )
    return name, score


def read_lane(
    text: str, defaults: Defaults, *, file: Path, line: int | None = None
) -> tuple[tuple[str, ...], str]:
    """Separate the modality of a lane from its class.

    Args:
        text: Name of a lane, such as `audio:Dog`; `both:Dog` is one lane for each modality.
        defaults: Modality of a lane that names none.
        file: File, for errors.
        line: Line, for errors.

    Returns:
        Modalities and class.

    Raises:
        AnnotationError: The lane names no modality and there is no default, or its class is
            empty or not printable.
    """
    modality, name = split_lane(text)
    if text.startswith(f"{BOTH}:"):
        modality, name = BOTH, text.removeprefix(f"{BOTH}:")
    modality = modality or defaults.modality
    class_name = name.strip()
    if not modality:
        raise AnnotationError(
            f"label {excerpt(text)} has no modality",
            file=file,
            line=line,
            fix=MODALITY_FIX,
        )
    if not class_name:
        raise AnnotationError(
            f"label {excerpt(text)} has no class",
            file=file,
            line=line,
            fix="write the class after the modality, as in audio:Dog",
        )
    check_text("class", class_name, file=file, line=line)
    return in_modalities(modality), class_name


def read_label(
    text: str,
    onset: float,
    offset: float,
    defaults: Defaults,
    *,
    file: Path,
    line: int | None = None,
) -> list[Event]:
    """Read the events of a label: one, or one for each modality.

    Args:
        text: Label, as `label` writes it.
        onset: Start in seconds.
        offset: End in seconds.
        defaults: Modality of a label that names none.
        file: File, for errors.
        line: Line, for errors.

    Raises:
        AnnotationError: The label or its times are not valid.
    """
    name, score = split_score(text.strip(), file=file, line=line)
    modalities, class_name = read_lane(name, defaults, file=file, line=line)
    check_span(onset, offset, text, file=file, line=line)
    return [
        Event(modality, class_name, onset, offset, score) for modality in modalities
    ]


def in_modalities(modality: str) -> tuple[str, ...]:
    """Return the modalities of a name: `audio`, `visual`, or `both`.

    >>> in_modalities("both"), in_modalities("audio")
    (('audio', 'visual'), ('audio',))
    """
    return MODALITIES if modality == BOTH else (modality,)


def check_span(
    onset: float, offset: float, text: str, *, file: Path, line: int | None = None
) -> None:
    """Check that an event starts before it ends, within 48 hours.

    Args:
        onset: Start in seconds.
        offset: End in seconds.
        text: Label of the event, for errors.
        file: File, for errors.
        line: Line, for errors.

    Raises:
        AnnotationError: The times are not valid.
    """
    if not 0 <= onset < offset <= LONGEST_SECONDS:  # also refuses NaN
        raise AnnotationError(
            f"{excerpt(text)} from {onset:g} to {offset:g} s, expected an onset from 0 s "
            f"before an offset up to {LONGEST_SECONDS:,.0f} s",
            file=file,
            line=line,
            fix="correct the times, or delete the event",
        )


def check_timeline(timeline: Timeline, format_name: str) -> None:
    """Check that a format without escapes can hold the names and times of a timeline.

    Args:
        timeline: Timeline to write.
        format_name: Name of the format, for errors.

    Raises:
        AnnotationError: The id or a class has a line break or another character that is not
            printable, or begins or ends with a space; or the times of an event are not valid.
    """
    names = [("class", event.class_name) for event in timeline]
    for kind, name in [("video id", timeline.video), *names]:
        if not name.isprintable() or not name or name != name.strip():
            raise AnnotationError(
                f"{kind} {excerpt(name)} is empty, begins or ends with a space, or has a "
                f"tab, a line break or another control character, which {format_name} "
                "cannot hold",
                fix=f"rename the {kind}, or write JSON or CSV",
            )
    for event in timeline:
        if not 0 <= event.onset < event.offset < math.inf:
            raise AnnotationError(
                f"event {event.lane} of {timeline.video!r} from {event.onset:g} to "
                f"{event.offset:g} s, expected 0 s <= onset < offset",
                fix="correct its times",
            )


def round_span(event: Event, units: float | int) -> tuple[int, int]:
    """Round the times of an event to whole units; it lasts at least one.

    >>> round_span(Event("audio", "Dog", 0.4996, 0.5), 1000)
    (500, 501)

    Args:
        event: Event.
        units: Units in a second.
    """
    onset = round(event.onset * units)
    return onset, max(onset + 1, round(event.offset * units))


def round_events(events: Iterable[Event], units: float | int) -> Iterator[Event]:
    """Yield events whose times are whole units, as `round_span` rounds them.

    Args:
        events: Events.
        units: Units in a second.
    """
    for event in events:
        onset, offset = round_span(event, units)
        yield Event(
            event.modality, event.class_name, onset / units, offset / units, event.score
        )


def disjoint_lanes(events: Iterable[Event]) -> dict[str, list[Event]]:
    """Return the events of each lane, in order and without overlap.

    Events of one lane that overlap are merged; the score is the mean, weighted by duration.
    Events that touch stay apart.

    Args:
        events: Events of one video.

    Returns:
        Events by the name of the lane: audio before visual, classes in order.
    """
    lanes = dict[str, list[Event]]()
    order = sorted(events, key=lambda e: (e.modality, e.class_name, e.onset, e.offset))
    for event in order:
        others = lanes.setdefault(event.lane, [])
        if others and event.onset < others[-1].offset:
            (others[-1],) = merge([others[-1], event])
        else:
            others.append(event)
    return lanes


def read_tier(
    tier: str,
    text: str,
    onset: float,
    offset: float,
    defaults: Defaults,
    *,
    file: Path,
) -> list[Event]:
    """Read the events of an interval in a tier of ELAN or Praat.

    In a tier such as `audio:Dog` every interval is an event of that class, whatever its text.
    In other tiers the text is the label of the event, in the modality that the tier is named
    after, as `audio`.

    Args:
        tier: Name of the tier.
        text: Text of the interval.
        onset: Start in seconds.
        offset: End in seconds.
        defaults: Modality where neither the tier nor the text names one.
        file: File, for errors.

    Raises:
        AnnotationError: The interval is no event.
    """
    if any(tier.startswith(f"{modality}:") for modality in (*MODALITIES, BOTH)):
        modalities, class_name = read_lane(tier, defaults, file=file)
        _, score = split_score(text.strip(), file=file)
        check_span(onset, offset, tier, file=file)
        return [
            Event(modality, class_name, onset, offset, score) for modality in modalities
        ]
    if tier in (*MODALITIES, BOTH):
        defaults = replace(defaults, modality=tier)
    return read_label(text, onset, offset, defaults, file=file)


def in_order(events: Iterable[Event]) -> tuple[Event, ...]:
    """Sort events as timelines do: by onset, modality and class.

    Args:
        events: Events of one video.
    """
    return tuple(
        sorted(events, key=lambda e: (e.onset, e.modality, e.class_name, e.offset))
    )


def new_timeline(
    video: str, events: Iterable[Event], *, seconds: float = 0.0
) -> Timeline:
    """Make a timeline whose length is at least the end of its last event.

    Args:
        video: Id of the video.
        events: Events in any order.
        seconds: Length of the video, if the file names it.
    """
    ordered = in_order(events)
    last = max((event.offset for event in ordered), default=0.0)
    return Timeline(video, max(seconds, last), ordered)

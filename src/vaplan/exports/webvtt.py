"""WebVTT: captions such as `[dog barking]` for a player, and cues with JSON for a program.

A caption shows audible events in brackets and visible ones in parentheses. Its identifier is the
lane and a number, as in `audio:Dog:1`, so that the exact class comes back. The metadata form has
modality, class and score of an event as a JSON object. Times are milliseconds.

Source: W3C, WebVTT: The Web Video Text Tracks Format, https://www.w3.org/TR/webvtt1/.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape, unescape
from pathlib import Path
from typing import Any

from vaplan.annotations.published import expect, expect_key, expect_number
from vaplan.errors import AnnotationError, excerpt
from vaplan.exports.labels import (
    MILLISECONDS,
    Defaults,
    check_span,
    check_timeline,
    in_order,
    new_timeline,
    read_lane,
    round_events,
)
from vaplan.modalities import AUDIO, MODALITIES, VISUAL
from vaplan.reading import plain_text
from vaplan.taxonomy import display_name
from vaplan.timeline import Event, Timeline

HEADER = "WEBVTT"
ARROW = "-->"
BRACKETS = {MODALITIES[AUDIO]: ("[", "]"), MODALITIES[VISUAL]: ("(", ")")}
TIME = re.compile(r"(?:(\d{2,}):)?([0-5]\d):([0-5]\d)\.(\d{3})")
TAG = re.compile(r"<[^>]*>")
NO_CUES = ("NOTE", "STYLE", "REGION")  # blocks that are no cues


@dataclass(frozen=True)
class Cue:
    """A cue of a file: its identifier, times in seconds, text and line."""

    name: str
    onset: float
    offset: float
    text: str
    line: int


def caption(event: Event) -> str:
    """Return the caption of an event.

    >>> caption(Event("audio", "Dog_barking", 0.0, 1.0))
    '[dog barking]'
    """
    before, after = BRACKETS[event.modality]
    return f"{before}{display_name(event.class_name)}{after}"


def write(timeline: Timeline) -> str:
    """Format a timeline as captions, without scores."""
    check_timeline(timeline, "WebVTT")
    blocks = [HEADER]
    for number, event in enumerate(_events(timeline), start=1):
        name = f"{event.lane}:{number}"
        if ARROW in name:
            raise AnnotationError(
                f"class {excerpt(event.class_name)} contains {ARROW}, which WebVTT cannot "
                "hold",
                fix="rename the class, or write JSON or CSV",
            )
        blocks.append(f"{name}\n{_times(event)}\n{escape(caption(event), quote=False)}")
    return "\n\n".join(blocks) + "\n"


def write_metadata(timeline: Timeline) -> str:
    """Format a timeline as cues with a JSON object: modality, class and score."""
    blocks = [HEADER]
    for event in _events(timeline):
        content = {
            "modality": event.modality,
            "class": event.class_name,
            "score": event.score,
        }
        text = json.dumps(content, allow_nan=False).replace(">", "\\u003e")
        blocks.append(f"{_times(event)}\n{text}")
    return "\n\n".join(blocks) + "\n"


def read(path: Path, video: str, defaults: Defaults) -> list[Timeline]:
    """Read captions of events; captions without brackets are speech and left out.

    The class is that of the identifier, if `write` made it and the caption still shows it;
    otherwise it is the text in the brackets.

    Args:
        path: File to read.
        video: Id of the video.
        defaults: Modality of captions; by default the brackets name it.

    Raises:
        AnnotationError: The file is no WebVTT; the error names the line.
    """
    events = list[Event]()
    for cue in _cues(path):
        text = " ".join(unescape(TAG.sub("", cue.text)).split())
        lane, _, _ = cue.name.rpartition(":")
        named = [
            Event(modality, lane.removeprefix(f"{modality}:"), cue.onset, cue.offset)
            for modality in MODALITIES
            if lane.startswith(f"{modality}:")
        ]
        if named and " ".join(caption(named[0]).split()) == text:
            events += named
            continue
        for modality, (before, after) in BRACKETS.items():
            if text.startswith(before) and text.endswith(after):
                default = Defaults(modality=defaults.modality or modality)
                lanes, name = read_lane(text[1:-1], default, file=path, line=cue.line)
                events += [Event(one, name, cue.onset, cue.offset) for one in lanes]
    return [new_timeline(video, events)]


def read_metadata(path: Path, video: str, defaults: Defaults) -> list[Timeline]:
    """Read the cues of `write_metadata`.

    Args:
        path: File to read.
        video: Id of the video.
        defaults: Modality of cues that name none.

    Raises:
        AnnotationError: The file is no WebVTT, or a cue is no event.
    """
    events = list[Event]()
    for cue in _cues(path):
        place = f"the cue of line {cue.line}"
        try:
            content = json.loads(cue.text)
        except (ValueError, RecursionError) as error:
            raise AnnotationError(
                f"the cue is no JSON: {error}",
                file=path,
                line=cue.line,
                fix="read captions as --format webvtt",
            ) from error
        value: dict[str, Any] = expect(content, dict, place, file=path)
        name = expect(expect_key(value, "class", place, path), str, place, file=path)
        score = value.get("score")
        if score is not None:
            score = expect_number(score, place, file=path)
        modality = value.get("modality", "")
        lanes, class_name = read_lane(
            f"{modality}:{name}" if modality else name,
            defaults,
            file=path,
            line=cue.line,
        )
        events += [
            Event(one, class_name, cue.onset, cue.offset, score) for one in lanes
        ]
    return [new_timeline(video, events)]


def _events(timeline: Timeline) -> tuple[Event, ...]:
    return in_order(round_events(timeline, MILLISECONDS))


def _times(event: Event) -> str:
    return f"{format_time(event.onset)} {ARROW} {format_time(event.offset)}"


def format_time(seconds: float, *, point: str = ".") -> str:
    """Format a time as hours, minutes, seconds and milliseconds.

    >>> format_time(3725.5)
    '01:02:05.500'

    Args:
        seconds: Time in seconds.
        point: Character before the milliseconds.
    """
    total = round(seconds * MILLISECONDS)
    rest, milliseconds = divmod(total, MILLISECONDS)
    minutes, second = divmod(rest, 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours:02}:{minute:02}:{second:02}{point}{milliseconds:03}"


def _cues(path: Path) -> Iterator[Cue]:
    lines = plain_text(path).replace("\r\n", "\n").replace("\r", "\n").split("\n")
    if not re.match(rf"{HEADER}(?:[ \t]|$)", lines[0]):
        raise AnnotationError(
            f"the first line is {excerpt(lines[0])}, expected {HEADER}",
            file=path,
            line=1,
            fix="give a WebVTT file",
        )

    first = next((n for n, line in enumerate(lines) if not line.strip()), len(lines))

    block = list[str]()
    for number, line in enumerate([*lines[first:], ""], start=first + 1):
        if line.strip():
            block.append(line)
            continue
        if block and block[0].split()[0] not in NO_CUES:
            yield _cue(block, path, number - len(block))
        block = []


def _cue(block: list[str], path: Path, line: int) -> Cue:
    has_name = ARROW not in block[0]
    name = block[0] if has_name else ""
    rest = block[has_name:]
    line += has_name
    times = rest[0].split() if rest else []
    is_timing = len(times) >= 3 and times[1] == ARROW
    onset, offset = (
        (_seconds(times[0]), _seconds(times[2])) if is_timing else (None, None)
    )
    if onset is None or offset is None:
        raise AnnotationError(
            f"a cue without times: {excerpt(' '.join(block))}",
            file=path,
            line=line,
            fix=f"write 00:00:01.000 {ARROW} 00:00:02.000 above its text",
        )
    text = "\n".join(rest[1:])
    check_span(onset, offset, text, file=path, line=line)
    return Cue(name, onset, offset, text, line)


def _seconds(text: str) -> float | None:
    match = TIME.fullmatch(text)
    if match is None or not text.isascii() or len(text) > len("0000:00:00.000"):
        return None
    hours, minutes, seconds, milliseconds = (int(part or 0) for part in match.groups())
    total = (hours * 60 + minutes) * 60 + seconds
    return (total * MILLISECONDS + milliseconds) / MILLISECONDS

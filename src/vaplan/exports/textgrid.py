"""TextGrid of Praat: one interval tier a class and modality, with exact times.

The text of an interval is the class and its score, as in `Dog [0.83]`. A tier cannot hold
overlaps, so overlapping events of one class and modality are merged.

Source: Praat manual, "TextGrid file formats",
https://www.fon.hum.uva.nl/praat/manual/TextGrid_file_formats.html.
"""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from vaplan.errors import AnnotationError, excerpt
from vaplan.exports.labels import (
    Defaults,
    check_timeline,
    disjoint_lanes,
    new_timeline,
    read_tier,
    with_score,
)
from vaplan.reading import plain_text
from vaplan.timeline import Event, Timeline

INTERVALS, POINTS = "IntervalTier", "TextTier"
EMPTY_TIER = "events"  # of a timeline without events, because a TextGrid needs a tier
# What Praat reads: quoted texts, numbers and flags that stand free; all else is comment.
TOKEN = re.compile(
    r'"((?:[^"]|"")*)"|(?<!\S)(-?[0-9]+(?:\.[0-9]*)?(?:[eE][+-]?[0-9]+)?)(?!\S)'
    r"|(<exists>)|!.*"
)
FIX = "save it in Praat as a text file or a short text file"

Token = str | float | None  # None is the flag <exists>


def write(timeline: Timeline) -> str:
    """Format a timeline as the long text format of Praat."""
    check_timeline(timeline, "TextGrid")
    lanes = disjoint_lanes(timeline) or {EMPTY_TIER: []}
    ends = [event.offset for event in timeline]
    end = max([timeline.seconds, *ends]) or 1.0
    lines = [
        'File type = "ooTextFile"',
        'Object class = "TextGrid"',
        "",
        "xmin = 0",
        f"xmax = {end!r}",
        "tiers? <exists>",
        f"size = {len(lanes)}",
        "item []:",
    ]
    for number, (name, events) in enumerate(lanes.items(), start=1):
        lines += _tier(number, name, events, end)
    return "\n".join(lines) + "\n"


def _tier(number: int, name: str, events: Sequence[Event], end: float) -> Iterator[str]:
    intervals = [*_intervals(events, end)]
    yield f"    item [{number}]:"
    yield f'        class = "{INTERVALS}"'
    yield f"        name = {_quote(name)}"
    yield "        xmin = 0"
    yield f"        xmax = {end!r}"
    yield f"        intervals: size = {len(intervals)}"
    for count, (start, stop, text) in enumerate(intervals, start=1):
        yield f"        intervals [{count}]:"
        yield f"            xmin = {start!r}"
        yield f"            xmax = {stop!r}"
        yield f"            text = {_quote(text)}"


def _intervals(
    events: Sequence[Event], end: float
) -> Iterator[tuple[float, float, str]]:
    """Yield the events, and empty intervals between them."""
    last = 0.0
    for event in events:
        if last < event.onset:
            yield last, event.onset, ""
        text = with_score(event.class_name, event.score)
        yield event.onset, event.offset, text
        last = event.offset
    if last < end:
        yield last, end, ""


def _quote(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def read(path: Path, video: str, defaults: Defaults) -> list[Timeline]:
    """Read the intervals with a text of a TextGrid, long or short; points are left out.

    Args:
        path: File to read.
        video: Id of the video.
        defaults: Modality where neither the tier nor the text names one.

    Raises:
        AnnotationError: The file is no TextGrid, or an interval is no event.
    """
    tokens = _Tokens(path)
    tokens.expect("ooTextFile")
    tokens.expect("TextGrid")
    tokens.number()
    end = tokens.number()

    events = list[Event]()
    tiers = tokens.count() if tokens.flag() else 0
    for _ in range(tiers):
        kind = tokens.text()
        if kind not in (INTERVALS, POINTS):
            raise tokens.fail(f"a tier of class {excerpt(kind)}")
        tier = tokens.text().strip()
        tokens.number()
        tokens.number()

        for _ in range(tokens.count()):
            onset = tokens.number()
            offset = tokens.number() if kind == INTERVALS else onset
            text = tokens.text().strip()
            if kind == INTERVALS and text:
                events += read_tier(tier, text, onset, offset, defaults, file=path)
    return [new_timeline(video, events, seconds=end)]


class _Tokens:
    """The texts, numbers and flags of a file, one after the other."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.content = plain_text(path)
        self.position = 0  # of the last token
        self._matches = TOKEN.finditer(self.content)

    def _next(self) -> Token:
        for match in self._matches:
            self.position = match.start()
            if match[0].startswith("!"):
                continue
            if match[1] is not None:
                return match[1].replace('""', '"')
            return None if match[3] else float(match[2])
        raise self.fail("the file ends early")

    def expect(self, text: str) -> None:
        token = self._next()
        if token != text:
            raise self.fail(f"{excerpt(token)}, expected {text!r}")

    def text(self) -> str:
        token = self._next()
        if not isinstance(token, str):
            raise self.fail(f"{excerpt(token)}, expected a text")
        return token

    def number(self) -> float:
        token = self._next()
        if not isinstance(token, float) or not abs(token) < float("inf"):
            raise self.fail(f"{excerpt(token)}, expected a number")
        return token

    def count(self) -> int:
        number = self.number()
        if not 0 <= number <= len(self.content) or number != int(number):
            raise self.fail(f"{number:g}, expected how many follow")
        return int(number)

    def flag(self) -> bool:
        """Return whether tiers exist; Praat writes `<exists>`."""
        return self._next() is None

    def fail(self, what: str) -> AnnotationError:
        line = self.content[: self.position].count("\n") + 1
        return AnnotationError(
            f"not a TextGrid: {what}", file=self.path, line=line, fix=FIX
        )

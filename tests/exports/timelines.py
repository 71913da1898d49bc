"""Timelines for the tests of formats, and the way to a file and back."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from hypothesis import strategies as st

from vaplan.annotations.fields import NOT_A_NAME
from vaplan.exports import FORMATS, import_events, output_path, write_content
from vaplan.exports.labels import in_order, round_events
from vaplan.timeline import Event, MediaLink, Timeline

LONGEST = 48 * 3600.0
HOSTILE = [
    *("audio:Dog", "both:Cat", "Dog [0.5]", "Dog []", "a --> b", "<b>&amp;", '"q"""'),
    *("100% of %20", "=1+1", "a;b,c", "#x", "\\n", "!x", "語", "\u0301e", "NOTE", "0"),
]


def is_name(text: str) -> bool:
    is_plain = text.isprintable() and text == text.strip() and bool(text)
    return is_plain and text.casefold() not in NOT_A_NAME


NAMES = st.sampled_from(HOSTILE) | st.text(min_size=1, max_size=9).filter(is_name)
IDS = st.sampled_from(["v", "2019/beach/0001", "-DSN_30_40", "a b.mp4", "ü%20"])
SCORES = st.none() | st.floats(allow_nan=False, allow_infinity=False)
MODALITY = st.sampled_from(["audio", "visual"])


@st.composite
def events(draw: st.DrawFn) -> Event:
    """Events of any times, or of whole tenths, which touch and overlap more often."""
    tenths = st.integers(0, 40).map(lambda n: n / 10)
    time = draw(st.sampled_from([tenths, st.floats(0, LONGEST - 1)]))
    first, last = sorted([draw(time), draw(time)])
    if first == last:
        last += 0.001
    return Event(draw(MODALITY), draw(NAMES), first, last, draw(SCORES))


class Drawn(NamedTuple):
    """The parts of a timeline; strategies cannot make one, because its types are checked."""

    video: str
    seconds: float
    events: tuple[Event, ...]


@st.composite
def timelines(draw: st.DrawFn) -> Drawn:
    found = draw(st.lists(events(), max_size=6))
    end = max((event.offset for event in found), default=0.0)
    return Drawn(draw(IDS), max(end, draw(st.floats(0, 10))), tuple(found))


EXAMPLE = Timeline(
    "beach/dog",
    10.0,
    (
        Event("audio", "Dog_barking", 0.0, 2.5, 0.1),
        Event("visual", "Dog_barking", 1.0, 3.0),
        Event("audio", "Rain", 1.0, 10.0, 0.75),
    ),
    media=MediaLink(Path("/films/beach/dog.mp4"), Path("/films")),
)
EMPTY = Timeline("quiet", 3.0)
NOTHING = Drawn("quiet", 3.0, ())
ALL = Drawn(EXAMPLE.video, EXAMPLE.seconds, EXAMPLE.events)


def write(timeline: Timeline, name: str, folder: Path) -> Path:
    """Write a timeline in a format; returns its file, or its only file that can be read."""
    found = FORMATS[name]
    if found.write:
        path = output_path(folder, timeline.video, found.ending)
        return write_content(path, found.write(timeline))
    assert found.write_all
    for file, content in found.write_all([timeline]).items():
        write_content(folder / file, content)
    return folder


def there_and_back(timeline: Timeline, name: str) -> Timeline:
    with TemporaryDirectory() as folder:
        write(timeline, name, Path(folder))
        (back,) = import_events(folder, format=name)
    return back


def rounded(timeline: Timeline, units: int) -> tuple[Event, ...]:
    """The events with times in whole units, in the order of a timeline."""
    return in_order(round_events(timeline, units))


def without_scores(events: tuple[Event, ...]) -> list[tuple[object, ...]]:
    return sorted((e.modality, e.class_name, e.onset, e.offset) for e in events)


def as_set(events: tuple[Event, ...]) -> list[tuple[object, ...]]:
    return sorted(
        (e.modality, e.class_name, e.onset, e.offset, str(e.score)) for e in events
    )

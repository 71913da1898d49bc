"""Videos beside their timelines: a cursor follows the video, and a click moves the video."""

import mimetypes
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from vaplan.arrays import MODALITIES
from vaplan.plots import ink_on, packed, seconds_shown
from vaplan.report.markup import Markup, data_uri, tag
from vaplan.timeline import Event, Timeline

ROW = 22  # height of a row in pixels
BAR = 18  # height of a bar in pixels
# Seconds between the ticks of an axis.
STEPS = (
    0.1,
    0.2,
    0.5,
    1.0,
    2.0,
    5.0,
    10.0,
    15.0,
    30.0,
    60.0,
    120.0,
    300.0,
    600.0,
    1800.0,
    3600.0,
)


@dataclass(frozen=True)
class Example:
    """A video with its timelines.

    Attributes:
        video: Id of the video.
        media: Media file; None if there is none.
        tags: Tags of the video.
        lanes: Name of each lane with its timeline.
        note: Text above the video.
    """

    video: str
    media: Path | None
    tags: tuple[str, ...]
    lanes: tuple[tuple[str, Timeline], ...]
    note: str = ""


def render(
    example: Example, colours: Mapping[str, str], *, max_embed_bytes: int
) -> Markup:
    """Write the player and the lanes as HTML.

    Args:
        example: Video with its timelines.
        colours: Colour of every class.
        max_embed_bytes: Largest media file that is embedded.
    """
    end = seconds_shown(timeline for _, timeline in example.lanes)
    player = _player(example, max_embed_bytes)
    playable = player.startswith("<video")
    tracks = [
        part
        for modality in MODALITIES
        for part in _tracks(example, modality, colours, end)
    ]
    timeline = tag("div", *tracks, _axis(end, seekable=playable), class_="timeline")
    warnings = dict.fromkeys(
        warning for _, line in example.lanes for warning in line.warnings
    )
    return tag(
        "article",
        tag("h3", example.video),
        *([tag("p", example.note)] if example.note else []),
        tag("div", tag("div", player, class_="player"), timeline, class_="beside"),
        _legend(example, colours),
        *(tag("p", f"Warning: {warning}", class_="note") for warning in warnings),
        class_="example",
        data_seconds=end,
    )


def _player(example: Example, max_embed_bytes: int) -> Markup:
    """Embed the video, or a line that explains its absence."""
    path = example.media
    if path is None:
        return tag("p", "There is no media file.", class_="note")
    kind = mimetypes.guess_type(path.name)[0] or ""
    if not (path.is_file() and kind.startswith(("video/", "audio/"))):
        return tag(
            "p", f"{path.name} is not a media file that a browser plays.", class_="note"
        )
    size = path.stat().st_size
    if size > max_embed_bytes:
        return tag(
            "p",
            f"{path.name} ({size / 1e6:.1f} MB) is too large for this page.",
            class_="note",
        )
    address = data_uri(path.read_bytes(), kind)
    label = f"Video {example.video}"
    return tag(
        "video",
        src=address,
        controls=True,
        playsinline=True,
        preload="metadata",
        aria_label=label,
    )


def _tracks(
    example: Example, modality: str, colours: Mapping[str, str], end: float
) -> Iterable[Markup]:
    yield tag("h4", modality.capitalize())
    for name, timeline in example.lanes:
        track = _track(
            f"{name}, {modality}", timeline, modality, colours=colours, end=end
        )
        yield tag(
            "div", tag("span", name, class_="name", title=name), track, class_="lane"
        )


def _track(
    label: str,
    timeline: Timeline,
    modality: str,
    *,
    colours: Mapping[str, str],
    end: float,
) -> Markup:
    rows = packed(timeline.of(modality))
    text = "; ".join(_describe(event) for event in timeline.of(modality)) or "nothing"
    missing = [
        _missing(span, end) for name, *span in timeline.missing if name == modality
    ]
    bars = [
        _bar(event, y, colours[event.class_name], end)
        for y, row in enumerate(rows)
        for event in row
    ]
    parts = (*missing, *bars, CURSOR)
    height = ROW * max(1, len(rows)) + ROW - BAR
    return tag(
        "svg",
        *parts,
        class_="track",
        height=height,
        role="img",
        aria_label=f"{label}: {text}",
    )


CURSOR = tag("line", class_="cursor", x1="0%", x2="0%", y1="0%", y2="100%")
HATCH = tag(  # one a page; all missing spans refer to it
    "svg",
    tag(
        "pattern",
        tag("path", d="M0 8L8 0M-2 2L2 -2M6 10L10 6"),
        id="hatch",
        width=8,
        height=8,
        patternUnits="userSpaceOnUse",
    ),
    class_="hatch",
    width=0,
    height=0,
    aria_hidden="true",
)


def _bar(event: Event, row: int, colour: str, end: float) -> Markup:
    """Draw an event; its inner `svg` clips the name of the class at the end of the bar."""
    parts = (
        tag("title", _describe(event)),
        tag("rect", width="100%", height="100%", rx=2, fill=colour),
        tag("text", event.class_name, x=5, y=13, fill=ink_on(colour)),
    )
    span = {
        "x": _percent(event.onset, end),
        "width": _percent(event.offset - event.onset, end),
    }
    times = {"data_onset": event.onset, "data_offset": event.offset}
    return tag(
        "svg",
        *parts,
        class_="event",
        y=ROW - BAR + ROW * row,
        height=BAR,
        **span,
        **times,
    )


def _missing(span: list[float], end: float) -> Markup:
    onset, offset = span
    title = tag("title", f"nothing recorded, {_seconds(onset)}–{_seconds(offset)} s")
    row_of = {
        "x": _percent(onset, end),
        "width": _percent(offset - onset, end),
        "height": "100%",
    }
    return tag("rect", title, class_="missing", fill="url(#hatch)", **row_of)


def _axis(end: float, *, seekable: bool) -> Markup:
    step = next((step for step in STEPS if end / step <= 10), STEPS[-1])
    ticks = [step * number for number in range(int(end / step + 1e-6) + 1)]
    marks = [
        tag("text", _seconds(t), x=_percent(t, end), y=14, text_anchor=_anchor(t, end))
        for t in ticks
    ]
    slider = {
        "role": "slider",
        "tabindex": 0,
        "aria_valuemin": 0,
        "aria_valuemax": end,
        "aria_valuenow": 0,
    }
    role = (
        {"aria_label": "Position in seconds", **slider}
        if seekable
        else {"aria_hidden": "true"}
    )
    scale = tag("svg", *marks, CURSOR, class_="track axis", height=20, **role)
    return tag("div", tag("span", "seconds", class_="name"), scale, class_="lane")


def _anchor(t: float, end: float) -> str:
    if t == 0:
        return "start"
    return "end" if t > 0.98 * end else "middle"


def _legend(example: Example, colours: Mapping[str, str]) -> Markup:
    occurring = {event.class_name for _, line in example.lanes for event in line}
    others = [name for name in colours if name in occurring.difference(example.tags)]
    lists = (("Tags", example.tags), ("Not among the tags", others))
    return tag(
        "div",
        *(_swatches(title, names, colours) for title, names in lists if names),
        class_="legend",
    )


def _swatches(title: str, names: Iterable[str], colours: Mapping[str, str]) -> Markup:
    items = [tag("li", _swatch(colours.get(name, "none")), name) for name in names]
    return tag("div", tag("span", title, class_="name"), tag("ul", *items))


def _swatch(colour: str) -> Markup:
    square = tag("rect", width=12, height=12, rx=2, fill=colour)
    return tag("svg", square, class_="swatch", width=12, height=12, aria_hidden="true")


def _describe(event: Event) -> str:
    score = "" if event.score is None else f", score {event.score:.2f}"
    return (
        f"{event.class_name}, {_seconds(event.onset)}–{_seconds(event.offset)} s{score}"
    )


def _seconds(t: float) -> str:
    return f"{round(t, 2):.10g}"


def _percent(t: float, end: float) -> str:
    return f"{100 * t / end:.5g}%"

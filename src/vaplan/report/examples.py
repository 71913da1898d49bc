"""Example videos with their timelines, for the report page.

While a video plays, a cursor moves over its timelines; a click moves the video to that time.
"""

import mimetypes
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from vaplan.arrays import MODALITIES
from vaplan.plots import arrange_rows, axis_seconds, text_colour
from vaplan.report.markup import Attribute, Markup, data_uri, tag
from vaplan.timeline import Event, Timeline

ROW_HEIGHT = 22  # pixels
BAR_HEIGHT = 18  # pixels
MAX_TICKS = 10
# possible distances of the ticks of an axis, in seconds
# fmt: off
TICK_STEPS = (
    0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0,
)
# fmt: on


@dataclass(frozen=True)
class Example:
    """A video with its timelines.

    Attributes:
        video: Id of the video.
        media: Media file; None without one.
        tags: Weak labels.
        lanes: Timelines with the names of their lanes, from top to bottom.
        note: Text above the video.
    """

    video: str
    media: Path | None
    tags: tuple[str, ...]
    lanes: tuple[tuple[str, Timeline], ...]
    note: str = ""


def render_example(
    example: Example, colours: Mapping[str, str], *, max_embed_bytes: int
) -> Markup:
    """Render the player and the timelines of a video as HTML.

    Args:
        example: Video with its timelines.
        colours: Colour of every class of the timelines.
        max_embed_bytes: A larger media file is named, but not embedded.
    """
    timelines = [timeline for _, timeline in example.lanes]
    seconds = axis_seconds(timelines)
    player = _render_player(example, max_embed_bytes)

    tracks = list[Markup]()
    for modality in MODALITIES:
        tracks += _render_modality(example, modality, colours, seconds)
    has_player = player.startswith("<video")
    axis = _render_axis(seconds, seekable=has_player)
    timeline = tag("div", *tracks, axis, class_="timeline")

    warnings = [warning for line in timelines for warning in line.warnings]
    unique_warnings = dict.fromkeys(warnings)

    content = [tag("h3", example.video)]
    if example.note:
        content.append(tag("p", example.note))
    content += [
        tag("div", tag("div", player, class_="player"), timeline, class_="beside"),
        _render_legend(example, colours),
    ]
    for warning in unique_warnings:
        content.append(tag("p", f"Warning: {warning}", class_="note"))

    return tag("article", *content, class_="example", data_seconds=seconds)


def _render_player(example: Example, max_embed_bytes: int) -> Markup:
    """Embed the video, or explain why there is none."""
    path = example.media
    if path is None:
        return _render_note("There is no media file.")
    media_type = mimetypes.guess_type(path.name)[0] or ""
    is_media = media_type.startswith(("video/", "audio/"))
    if not path.is_file() or not is_media:
        return _render_note(f"{path.name} is not a media file that a browser plays.")
    size = path.stat().st_size
    if size > max_embed_bytes:
        return _render_note(
            f"{path.name} ({size / 1e6:.1f} MB) is too large for this page."
        )
    return tag(
        "video",
        src=data_uri(path.read_bytes(), media_type),
        controls=True,
        playsinline=True,
        preload="metadata",
        aria_label=f"Video {example.video}",
    )


def _render_note(text: str) -> Markup:
    return tag("p", text, class_="note")


def _render_modality(
    example: Example, modality: str, colours: Mapping[str, str], seconds: float
) -> Iterator[Markup]:
    yield tag("h4", modality.capitalize())
    for name, timeline in example.lanes:
        label = f"{name}, {modality}"
        track = _render_track(
            label, timeline, modality, colours=colours, seconds=seconds
        )
        lane_name = tag("span", name, class_="name", title=name)
        yield tag("div", lane_name, track, class_="lane")


def _render_track(
    label: str,
    timeline: Timeline,
    modality: str,
    *,
    colours: Mapping[str, str],
    seconds: float,
) -> Markup:
    events = timeline.of(modality)
    rows = arrange_rows(events)
    text = "; ".join(_describe_event(event) for event in events) or "nothing"
    parts = list[Markup]()
    for missing_modality, onset, offset in timeline.missing:
        if missing_modality == modality:
            parts.append(_render_gap(onset, offset, seconds))
    for number, row in enumerate(rows):
        for event in row:
            parts.append(
                _render_event(event, number, colours[event.class_name], seconds)
            )
    return tag(
        "svg",
        *parts,
        CURSOR,
        class_="track",
        height=ROW_HEIGHT * max(1, len(rows)) + ROW_HEIGHT - BAR_HEIGHT,
        role="img",
        aria_label=f"{label}: {text}",
    )


CURSOR = tag("line", class_="cursor", x1="0%", x2="0%", y1="0%", y2="100%")
HATCH = tag(  # one for the page; every gap refers to it
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


def _render_event(event: Event, row: int, colour: str, seconds: float) -> Markup:
    """Render the bar of an event; the inner `svg` cuts the name at the end of the bar."""
    return tag(
        "svg",
        tag("title", _describe_event(event)),
        tag("rect", width="100%", height="100%", rx=2, fill=colour),
        tag("text", event.class_name, x=5, y=13, fill=text_colour(colour)),
        class_="event",
        y=ROW_HEIGHT - BAR_HEIGHT + ROW_HEIGHT * row,
        height=BAR_HEIGHT,
        x=_format_percent(event.onset, seconds),
        width=_format_percent(event.offset - event.onset, seconds),
        data_onset=event.onset,
        data_offset=event.offset,
    )


def _render_gap(onset: float, offset: float, seconds: float) -> Markup:
    span = f"{_format_seconds(onset)}–{_format_seconds(offset)} s"
    return tag(
        "rect",
        tag("title", f"nothing recorded, {span}"),
        class_="missing",
        fill="url(#hatch)",
        x=_format_percent(onset, seconds),
        width=_format_percent(offset - onset, seconds),
        height="100%",
    )


def _render_axis(seconds: float, *, seekable: bool) -> Markup:
    """Render the axis of the time; a slider if there is a player."""
    marks = [
        tag(
            "text",
            _format_seconds(time),
            x=_format_percent(time, seconds),
            y=14,
            text_anchor=_text_anchor(time, seconds),
        )
        for time in _tick_times(seconds)
    ]
    role: dict[str, Attribute] = {"aria_hidden": "true"}
    if seekable:
        role = {
            "aria_label": "Position in seconds",
            "role": "slider",
            "tabindex": 0,
            "aria_valuemin": 0,
            "aria_valuemax": seconds,
            "aria_valuenow": 0,
        }
    scale = tag("svg", *marks, CURSOR, class_="track axis", height=20, **role)
    return tag("div", tag("span", "seconds", class_="name"), scale, class_="lane")


def _tick_times(seconds: float) -> list[float]:
    fitting_steps = [step for step in TICK_STEPS if seconds / step <= MAX_TICKS]
    step = fitting_steps[0] if fitting_steps else TICK_STEPS[-1]
    steps = int(seconds / step + 1e-6)
    return [step * number for number in range(steps + 1)]


def _text_anchor(time: float, seconds: float) -> str:
    """Keep the first and the last number of an axis inside the picture."""
    if time == 0:
        return "start"
    return "end" if time > 0.98 * seconds else "middle"


def _render_legend(example: Example, colours: Mapping[str, str]) -> Markup:
    names = {event.class_name for _, line in example.lanes for event in line}
    untagged = names.difference(example.tags)
    ordered_untagged = [name for name in colours if name in untagged]
    lists = list[Markup]()
    if example.tags:
        lists.append(_render_names("Tags", example.tags, colours))
    if ordered_untagged:
        lists.append(_render_names("Not among the tags", ordered_untagged, colours))
    return tag("div", *lists, class_="legend")


def _render_names(
    title: str, names: Iterable[str], colours: Mapping[str, str]
) -> Markup:
    items = list[Markup]()
    for name in names:
        swatch = _render_swatch(colours.get(name, "none"))
        items.append(tag("li", swatch, name))
    heading = tag("span", title, class_="name")
    return tag("div", heading, tag("ul", *items))


def _render_swatch(colour: str) -> Markup:
    square = tag("rect", width=12, height=12, rx=2, fill=colour)
    return tag(
        "svg",
        square,
        class_="swatch",
        width=12,
        height=12,
        aria_hidden="true",
    )


def _describe_event(event: Event) -> str:
    span = f"{_format_seconds(event.onset)}–{_format_seconds(event.offset)} s"
    score = "" if event.score is None else f", score {event.score:.2f}"
    return f"{event.class_name}, {span}{score}"


def _format_seconds(time: float) -> str:
    return f"{round(time, 2):.10g}"


def _format_percent(time: float, seconds: float) -> str:
    return f"{100 * time / seconds:.5g}%"

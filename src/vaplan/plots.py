"""Figures: timelines of several methods, training curves, curves of a sweep, F by class.

Timelines and bars follow figures 3 to 5 of Zhou et al. 2024, arXiv 2406.00919. Every function
returns a matplotlib `Figure` without a window (`figure.savefig("x.png")`); equal arguments give
equal figures.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle

from vaplan.arrays import MODALITIES
from vaplan.taxonomy import Taxonomy
from vaplan.timeline import Event, Timeline

PAPER, INK, FAINT, LANE = "#fdfdfd", "#22272e", "#c5cbd3", "#f2f4f7"
WIDTH = 7.2  # inches, a page's text width

# Six colours of Okabe and Ito (2008), then colours with the largest distance from all before
# them in OKLab, for normal, protanopic and deuteranopic vision (simulation of Machado et al.
# 2009). Nobody can distinguish all of so many colours, so names are always written too.
PALETTE = (
    *(
        "#0072b2",
        "#e69f00",
        "#009e73",
        "#cc79a7",
        "#56b4e9",
        "#d55e00",
        "#88194a",
        "#59e1a2",
        "#4f3797",
    ),
    *(
        "#944e21",
        "#8285eb",
        "#75567c",
        "#a5b280",
        "#697260",
        "#8dd1dd",
        "#b8d259",
        "#baa3ad",
        "#3e4b73",
    ),
    *(
        "#7d3317",
        "#e77f3e",
        "#29a1c1",
        "#a55f8f",
        "#5872d2",
        "#435ab8",
        "#4f8ac6",
        "#cd7576",
        "#907649",
    ),
    *("#874197", "#90c6a8", "#3ebfc6"),
)


def class_colours(
    timelines: Iterable[Timeline], taxonomy: Taxonomy | None = None
) -> dict[str, str]:
    """Assign one colour to each class by its position in the taxonomy.

    Args:
        timelines: Timelines whose classes get colours.
        taxonomy: Names of the classes.
    """
    occurring = {event.class_name for timeline in timelines for event in timeline}
    listed = () if taxonomy is None else taxonomy.classes
    classes = (*listed, *sorted(occurring.difference(listed)))
    return {name: PALETTE[c % len(PALETTE)] for c, name in enumerate(classes)}


def ink_on(colour: str) -> str:
    """Choose black or white text for a colour, by the relative luminance of WCAG 2.

    >>> ink_on("#ffffff"), ink_on("#0072b2")
    ('#000000', '#ffffff')
    """
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = map(_linear, channels)
    luminance = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    return "#000000" if luminance > 0.179 else "#ffffff"


def _linear(channel: float) -> float:
    """Convert a channel of sRGB to linear light."""
    if channel <= 0.04045:
        return channel / 12.92
    return float(((channel + 0.055) / 1.055) ** 2.4)


def packed(events: Iterable[Event]) -> list[list[Event]]:
    """Arrange events in few rows, so that classes do not overlap and a class has one row.

    >>> spans = [("Dog", 0.0, 2.0), ("Car", 1.0, 3.0), ("Cat", 2.0, 4.0)]
    >>> rows = packed(Event("audio", *span) for span in spans)
    >>> [[event.class_name for event in row] for row in rows]
    [['Dog', 'Cat'], ['Car']]
    """
    by_class = dict[str, list[Event]]()
    for event in sorted(events, key=lambda e: (e.onset, e.class_name, e.offset)):
        by_class.setdefault(event.class_name, []).append(event)
    rows = list[list[Event]]()
    for group in by_class.values():
        for row in rows:
            if not _overlap(group, row):
                row.extend(group)
                break
        else:
            rows.append(group)
    return rows


def _overlap(events: Iterable[Event], others: Sequence[Event]) -> bool:
    """Return whether an event of one list overlaps an event of the other."""
    return any(
        event.onset < other.offset and other.onset < event.offset
        for event in events
        for other in others
    )


def plot(
    timeline: Timeline | Mapping[str, Timeline], *, taxonomy: Taxonomy | None = None
) -> Figure:
    """Draw audio events above visual events over time; one lane for each method.

    Args:
        timeline: One timeline, or timelines of one video by the name of their lane, such as
            `{"reference": …, "HAN": …}`, drawn in this order.
        taxonomy: Fixes the colour of each class, so that colours agree between figures.
    """
    lanes = {"": timeline} if isinstance(timeline, Timeline) else dict(timeline)
    titles = [modality.capitalize() for modality in MODALITIES]
    return _panels(lanes, MODALITIES, titles, taxonomy)


def plot_labels(
    lanes: Mapping[str, Timeline], *, taxonomy: Taxonomy | None = None
) -> Figure:
    """Draw one label a segment for each method, as in localisation.

    Args:
        lanes: Timelines by the name of the method.
        taxonomy: Names of the classes.
    """
    modality = MODALITIES[0]  # both modalities have the same labels
    single = dict[str, Timeline]()
    for name, line in lanes.items():
        events = dict.fromkeys(replace(event, modality=modality) for event in line)
        single[name] = replace(line, events=tuple(events))
    return _panels(single, (modality,), ["One label a second"], taxonomy)


def _panels(
    lanes: Mapping[str, Timeline],
    modalities: Sequence[str],
    titles: Sequence[str],
    taxonomy: Taxonomy | None,
) -> Figure:
    """Draw a panel for every modality, with a lane for every method."""
    if not lanes:
        raise ValueError("no timeline to plot; give at least one")
    colours = class_colours(lanes.values(), taxonomy)
    end = seconds_shown(lanes.values())
    heights = [
        sum(_lane_height(lane, modality) for lane in lanes.values())
        for modality in modalities
    ]
    figure = Figure(
        figsize=(WIDTH, 1.3 + 0.21 * sum(heights)),
        layout="constrained",
        facecolor=PAPER,
    )
    panels = figure.subplots(
        len(modalities), sharex=True, height_ratios=heights, squeeze=False
    )[:, 0]
    for panel, modality, title, height in zip(
        panels, modalities, titles, heights, strict=True
    ):
        _frame(panel, title=title)
        panel.set(xlim=(0, end), ylim=(height, 0))
        _draw_lanes(panel, lanes, modality, colours)
    panels[-1].set_xlabel("seconds", color=INK, fontsize=8)
    video = _printable(next(iter(lanes.values())).video, 80)
    figure.suptitle(video, x=0.005, ha="left", fontsize=9, color=INK, parse_math=False)
    _legend(figure, lanes.values(), colours)
    return figure


def seconds_shown(timelines: Iterable[Timeline]) -> float:
    """Return the length of an axis that contains all timelines, in seconds.

    Args:
        timelines: Timelines of one video.
    """
    ends = [1e-3]
    for line in timelines:
        ends += [line.seconds, *(event.offset for event in line)]
    return max(ends)


def _lane_height(timeline: Timeline, modality: str) -> float:
    """Return the number of rows of a lane, and the space between two lanes."""
    rows = packed(timeline.of(modality))
    return max(1, len(rows)) + 0.4


def _draw_lanes(
    panel: Axes,
    lanes: Mapping[str, Timeline],
    modality: str,
    colours: Mapping[str, str],
) -> None:
    top, centres = 0.0, []
    for lane in lanes.values():
        height = _lane_height(lane, modality)
        inner = top + 0.1, height - 0.2
        panel.add_patch(_box(0.0, lane.seconds, *inner, facecolor=LANE, zorder=0))
        for missing, onset, offset in lane.missing:
            if missing == modality:
                panel.add_patch(_box(onset, offset, *inner, **MISSING))
        for number, row in enumerate(packed(lane.of(modality))):
            for event in row:
                _draw_event(panel, event, top + 0.2 + number, colours[event.class_name])
        centres.append(top + height / 2)
        top += height
    panel.set_yticks(
        centres, [_printable(name, 28) for name in lanes], parse_math=False
    )


MISSING: dict[str, Any] = {
    "facecolor": PAPER,
    "edgecolor": "#9aa3ae",
    "hatch": "////",
    "zorder": 1,
}


def _draw_event(panel: Axes, event: Event, top: float, colour: str) -> None:
    bar = _box(
        event.onset,
        event.offset,
        top + 0.06,
        0.88,
        facecolor=colour,
        edgecolor=PAPER,
        zorder=2,
    )
    panel.add_patch(bar)
    name = _printable(event.class_name, 40)
    share = (event.offset - event.onset) / panel.get_xlim()[1]
    bar_inches = share * (WIDTH - 1.4)  # the names of the lanes take 1.4
    if 0.062 * len(name) + 0.06 > bar_inches:
        return  # the legend names it
    style: dict[str, Any] = {
        "fontsize": 7,
        "color": ink_on(colour),
        "va": "center_baseline",
        "clip_path": bar,
    }
    offset = panel.get_xlim()[1] * 0.005
    panel.text(
        event.onset + offset, top + 0.5, name, parse_math=False, zorder=3, **style
    )


def _box(
    onset: float, offset: float, top: float, height: float, **style: Any
) -> Rectangle:
    return Rectangle(
        (onset, top), offset - onset, height, **{"linewidth": 0.5, **style}
    )


def _legend(
    figure: Figure, timelines: Iterable[Timeline], colours: Mapping[str, str]
) -> None:
    timelines = list(timelines)
    occurring = {event.class_name for line in timelines for event in line}
    entries: list[tuple[str, Artist]] = [
        (name, Patch(facecolor=colour))
        for name, colour in colours.items()
        if name in occurring
    ]
    if any(line.missing for line in timelines):
        entries.append(("no audio or video", Patch(**MISSING)))
    _key(figure, entries, columns=4)


def _key(
    figure: Figure, entries: Sequence[tuple[str, Artist]], *, columns: int
) -> None:
    """Explain colours below the panels."""
    if not entries:
        return
    style: dict[str, Any] = {
        "ncols": columns,
        "frameon": False,
        "fontsize": 7.5,
        "handlelength": 1.4,
        "labelcolor": INK,
    }
    placeholders = ["x" * min(len(name), 28) for name, _ in entries]
    legend = figure.legend(
        [handle for _, handle in entries],
        placeholders,
        loc="outside lower center",
        **style,
    )
    for text, (name, _) in zip(legend.get_texts(), entries, strict=True):
        text.set(
            text=_printable(name, 28), parse_math=False
        )  # a legend drops names that start with "_"


def training_curves(
    histories: Mapping[str, Sequence[Mapping[str, float | int]]],
) -> Figure:
    """Draw the loss and the validation score, if there is one, over epochs; one line a run.

    Args:
        histories: Epochs of each run, with "epoch", "loss" and perhaps "validation".
    """
    titles = {
        "loss": "Training loss (each method its own)",
        "validation": "Validation score",
    }
    recorded = {
        key for history in histories.values() for record in history for key in record
    }
    measures = [key for key in titles if key in recorded] or ["loss"]
    figure = Figure(figsize=(WIDTH, 3.0), layout="constrained", facecolor=PAPER)
    panels = figure.subplots(1, len(measures), squeeze=False)[0]
    lines: dict[str, Artist] = {}
    for panel, measure in zip(panels, measures, strict=True):
        _frame(panel, title=titles[measure])
        panel.grid(axis="y", color=FAINT, linewidth=0.5)
        panel.set_xlabel("epoch", color=INK, fontsize=8)
        panel.xaxis.get_major_locator().set_params(integer=True)
        for number, (name, history) in enumerate(histories.items()):
            points = [
                (record["epoch"], record[measure])
                for record in history
                if measure in record
            ]
            style: dict[str, Any] = {
                "color": PALETTE[number % len(PALETTE)],
                "linewidth": 1.3,
            }
            style |= {"marker": "o", "markersize": 3} if len(points) < 2 else {}
            (lines[name],) = panel.plot(
                [x for x, _ in points], [y for _, y in points], **style
            )
    _key(figure, list(lines.items()), columns=5)
    return figure


def curves(
    lines: Mapping[str, Sequence[tuple[float, float, float]]], *, across: str, up: str
) -> Figure:
    """Draw measures over the values of a setting, with error bars.

    Args:
        lines: Points of each measure: value of the setting, mean, and deviation.
        across: Name of the setting.
        up: Unit of the measures.
    """
    settings = sorted({x for points in lines.values() for x, _, _ in points})
    figure = Figure(figsize=(WIDTH, 3.4), layout="constrained", facecolor=PAPER)
    panel = figure.subplots()
    _frame(panel, title="")
    panel.grid(axis="y", color=FAINT, linewidth=0.5)
    handles: dict[str, Artist] = {}
    for number, (name, points) in enumerate(lines.items()):
        shift = 0.06 * (number - (len(lines) - 1) / 2)  # so that no bar hides another
        x, mean, spread = zip(
            *((settings.index(s) + shift, m, d) for s, m, d in points), strict=True
        )
        style: dict[str, Any] = {
            "color": PALETTE[number % len(PALETTE)],
            "linewidth": 1.3,
            "capsize": 2,
        }
        handles[name] = panel.errorbar(
            x, mean, yerr=spread, marker="o", markersize=3, elinewidth=0.8, **style
        )[0]
    panel.set_xticks(range(len(settings)), [f"{setting:g}" for setting in settings])
    panel.set_xlabel(_printable(across, 90), color=INK, fontsize=8, parse_math=False)
    panel.set_ylabel(_printable(up, 90), color=INK, fontsize=8, parse_math=False)
    _key(figure, list(handles.items()), columns=4)
    return figure


def per_class_f(
    scores: Mapping[str, Mapping[str, float | int]],
    *,
    title: str,
    measure: str = "F-score",
) -> Figure:
    """Draw the F-score or another measure of each class, with the best class on top.

    Args:
        scores: Scores of each class in percent, by the name of a series such as "PLG".
        title: Title of the figure.
        measure: Name of the measure.
    """
    classes = {name for series in scores.values() for name in series}
    mean = {
        c: sum(s.get(c, 0.0) for s in scores.values()) / len(scores) for c in classes
    }
    order = sorted(classes, key=lambda c: (-mean[c], c))
    thick = 0.8 / max(1, len(scores))
    rows = len(order) * max(2, len(scores))
    figure = Figure(
        figsize=(WIDTH, 1.1 + 0.13 * rows), layout="constrained", facecolor=PAPER
    )
    panel = figure.subplots()
    _frame(panel, title=title)
    panel.grid(axis="x", color=FAINT, linewidth=0.5)
    handles: list[tuple[str, Artist]] = []
    for number, (name, series) in enumerate(scores.items()):
        positions = [
            (y - 0.4 + thick * (number + 0.5), series[c])
            for y, c in enumerate(order)
            if c in series
        ]
        colour = PALETTE[number % len(PALETTE)]
        panel.barh(
            [y for y, _ in positions],
            [f for _, f in positions],
            thick * 0.9,
            color=colour,
            zorder=2,
        )
        for y, f in positions:
            panel.text(
                f + 0.6,
                y,
                f"{f:.0f}",
                va="center_baseline",
                fontsize=6,
                color=INK,
                clip_on=False,
            )
        handles.append((name, Patch(facecolor=colour)))
    panel.set_yticks(
        range(len(order)), [_printable(name, 28) for name in order], parse_math=False
    )
    panel.set(xlim=(0, 100), ylim=(max(1, len(order)) - 0.4, -0.6))
    panel.set_xlabel(f"{measure}, percent", color=INK, fontsize=8)
    _key(figure, handles, columns=5)
    return figure


def _frame(panel: Axes, *, title: str) -> None:
    panel.set_title(
        _printable(title, 90),
        loc="left",
        fontsize=9,
        color=INK,
        weight="bold",
        parse_math=False,
    )
    panel.tick_params(labelsize=8, color=FAINT, labelcolor=INK, length=3)
    panel.tick_params(axis="y", length=0)
    panel.set_facecolor(PAPER)
    panel.spines[["top", "right", "left"]].set_visible(False)
    panel.spines["bottom"].set_color(FAINT)
    panel.set_axisbelow(True)


def _printable(text: str, limit: int) -> str:
    """Names come from files: keep each to one line of bounded length that any font engine takes."""
    clean = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
    return clean if len(clean) <= limit else clean[: limit - 1] + "…"

"""Figures: timelines of several methods, training curves, and F-scores of classes.

The first and the last have the form of figures 4, 5 and 3 of Zhou et al. 2024, arXiv 2406.00919.
Every function returns a matplotlib `Figure` that belongs to no window
(`figure.savefig("x.png")`); the same arguments give the same figure.
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

PAPER = "#fdfdfd"
INK = "#22272e"
FAINT = "#c5cbd3"
LANE = "#f2f4f7"
WIDTH = 7.2  # inches, the width of a page's text
MAX_TITLE = 90  # characters
MAX_VIDEO = 80
MAX_EVENT = 40
MAX_NAME = 28
LANE_GAP = 0.4  # rows between two lanes
MISSING_STYLE: dict[str, Any] = {
    "facecolor": PAPER,
    "edgecolor": "#9aa3ae",
    "hatch": "////",
    "zorder": 1,
}

# Six colours of Okabe and Ito (2008), then those farthest from all earlier ones in OKLab,
# as seen with normal, protanopic and deuteranopic eyes (simulation of Machado et al. 2009).
# Names are written beside colours throughout: nobody can tell so many colours apart.
# fmt: off
PALETTE = (
    "#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#88194a", "#59e1a2",
    "#4f3797", "#944e21", "#8285eb", "#75567c", "#a5b280", "#697260", "#8dd1dd", "#b8d259",
    "#baa3ad", "#3e4b73", "#7d3317", "#e77f3e", "#29a1c1", "#a55f8f", "#5872d2", "#435ab8",
    "#4f8ac6", "#cd7576", "#907649", "#874197", "#90c6a8", "#3ebfc6",
)
# fmt: on


def class_colours(
    timelines: Iterable[Timeline], taxonomy: Taxonomy | None = None
) -> dict[str, str]:
    """Assign one colour to each class by its position in the taxonomy.

    Args:
        timelines: Timelines whose classes get colours.
        taxonomy: Names of the classes; others follow in alphabetical order.
    """
    names = {event.class_name for timeline in timelines for event in timeline}
    taxonomy_names = () if taxonomy is None else taxonomy.classes
    further_names = sorted(names.difference(taxonomy_names))
    colours = dict[str, str]()
    for index, name in enumerate((*taxonomy_names, *further_names)):
        colours[name] = PALETTE[index % len(PALETTE)]
    return colours


def text_colour(background: str) -> str:
    """Return black or white, the one with more contrast to a colour.

    >>> text_colour("#ffffff"), text_colour("#0072b2")
    ('#000000', '#ffffff')

    Source: relative luminance of WCAG 2.
    """
    red, green, blue = (
        _linear_light(int(background[start : start + 2], 16) / 255)
        for start in (1, 3, 5)
    )
    luminance = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    return "#000000" if luminance > 0.179 else "#ffffff"


def _linear_light(channel: float) -> float:
    if channel <= 0.04045:
        return channel / 12.92
    return float(((channel + 0.055) / 1.055) ** 2.4)


def arrange_rows(events: Iterable[Event]) -> list[list[Event]]:
    """Arrange events in few rows; a class has one row, in which it overlaps no other class.

    >>> times = [("Dog", 0.0, 2.0), ("Car", 1.0, 3.0), ("Cat", 2.0, 4.0)]
    >>> rows = arrange_rows(Event("audio", *time) for time in times)
    >>> [[event.class_name for event in row] for row in rows]
    [['Dog', 'Cat'], ['Car']]
    """
    by_class = dict[str, list[Event]]()
    for event in sorted(events, key=lambda e: (e.onset, e.class_name, e.offset)):
        by_class.setdefault(event.class_name, []).append(event)
    rows = list[list[Event]]()
    for class_events in by_class.values():
        row = next((row for row in rows if _fits(class_events, row)), None)
        if row is None:
            rows.append(class_events)
        else:
            row.extend(class_events)
    return rows


def _fits(events: Sequence[Event], row: Sequence[Event]) -> bool:
    """Return whether no event overlaps an event of the row."""
    for event in events:
        for other in row:
            if event.onset < other.offset and other.onset < event.offset:
                return False
    return True


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
    return _draw_panels(lanes, MODALITIES, titles, taxonomy)


def plot_labels(
    lanes: Mapping[str, Timeline], *, taxonomy: Taxonomy | None = None
) -> Figure:
    """Draw one label a segment for each method, as in localisation.

    Args:
        lanes: Timelines by the name of the method.
        taxonomy: Fixes the colour of each class, so that colours agree between figures.
    """
    modality = MODALITIES[0]
    single_lanes = dict[str, Timeline]()
    for name, line in lanes.items():
        events = [replace(event, modality=modality) for event in line]
        unique_events = tuple(dict.fromkeys(events))
        single_lanes[name] = replace(line, events=unique_events)
    return _draw_panels(single_lanes, (modality,), ["One label a second"], taxonomy)


def _draw_panels(
    lanes: Mapping[str, Timeline],
    modalities: Sequence[str],
    titles: Sequence[str],
    taxonomy: Taxonomy | None,
) -> Figure:
    """Draw one panel for each modality, with one lane for each method."""
    if not lanes:
        raise ValueError("no timeline to plot; give at least one")

    colours = class_colours(lanes.values(), taxonomy)
    seconds = axis_seconds(lanes.values())
    heights = [
        sum(_lane_height(lane, modality) for lane in lanes.values())
        for modality in modalities
    ]

    figure = _make_figure(height=1.3 + 0.21 * sum(heights))
    axes = figure.subplots(
        len(modalities), sharex=True, height_ratios=heights, squeeze=False
    )

    panels = axes[:, 0]
    for panel, modality, title, height in zip(
        panels, modalities, titles, heights, strict=True
    ):
        _style_panel(panel, title=title)
        panel.set(xlim=(0, seconds), ylim=(height, 0))
        _draw_lanes(panel, lanes, modality, colours)

    panels[-1].set_xlabel("seconds", color=INK, fontsize=8)
    first_lane = next(iter(lanes.values()))
    video = _printable(first_lane.video, MAX_VIDEO)
    figure.suptitle(video, x=0.005, ha="left", fontsize=9, color=INK, parse_math=False)
    _draw_class_legend(figure, list(lanes.values()), colours)
    return figure


def axis_seconds(timelines: Iterable[Timeline]) -> float:
    """Return the length of a time axis that shows all of several timelines, in seconds."""
    seconds = 1e-3
    for line in timelines:
        offsets = [event.offset for event in line]
        seconds = max([seconds, line.seconds, *offsets])
    return seconds


def _lane_height(timeline: Timeline, modality: str) -> float:
    rows = arrange_rows(timeline.of(modality))
    return max(1, len(rows)) + LANE_GAP


def _draw_lanes(
    panel: Axes,
    lanes: Mapping[str, Timeline],
    modality: str,
    colours: Mapping[str, str],
) -> None:
    top = 0.0
    centres = list[float]()
    for lane in lanes.values():
        height = _lane_height(lane, modality)
        box_top = top + 0.1
        box_height = height - 0.2
        background = _box(
            0.0, lane.seconds, box_top, box_height, facecolor=LANE, zorder=0
        )
        panel.add_patch(background)
        for missing_modality, onset, offset in lane.missing:
            if missing_modality == modality:
                gap = _box(onset, offset, box_top, box_height, **MISSING_STYLE)
                panel.add_patch(gap)
        for row_number, row in enumerate(arrange_rows(lane.of(modality))):
            row_top = top + 0.2 + row_number
            for event in row:
                _draw_event(panel, event, row_top, colours[event.class_name])
        centres.append(top + height / 2)
        top += height

    names = [_printable(name, MAX_NAME) for name in lanes]
    panel.set_yticks(centres, names, parse_math=False)


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
    name = _printable(event.class_name, MAX_EVENT)
    axis_end = panel.get_xlim()[1]
    axis_inches = WIDTH - 1.4  # without the names of the lanes
    bar_inches = (event.offset - event.onset) / axis_end * axis_inches
    text_inches = 0.062 * len(name) + 0.06
    if text_inches > bar_inches:
        return  # the legend names it
    panel.text(
        event.onset + axis_end * 0.005,
        top + 0.5,
        name,
        parse_math=False,
        zorder=3,
        fontsize=7,
        color=text_colour(colour),
        va="center_baseline",
        clip_path=bar,
    )


def _box(
    onset: float, offset: float, top: float, height: float, **style: Any
) -> Rectangle:
    corner = (onset, top)
    return Rectangle(corner, offset - onset, height, linewidth=0.5, **style)


def _draw_class_legend(
    figure: Figure, timelines: Sequence[Timeline], colours: Mapping[str, str]
) -> None:
    names = {event.class_name for line in timelines for event in line}
    handles = dict[str, Artist]()
    for name, colour in colours.items():
        if name in names:
            handles[name] = Patch(facecolor=colour)
    entries = list(handles.items())
    if any(line.missing for line in timelines):
        entries.append(("no audio or video", Patch(**MISSING_STYLE)))
    _draw_legend(figure, entries, columns=4)


def _draw_legend(
    figure: Figure, entries: Sequence[tuple[str, Artist]], *, columns: int
) -> None:
    """Explain colours below the panels."""
    if not entries:
        return
    names = [_printable(name, MAX_NAME) for name, _ in entries]
    # a legend drops names that start with "_": the names are set afterwards
    placeholders = ["x" * min(len(name), MAX_NAME) for name, _ in entries]
    legend = figure.legend(
        [handle for _, handle in entries],
        placeholders,
        loc="outside lower center",
        ncols=columns,
        frameon=False,
        fontsize=7.5,
        handlelength=1.4,
        labelcolor=INK,
    )
    for text, name in zip(legend.get_texts(), names, strict=True):
        text.set(text=name, parse_math=False)


def plot_training_curves(
    histories: Mapping[str, Sequence[Mapping[str, float | int]]],
) -> Figure:
    """Draw the loss, and the validation score if there is one, over epochs for each run.

    Args:
        histories: Epochs of each run in order; each has "epoch", "loss" and perhaps
            "validation".
    """
    titles = {
        "loss": "Training loss (each method its own)",
        "validation": "Validation score",
    }
    records = [record for history in histories.values() for record in history]
    keys = {key for record in records for key in record}
    measures = [measure for measure in titles if measure in keys] or ["loss"]

    figure = _make_figure(height=3.0)
    panels = figure.subplots(1, len(measures), squeeze=False)[0]

    handles = dict[str, Artist]()
    for panel, measure in zip(panels, measures, strict=True):
        _style_panel(panel, title=titles[measure])
        panel.grid(axis="y", color=FAINT, linewidth=0.5)
        panel.set_xlabel("epoch", color=INK, fontsize=8)
        panel.xaxis.get_major_locator().set_params(integer=True)
        for number, (name, history) in enumerate(histories.items()):
            measured = [record for record in history if measure in record]
            style: dict[str, Any] = {"color": _series_colour(number), "linewidth": 1.3}
            if len(measured) < 2:
                style |= {"marker": "o", "markersize": 3}
            (handles[name],) = panel.plot(
                [record["epoch"] for record in measured],
                [record[measure] for record in measured],
                **style,
            )

    _draw_legend(figure, list(handles.items()), columns=5)
    return figure


def plot_curves(
    lines: Mapping[str, Sequence[tuple[float, float, float]]],
    *,
    x_label: str,
    y_label: str,
) -> Figure:
    """Draw measures against a setting, with error bars.

    Args:
        lines: Points of each measure: the setting, the mean, and the spread on either side.
        x_label: Name of the setting.
        y_label: Unit of the measures.
    """
    settings = sorted({x for points in lines.values() for x, _, _ in points})
    figure = _make_figure(height=3.4)
    panel = figure.subplots()
    _style_panel(panel, title="")
    panel.grid(axis="y", color=FAINT, linewidth=0.5)

    handles = dict[str, Artist]()
    for number, (name, points) in enumerate(lines.items()):
        shift = 0.06 * (number - (len(lines) - 1) / 2)  # so that no bar hides another
        container = panel.errorbar(
            [settings.index(setting) + shift for setting, _, _ in points],
            [mean for _, mean, _ in points],
            yerr=[spread for _, _, spread in points],
            marker="o",
            markersize=3,
            elinewidth=0.8,
            color=_series_colour(number),
            linewidth=1.3,
            capsize=2,
        )
        handles[name] = container[0]

    panel.set_xticks(range(len(settings)), [f"{setting:g}" for setting in settings])
    style: dict[str, Any] = {"color": INK, "fontsize": 8, "parse_math": False}
    panel.set_xlabel(_printable(x_label, MAX_TITLE), **style)
    panel.set_ylabel(_printable(y_label, MAX_TITLE), **style)

    _draw_legend(figure, list(handles.items()), columns=4)
    return figure


def plot_class_scores(
    scores: Mapping[str, Mapping[str, float | int]],
    *,
    title: str,
    measure: str = "F-score",
) -> Figure:
    """Draw a score of each class as one bar a series, with the best class on top.

    Args:
        scores: Scores of the classes in percent, by the name of the series, such as "PLG".
        title: Title of the figure.
        measure: Name of the score.
    """
    classes = _order_by_mean(scores)
    row_of_class = {name: row for row, name in enumerate(classes)}
    bars = len(classes) * max(2, len(scores))
    thickness = 0.8 / max(1, len(scores))

    figure = _make_figure(height=1.1 + 0.13 * bars)
    panel = figure.subplots()
    _style_panel(panel, title=title)
    panel.grid(axis="x", color=FAINT, linewidth=0.5)

    handles = list[tuple[str, Artist]]()
    for number, (name, series) in enumerate(scores.items()):
        colour = _series_colour(number)
        class_names = [class_name for class_name in classes if class_name in series]
        values = [series[class_name] for class_name in class_names]
        positions = [
            row_of_class[class_name] - 0.4 + thickness * (number + 0.5)
            for class_name in class_names
        ]
        panel.barh(positions, values, thickness * 0.9, color=colour, zorder=2)
        _write_values(panel, positions, values)
        handles.append((name, Patch(facecolor=colour)))

    names = [_printable(name, MAX_NAME) for name in classes]
    panel.set_yticks(range(len(classes)), names, parse_math=False)
    panel.set(xlim=(0, 100), ylim=(max(1, len(classes)) - 0.4, -0.6))
    panel.set_xlabel(f"{measure}, percent", color=INK, fontsize=8)
    _draw_legend(figure, handles, columns=5)
    return figure


def _write_values(
    panel: Axes, positions: Sequence[float], values: Sequence[float | int]
) -> None:
    """Write a number at the end of each bar."""
    for position, value in zip(positions, values, strict=True):
        panel.text(
            value + 0.6,
            position,
            f"{value:.0f}",
            va="center_baseline",
            fontsize=6,
            color=INK,
            clip_on=False,
        )


def _order_by_mean(scores: Mapping[str, Mapping[str, float | int]]) -> list[str]:
    """Order classes by their mean score over series, the highest first."""
    classes = {name for series in scores.values() for name in series}
    mean = dict[str, float]()
    for name in classes:
        total = sum(series.get(name, 0.0) for series in scores.values())
        mean[name] = total / len(scores)
    return sorted(classes, key=lambda name: (-mean[name], name))


def _series_colour(number: int) -> str:
    return PALETTE[number % len(PALETTE)]


def _make_figure(*, height: float) -> Figure:
    return Figure(figsize=(WIDTH, height), layout="constrained", facecolor=PAPER)


def _style_panel(panel: Axes, *, title: str) -> None:
    panel.set_title(
        _printable(title, MAX_TITLE),
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
    """Return a name as one line of limited length that any font engine accepts.

    Names come from files, and may contain any character.
    """
    characters = [c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text]
    line = "".join(characters)
    return line if len(line) <= limit else line[: limit - 1] + "…"

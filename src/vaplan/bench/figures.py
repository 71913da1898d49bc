"""A bench's figures by name: labels by class, timelines of several methods, and the curve of a
sweep."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import product

import numpy as np

from vaplan import plots
from vaplan.arrays import MODALITIES
from vaplan.bench.label_quality import f_by_class
from vaplan.bench.results import SHORT, TEN, Results, estimate
from vaplan.metrics.llp import LEVELS
from vaplan.report import Picture
from vaplan.timeline import Event, Timeline

SHOWN = 4  # videos with timelines
LEVEL = "segment"


def pictures(results: Results) -> dict[str, Picture]:
    """By file name the figures that these results have."""
    swept = (
        (_sweep, _sweep_of_labels)
        if results.plan.suite.parameter
        else (_classes, _timelines)
    )
    return {name: picture for draw in swept for name, picture in draw(results)}


def _sweep(results: Results) -> Iterator[tuple[str, Picture]]:
    swept = [
        method
        for method in results.methods
        if method.value is not None and method.scores
    ]
    names = [f"{level} {kind}" for level in LEVELS for kind in ("type", "event")]
    names = names if results.numbers == TEN else [*results.numbers]
    spoken = (
        [f"{level} {SHORT[kind]}" for level, kind in map(str.split, names)]
        if len(names) > 1
        else names
    )
    lines = {
        title: [_point(m.value, m.of(name)) for m in swept]
        for name, title in zip(names, spoken, strict=True)
    }
    yield from _curve(
        results, "sweep", lines, what="F" if results.numbers == TEN else "accuracy"
    )


def _sweep_of_labels(results: Results) -> Iterator[tuple[str, Picture]]:
    split, lines = results.desk.split, dict[str, list[Point]]()
    for row in results.plan.labels:
        qualities = [
            quality.f[split]
            for quality in results.labels.get(row.title, ())
            if split in quality.f
        ]
        for m, level in (
            product(MODALITIES, LEVELS) if qualities and row.value is not None else ()
        ):
            lines.setdefault(f"{m} {level}", []).append(
                _point(row.value, [f[m][level] for f in qualities])
            )
    yield from _curve(results, "sweep_labels", lines, what="F of the pseudo labels")


Point = tuple[float, float, float]


def _point(value: float | None, numbers: Sequence[float]) -> Point:
    return value or 0.0, float(np.mean(numbers)), float(np.std(numbers))


def _curve(
    results: Results, file: str, lines: Mapping[str, Sequence[Point]], *, what: str
) -> Iterator[tuple[str, Picture]]:
    if any(lines.values()):
        parameter = results.plan.suite.parameter
        caption = f"Mean over seeds; bars are one standard deviation. {results.videos} {results.desk.split} videos."
        figure = plots.plot_curves(lines, x_label=parameter, y_label=f"{what}, percent")
        yield file, Picture(f"{what.capitalize()} by {parameter}", caption, figure)


def _classes(results: Results) -> Iterator[tuple[str, Picture]]:
    data = results.desk.annotations
    test = data.select(results.desk.split).labelled_ids()
    tables = {title: group[0].table for title, group in results.labels.items() if group}
    by_title = {title: f_by_class(data, table, test) for title, table in tables.items()}
    for m, modality in enumerate(MODALITIES if by_title else ()):
        scores = {}
        for title, quality in by_title.items():
            row = zip(
                data.taxonomy.classes,
                quality[list(LEVELS).index(LEVEL), m],
                strict=True,
            )
            scores[title] = {name: float(f) for name, f in row if not np.isnan(f)}
        title = f"{LEVEL.capitalize()}-level F of the {modality} pseudo labels by class"
        caption = f"Videos of split {results.desk.split}, counts summed over videos; first seed."
        yield (
            f"labels_{modality}",
            Picture(title, caption, plots.plot_class_scores(scores, title=title)),
        )


def _timelines(results: Results) -> Iterator[tuple[str, Picture]]:
    """Draw the reference and the first seed of every method for some videos."""
    data = results.desk.annotations.select(results.desk.split)
    shown = [method for method in results.methods if method.scores]
    jobs = {row.title: row.jobs for row in results.plan.rows}
    said = {
        m.title: estimate(jobs[m.title][next(iter(m.scores))], results.desk).events
        for m in shown
    }
    for number, video in enumerate(_eventful(data.events), start=1):
        lanes: dict[str, tuple[Event, ...]] = {"reference": data.events[video]}
        lanes |= {title: events.get(video, ()) for title, events in said.items()}
        end = data.segments or max(
            1.0, *(event.offset for lane in lanes.values() for event in lane), 1.0
        )
        lines = {
            name: Timeline(video, float(end), events) for name, events in lanes.items()
        }
        figure = plots.plot(lines, taxonomy=data.taxonomy)
        yield (
            f"timelines_{number}",
            Picture(
                video, "The reference, and the first seed of every method.", figure
            ),
        )


def _eventful(events: Mapping[str, tuple[Event, ...]]) -> list[str]:
    """Select videos: one half with the most classes, the other half the first ones."""
    order = sorted(
        events,
        key=lambda video: -len({(e.class_name, e.modality) for e in events[video]}),
    )
    many = order[: SHOWN // 2]
    return [*many, *(video for video in events if video not in many)][:SHOWN]

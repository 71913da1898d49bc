"""Figures of a bench: labels by class, timelines of several methods, curves of a sweep."""

from collections.abc import Mapping, Sequence

import numpy as np

from vaplan import plots
from vaplan.annotations import Annotations
from vaplan.arrays import MODALITIES
from vaplan.bench.label_quality import f_by_class
from vaplan.bench.results import SHORT, TEN, Results, read_predictions
from vaplan.metrics.llp import LEVELS
from vaplan.report import Picture
from vaplan.timeline import Event, Timeline

EXAMPLES = 4  # videos with timelines
LEVEL = "segment"
Point = tuple[float, float, float]  # value of the sweep, mean, standard deviation


def figures(results: Results) -> dict[str, Picture]:
    """Draw the figures of a bench.

    Args:
        results: Results of a bench.

    Returns:
        Figures by file name: curves for a suite with a sweep, else classes and timelines.
    """
    if results.plan.suite.parameter:
        return {**_sweep(results), **_sweep_of_labels(results)}
    return {**class_figures(results), **_timelines(results)}


def _sweep(results: Results) -> dict[str, Picture]:
    methods = [m for m in results.methods if m.value is not None and m.scores]
    names = {name: name for name in results.numbers}
    if results.numbers == TEN:
        names = {
            f"{level} {SHORT[kind]}": f"{level} {kind}"
            for level in LEVELS
            for kind in ("type", "event")
        }
    lines = {
        title: [_point(method.value, method.values(name)) for method in methods]
        for title, name in names.items()
    }
    measure = "F" if results.numbers == TEN else "accuracy"
    return _curve(results, "sweep", lines, measure=measure)


def _sweep_of_labels(results: Results) -> dict[str, Picture]:
    split = results.workspace.split
    lines = dict[str, list[Point]]()
    for row in results.plan.labels:
        qualities = results.labels.get(row.title, [])
        scores = [quality.f[split] for quality in qualities if split in quality.f]
        if row.value is None or not scores:
            continue
        for modality in MODALITIES:
            for level in LEVELS:
                values = [seed[modality][level] for seed in scores]
                line = lines.setdefault(f"{modality} {level}", [])
                line.append(_point(row.value, values))
    return _curve(results, "sweep_labels", lines, measure="F of the pseudo labels")


def _point(value: float | None, scores: Sequence[float]) -> Point:
    return value or 0.0, float(np.mean(scores)), float(np.std(scores))


def _curve(
    results: Results, file: str, lines: Mapping[str, Sequence[Point]], *, measure: str
) -> dict[str, Picture]:
    if not any(lines.values()):
        return {}
    parameter = results.plan.suite.parameter
    caption = (
        "Mean over seeds; bars are one standard deviation. "
        f"{results.videos} {results.workspace.split} videos."
    )
    figure = plots.plot_curves(lines, x_label=parameter, y_label=f"{measure}, percent")
    return {file: Picture(f"{measure.capitalize()} by {parameter}", caption, figure)}


def class_figures(results: Results) -> dict[str, Picture]:
    """Draw the F of the pseudo labels by class, a figure a modality; first seed.

    Args:
        results: Results of a bench.

    Returns:
        Figures by file name.
    """
    data = results.workspace.annotations
    videos = data.select(results.workspace.split).labelled_ids()
    tables = {title: group[0].table for title, group in results.labels.items() if group}
    f = {title: f_by_class(data, table, videos) for title, table in tables.items()}
    drawings = dict[str, Picture]()
    for m, modality in enumerate(MODALITIES if f else ()):
        scores = dict[str, dict[str, float]]()
        for title, values in f.items():
            of_class = values[list(LEVELS).index(LEVEL), m]
            by_class = zip(data.taxonomy.classes, of_class, strict=True)
            scores[title] = {
                c: float(value) for c, value in by_class if not np.isnan(value)
            }
        title = f"{LEVEL.capitalize()}-level F of the {modality} pseudo labels by class"
        caption = (
            f"Videos of split {results.workspace.split}, counts summed over videos; "
            "first seed."
        )
        figure = plots.plot_class_scores(scores, title=title)
        drawings[f"labels_{modality}"] = Picture(title, caption, figure)
    return drawings


def _timelines(results: Results) -> dict[str, Picture]:
    """Draw the reference and the first seed of every method for some videos."""
    data = results.workspace.annotations.select(results.workspace.split)
    predictions = first_predictions(results)
    drawings = dict[str, Picture]()
    for number, video in enumerate(_example_videos(data.events), start=1):
        lanes: dict[str, tuple[Event, ...]] = {"reference": data.events[video]}
        for title, events in predictions.items():
            lanes[title] = events.get(video, ())
        end = timeline_end(data, lanes)
        lines = {name: Timeline(video, end, events) for name, events in lanes.items()}
        figure = plots.plot(lines, taxonomy=data.taxonomy)
        caption = "The reference, and the first seed of every method."
        drawings[f"timelines_{number}"] = Picture(video, caption, figure)
    return drawings


def first_predictions(
    results: Results,
) -> dict[str, Mapping[str, tuple[Event, ...]]]:
    """Read the events that each method predicts with its first seed.

    Args:
        results: Results of a bench.

    Returns:
        Events by video id, by title of the method.
    """
    jobs = {row.title: row.jobs for row in results.plan.rows}
    predictions = dict[str, Mapping[str, tuple[Event, ...]]]()
    for method in results.methods:
        for seed in [*method.scores][:1]:
            job = jobs[method.title][seed]
            table = read_predictions(job, results.workspace)
            predictions[method.title] = table.events
    return predictions


def timeline_end(data: Annotations, lanes: Mapping[str, Sequence[Event]]) -> float:
    """Return the end of a video's timelines in seconds.

    Args:
        data: Data set; its number of segments is the end if it is known.
        lanes: Events by name of the timeline; otherwise their last offset is the end.
    """
    offsets = [event.offset for events in lanes.values() for event in events]
    return float(data.segments or max(1.0, *offsets, 1.0))


def _example_videos(events: Mapping[str, tuple[Event, ...]]) -> list[str]:
    """Select videos: one half with the most classes, the other half the first ones."""
    order = sorted(events, key=lambda video: -_count_classes(events[video]))
    rich = order[: EXAMPLES // 2]
    others = [video for video in events if video not in rich]
    return [*rich, *others][:EXAMPLES]


def _count_classes(events: Sequence[Event]) -> int:
    return len({(event.class_name, event.modality) for event in events})

"""Report page of finished runs: scores, differing settings, training curves and classes."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from os.path import commonpath
from pathlib import Path
from typing import Any

import yaml

from vaplan import recipe as recipes
from vaplan import report, runs
from vaplan.bench.results import (
    describe_decision,
    describe_selection,
    flatten_numbers,
    format_signed,
    score_entries,
)
from vaplan.bench.tables import column_headings
from vaplan.errors import UsageError
from vaplan.metrics.llp import KINDS
from vaplan.plots import plot_class_scores, plot_training_curves
from vaplan.report import Picture, Table
from vaplan.report.tables import Cell
from vaplan.runs import Run

MAX_BARS = 6  # runs whose bars fit beside one another
FIGURES = {  # keys of the scores by class, by title
    "Segment-level F by class, audio": ("segment", "audio"),
    "Segment-level F by class, visual": ("segment", "visual"),
    "Accuracy by class": (),
}


def compare_runs(folders: Sequence[Path], out: Path) -> Path:
    """Write a report page that compares runs.

    Args:
        folders: Run folders; the others are compared with the first.
        out: HTML file to write.

    Returns:
        Path of the page.

    Raises:
        RunError: A folder is not a run.
        UsageError: A folder is given twice.
    """
    names = shorten_paths(folders)
    loaded = dict(zip(names, map(runs.load, folders), strict=True))
    descriptions = {
        name: vars(runs.read_description(run.folder)) for name, run in loaded.items()
    }
    curves = plot_training_curves({name: run.history for name, run in loaded.items()})
    caption = "Each run's own objective; different objectives have different losses."
    details = dict[str, str]()
    for name, run in loaded.items():
        details[f"{name}: folder"] = str(run.folder)
        details[f"{name}: versions"] = _format_versions(descriptions[name])
        details[f"{name}: recipe"] = recipes.dump(run.recipe)
    title = f"{len(loaded)} runs" if len(loaded) > 1 else names[0]
    return report.write(
        out,
        title=f"vaplan report: {title}",
        lead="Scores of each run on the splits with dense labels, and its settings. Differences "
        "are of single trainings; use vaplan bench for several seeds and vaplan compare for "
        "intervals.",
        tables=[*_score_tables(loaded, descriptions), *_setting_tables(loaded)],
        pictures=[Picture("Training", caption, curves), *_class_figures(loaded)],
        details=details,
    )


def shorten_paths(folders: Sequence[Path]) -> list[str]:
    """Shorten the paths of folders by their common parent.

    >>> shorten_paths([Path("runs/a/han"), Path("runs/b/han")])
    ['a/han', 'b/han']
    """
    if len(set(folders)) < len(folders):
        twice = next(folder for folder in folders if folders.count(folder) > 1)
        raise UsageError(
            "this run is given twice", file=twice, fix="name each run once"
        )
    if len(folders) == 1:
        return [folders[0].resolve().name]
    absolute = [folder.resolve() for folder in folders]
    parent = commonpath(absolute)
    return [str(folder.relative_to(parent)) for folder in absolute]


def _score_tables(
    loaded: Mapping[str, Run], descriptions: Mapping[str, Mapping[str, Any]]
) -> Iterator[Table]:
    """Yield, for every split, the scores of the runs and their lead over the first run."""
    splits = dict.fromkeys(split for run in loaded.values() for split in run.metrics)
    for split in splits:
        scores = {
            name: flatten_numbers(score_entries(run.metrics[split]))
            for name, run in loaded.items()
            if split in run.metrics
        }
        first, *others = scores
        columns = [
            name for name in scores[first] if all(name in s for s in scores.values())
        ]
        headings, groups = column_headings(columns, KINDS)
        rows: list[tuple[Cell, ...]] = []
        for name, numbers in scores.items():
            rows.append((name, *(numbers[column] for column in columns)))
        note = _note(loaded, descriptions, split)
        yield Table(f"Split {split}", ("run", *headings), tuple(rows), note, groups)
        leads: list[tuple[Cell, ...]] = []
        for name in others:
            differences = [
                format_signed(scores[name][column] - scores[first][column])
                for column in columns
            ]
            leads.append((f"{name} − {first}", *differences))
        if leads:
            yield Table(
                f"Differences, split {split}",
                ("", *headings),
                tuple(leads),
                groups=groups,
                highlight=False,
            )


def _note(
    loaded: Mapping[str, Run],
    descriptions: Mapping[str, Mapping[str, Any]],
    split: str,
) -> str:
    names_by_text = defaultdict[str, list[str]](list)
    for name, run in loaded.items():
        if metrics := run.metrics.get(split):
            videos, source, version = (
                metrics.get(key, "unknown") for key in ("videos", "data", "annotations")
            )
            data = f"{videos} videos of {source}"
            annotations = f"annotations {version}"
            decision = describe_decision(descriptions[name])
            selection = describe_selection(descriptions[name])
            text = f"{data}, {annotations}; {decision}; {selection}."
            names_by_text[text].append(name)
    if len(names_by_text) == 1:
        return " ".join(("In percent.", *names_by_text))
    texts = [f"{', '.join(names)}: {text}" for text, names in names_by_text.items()]
    return " ".join(("In percent.", *texts))


def _setting_tables(loaded: Mapping[str, Run]) -> Iterator[Table]:
    """Yield the table of the settings in which the recipes differ, if any do."""
    settings = {
        name: dict(_leaves(yaml.safe_load(recipes.dump(run.recipe))))
        for name, run in loaded.items()
    }
    keys = dict.fromkeys(key for of_run in settings.values() for key in of_run)
    rows = list[tuple[str, ...]]()
    for key in keys:
        values = [str(of_run.get(key, "–")) for of_run in settings.values()]
        if len({str(of_run.get(key)) for of_run in settings.values()}) > 1:
            rows.append((key, *values))
    if rows:
        yield Table(
            "Where the recipes differ",
            ("setting", *settings),
            tuple(rows),
            highlight=False,
        )


def _leaves(tree: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(tree, Mapping) and tree:
        for key, value in tree.items():
            yield from _leaves(value, f"{prefix}.{key}".removeprefix("."))
    else:
        yield prefix, tree


def _class_figures(loaded: Mapping[str, Run]) -> Iterator[Picture]:
    """Yield the F or the accuracy of every class, for runs that recorded them."""
    recorded = {
        name: run.metrics.get("test", {}).get("per_class")
        for name, run in loaded.items()
    }
    first = dict(list(recorded.items())[:MAX_BARS])
    note = f" The first {MAX_BARS} runs." if len(recorded) > MAX_BARS else ""
    for title, keys in FIGURES.items():
        scores = dict[str, dict[str, float]]()
        for name, by_class in first.items():
            if by_class and (values := _select(by_class, keys)):
                scores[name] = {c: f for c, f in values.items() if f is not None}
        if any(scores.values()):
            measure = "F-score" if keys else "accuracy"
            figure = plot_class_scores(scores, title=title, measure=measure)
            caption = f"Test videos, counts summed over videos.{note}"
            yield Picture(title, caption, figure)


def _select(
    by_class: Mapping[str, Any], keys: tuple[str, ...]
) -> dict[str, float | None]:
    """Return the values below the keys; nothing if they are no numbers."""
    values: Any = by_class
    for key in keys:
        values = values.get(key, {}) if isinstance(values, Mapping) else {}
    if any(isinstance(value, Mapping) for value in values.values()):
        return {}
    return dict(values)


def _format_versions(description: Mapping[str, Any]) -> str:
    versions = description.get("versions", {})
    return ", ".join(f"{name} {version}" for name, version in versions.items())

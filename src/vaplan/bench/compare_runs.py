"""Finished runs on one page: their numbers, what differs in their recipes, their training and
their classes."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from os.path import commonpath
from pathlib import Path
from typing import Any

import yaml

from vaplan import recipe as recipes
from vaplan import report, runs
from vaplan.bench.results import (
    SHORT,
    TEN,
    decision_of,
    flat,
    numbers_in,
    selection_of,
    signed,
)
from vaplan.errors import UsageError
from vaplan.metrics.llp import KINDS, LEVELS
from vaplan.plots import plot_class_scores, plot_training_curves
from vaplan.report import Picture, Table
from vaplan.report.tables import Cell
from vaplan.runs import Run

MOST_BARS = 6  # runs whose classes fit beside one another


def compare_runs(folders: Sequence[Path], out: Path) -> Path:
    """Write one self-contained page; the first run is the one the others are compared with.

    Args:
        folders: Run folders; the first is the baseline.
        out: Folder or file to write.
    """
    run_of = dict(zip(names_of(folders), map(runs.load, folders), strict=True))
    abouts = {
        name: vars(runs.read_description(run.folder)) for name, run in run_of.items()
    }
    tables = [*_numbers(run_of, abouts), *_settings(run_of)]
    curves = plot_training_curves({name: run.history for name, run in run_of.items()})
    pictures = [
        Picture(
            "Training",
            "Each run's own objective; different objectives have different losses.",
            curves,
        )
    ]
    return report.write(
        out,
        title=f"vaplan report: {len(run_of)} runs"
        if len(run_of) > 1
        else f"vaplan report: {next(iter(run_of))}",
        lead="What each run says of the splits with dense labels, and how it was made. Differences are of single "
        "trainings; several seeds and intervals are for vaplan bench and vaplan compare.",
        tables=tables,
        pictures=[*pictures, *_classes(run_of)],
        details={
            f"{name}: {title}": text
            for name, run in run_of.items()
            for title, text in _details(run, abouts[name])
        },
    )


def names_of(folders: Sequence[Path]) -> list[str]:
    """Shorten the paths of folders by their common parent.

    >>> names_of([Path("runs/a/han"), Path("runs/b/han")])
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
    shared = commonpath(absolute)
    return [str(folder.relative_to(shared)) for folder in absolute]


def _numbers(
    run_of: Mapping[str, Run], abouts: Mapping[str, Mapping[str, Any]]
) -> Iterator[Table]:
    """A table a split: every run's numbers, and under them how far it is ahead of the first."""
    for split in dict.fromkeys(
        split for run in run_of.values() for split in run.metrics
    ):
        scored = {
            name: flat(numbers_in(run.metrics[split]))
            for name, run in run_of.items()
            if split in run.metrics
        }
        first, *others = scored
        columns = [
            n for n in scored[first] if all(n in numbers for numbers in scored.values())
        ]
        rows: list[tuple[Cell, ...]] = [
            (name, *map(numbers.get, columns)) for name, numbers in scored.items()
        ]
        ahead = [
            (
                f"{name} − {first}",
                *(signed(scored[name][n] - scored[first][n]) for n in columns),
            )
            for name in others
        ]
        ten = columns == [*TEN]
        heads = (
            [SHORT[kind] for _ in LEVELS for kind in KINDS]
            if ten
            else [n.replace("_", " ") for n in columns]
        )
        groups = (
            (("", 1), *((f"{level}-level F", len(KINDS)) for level in LEVELS))
            if ten
            else ()
        )
        yield Table(
            f"Split {split}",
            ("run", *heads),
            tuple(rows),
            _note(run_of, abouts, split),
            groups,
        )
        if ahead:
            yield Table(
                f"Differences, split {split}",
                ("", *heads),
                tuple(ahead),
                "",
                groups,
                highlight=False,
            )


def _note(
    run_of: Mapping[str, Run], abouts: Mapping[str, Mapping[str, Any]], split: str
) -> str:
    names_by_text = defaultdict[str, list[str]](list)
    for name, run in run_of.items():
        if metrics := run.metrics.get(split):
            what = (
                f"{metrics['videos']} videos of {metrics['data']}, annotations "
                f"{metrics['annotations']}"
            )
            names_by_text[
                f"{what}; {decision_of(abouts[name])}; {selection_of(abouts[name])}"
            ].append(name)
    alone = len(names_by_text) == 1
    texts = (
        f"{text}." if alone else f"{', '.join(names)}: {text}."
        for text, names in names_by_text.items()
    )
    return " ".join(("In percent.", *texts))


def _settings(run_of: Mapping[str, Run]) -> Iterator[Table]:
    """The settings in which the recipes differ."""
    settings_of = {
        name: dict(_leaves(yaml.safe_load(recipes.dump(run.recipe))))
        for name, run in run_of.items()
    }
    keys = dict.fromkeys(key for settings in settings_of.values() for key in settings)
    differing = [
        key
        for key in keys
        if len({str(settings.get(key)) for settings in settings_of.values()}) > 1
    ]
    rows = [
        (key, *(str(settings.get(key, "–")) for settings in settings_of.values()))
        for key in differing
    ]
    if rows:
        yield Table(
            "Where the recipes differ",
            ("setting", *settings_of),
            tuple(rows),
            highlight=False,
        )


def _leaves(tree: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(tree, Mapping) and tree:
        for key, value in tree.items():
            yield from _leaves(value, f"{prefix}.{key}".removeprefix("."))
    else:
        yield prefix, tree


def _classes(run_of: Mapping[str, Run]) -> Iterator[Picture]:
    """F, or accuracy, of every class, as far as the runs noted it."""
    noted = {
        name: run.metrics.get("test", {}).get("per_class")
        for name, run in run_of.items()
    }
    shown = {name: by for name, by in list(noted.items())[:MOST_BARS] if by}
    note = f" The first {MOST_BARS} runs." if len(noted) > MOST_BARS else ""
    for title, keys in BARS.items():
        series = {name: _at(by, keys) for name, by in shown.items()}
        scores = {
            name: {c: f for c, f in by.items() if f is not None}
            for name, by in series.items()
            if by
        }
        if any(scores.values()):
            figure = plot_class_scores(
                scores, title=title, measure="F-score" if keys else "accuracy"
            )
            yield Picture(
                title, f"Test videos, counts summed over videos.{note}", figure
            )


BARS = {
    "Segment-level F by class, audio": ("segment", "audio"),
    "Segment-level F by class, visual": ("segment", "visual"),
    "Accuracy by class": (),
}


def _at(by_class: Mapping[str, Any], keys: tuple[str, ...]) -> dict[str, float | None]:
    values: Any = by_class
    for key in keys:
        values = values.get(key, {}) if isinstance(values, Mapping) else {}
    return (
        {}
        if any(isinstance(value, Mapping) for value in values.values())
        else dict(values)
    )


def _details(run: Run, description: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield "folder", str(run.folder)
    yield (
        "versions",
        ", ".join(
            f"{name} {version}"
            for name, version in description.get("versions", {}).items()
        ),
    )
    yield "recipe", recipes.dump(run.recipe)

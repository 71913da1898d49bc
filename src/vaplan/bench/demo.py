"""The demo: suite `components` on synthetic data, with videos beside their timelines.

Each step is the stage that a user would call, on files that a user could have. The dense labels
of the training videos are read at the end only, to score their pseudo labels.
"""

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from vaplan import recipe as recipes
from vaplan import report, runs
from vaplan.annotations.annotations import Video
from vaplan.annotations.rows import Row
from vaplan.annotations.table import event_rows, write_rows
from vaplan.bench import suite as suites
from vaplan.bench.execute import execute
from vaplan.bench.figures import class_figures, first_predictions
from vaplan.bench.jobs import Workspace
from vaplan.bench.plan import plan
from vaplan.bench.results import Method, Results, collect, format_mean_std
from vaplan.bench.synthetic_data import TRUTH, Bars, make_data
from vaplan.bench.tables import note, tables
from vaplan.errors import VaplanError
from vaplan.metrics.llp import KINDS, LEVELS
from vaplan.plots import plot_training_curves
from vaplan.report import Example, Picture
from vaplan.timeline import Event, Timeline
from vaplan.writing import write_json

SUITE = "components"
ORACLE = "oracle (dense labels)"  # the row that is left out
SEEDS = 3
CHANGES = (
    "model.settings.hidden=128",
    "model.settings.feedforward=128",
    "model.settings.dropout=0.5",
    "training.epochs=20",
    "training.batch_size=32",
)
LABELS = {  # titles of the suite by their key in the JSON document
    "before": "PLG",
    "after": "PLD",
    "refined": "refined",
}
DECIMALS = 4  # of percentages in the JSON document
EXAMPLES = 6  # test videos on the page, and in the table to review
EXAMPLES_TABLE = "examples.csv"
VIDEO_SECONDS = 10.0  # length of every synthetic test video


@dataclass(frozen=True)
class Demo:
    """The results of the demo.

    Attributes:
        page: Report page.
        results: Scores of all methods and pseudo labels.
        review: Command that opens a review of the examples.
    """

    page: Path
    results: Results
    review: str

    @property
    def methods(self) -> dict[str, Method]:
        """Return the methods by the name of their step, such as `ple`."""
        (variant,) = self.results.plan.suite.variants
        return {variant.rows[method.title]: method for method in self.results.methods}

    def numbers(self) -> dict[str, Any]:
        """Return the document of `vaplan demo --json`: means over seeds, in percent."""
        labels: dict[str, Any] = {"audio": {}, "visual": {}}
        for key, title in LABELS.items():
            for modality in labels:
                if key == "after" and modality == "audio":  # PLD denoises visual labels
                    continue
                labels[modality][key] = self._label_f(title, modality)
        methods = {
            name: {
                level: {kind: _mean(method.values(f"{level} {kind}")) for kind in KINDS}
                for level in LEVELS
            }
            for name, method in self.methods.items()
        }
        return {"labels": labels, "methods": methods}

    def _label_f(self, title: str, modality: str) -> dict[str, float]:
        split = self.results.workspace.split
        scores = [quality.f[split][modality] for quality in self.results.labels[title]]
        return {level: _mean([seed[level] for seed in scores]) for level in LEVELS}

    def method_rows(self, level: str) -> list[list[str]]:
        """List the F-scores of every method at one level, as means and deviations over seeds.

        Args:
            level: `segment` or `event`.
        """
        rows = list[list[str]]()
        for method in self.results.methods:
            scores = [
                format_mean_std(method.values(f"{level} {kind}")) for kind in KINDS
            ]
            rows.append([method.title, *scores])
        return rows

    def label_rows(self) -> list[list[str]]:
        """List the F of the test videos' pseudo labels at every level, by title and modality."""
        split = self.results.workspace.split
        rows = list[list[str]]()
        for key, title in LABELS.items():
            for modality in ("visual",) if key == "after" else ("audio", "visual"):
                scores = [q.f[split][modality] for q in self.results.labels[title]]
                cells = [
                    format_mean_std([seed[level] for seed in scores])
                    for level in LEVELS
                ]
                rows.append([f"{title}, {modality}", *cells])
        return rows

    def summary(self) -> str:
        """Describe the data and the decision rule behind the numbers in one sentence."""
        seeds = len(self.results.plan.seeds)
        rules = ", ".join(dict.fromkeys(m.decision for m in self.results.methods))
        return (
            f"F in percent on {self.results.videos} test videos, mean ± deviation of {seeds} "
            f"seeds; decision rule {rules}"
        )


def run_demo(
    out: Path,
    *,
    videos: int,
    seed: int,
    bars: Bars,
    seeds: int = SEEDS,
    processes: int = 1,
) -> Demo:
    """Render synthetic data, train and compare all methods and write a report page.

    Results of an earlier call with the same settings are used again.

    Args:
        out: Folder of all files.
        videos: Number of videos.
        seed: Seed of the videos.
        bars: Makes a progress callback from a name.
        seeds: Number of seeds of every training.
        processes: Number of trainings at the same time.

    Raises:
        UsageError: The folder contains videos of another seed.
        VaplanError: A step failed.
    """
    table = make_data(out / "data", out / "store", videos=videos, seed=seed, bars=bars)
    workspace = Workspace(
        f"table:{table}",
        out / "store",
        out / "runs",
        changes=(CHANGES, ()),
        truth=table.parent / TRUTH,
    )
    suite = suites.read(SUITE)
    rows = [title for title in suite.variants[0].rows if title != ORACLE]
    planned = plan(suite, workspace, seeds=range(seeds), rows=rows)
    failures = execute(
        planned.jobs(), workspace, processes=processes, progress=bars("train")
    )
    if failures:
        name, reason = next(iter(failures.items()))
        raise VaplanError(f"{len(failures)} steps failed; {name}: {reason}")
    results = collect(planned, workspace, failures)
    write_json(out / "results.json", results.document())
    table = _write_examples(results, out / EXAMPLES_TABLE)
    review = _review_command(results, table)
    page = _write_page(results, out / "report.html", review)
    return Demo(page, results, review)


def _write_examples(results: Results, path: Path) -> Path:
    """Write the events that the last method, our default, predicts in the examples."""
    predictions = first_predictions(results)[results.methods[-1].title]
    rows = list[Row]()
    for video in _example_videos(results):
        for row in event_rows(video.video, predictions.get(video.video, ())):
            rows.append(replace(row, path=video.path, split=video.split))
    return write_rows(path, rows)


def _review_command(results: Results, table: Path) -> str:
    """Return the command that opens a review of the examples."""
    reference = results.workspace.annotations.source
    run = next(iter(results.methods[-1].runs.values()))
    options = ["--media", reference.parent, "--run", run, "--reference", reference]
    return shlex.join(map(str, ["vaplan", "review", table, *options]))


def _write_page(results: Results, path: Path, review: str) -> Path:
    """Write the report page and return its path."""
    data = results.workspace.annotations
    methods, *others = tables(results)
    methods = replace(methods, title="Parsers", note=note(results))
    first_run = {method.title: runs.load(method.runs[0]) for method in results.methods}
    curves = plot_training_curves(
        {title: run.history for title, run in first_run.items()}
    )
    caption = "Seed 0. The objectives differ, so do their losses."
    details = {
        f"Recipe of {title}": recipes.dump(run.recipe)
        for title, run in first_run.items()
    }
    details["Run folders"] = "\n".join(
        f"{title}: {run.folder}" for title, run in first_run.items()
    )
    return report.write(
        path,
        title="vaplan demo: from tags to timelines",
        lead=f"{len(data.taxonomy)} classes of synthetic sounds and moving shapes, rendered to "
        "media files. The tags of a training video name its events; nothing tells when they "
        "occur, or whether they are audible or visible. The parsers are scored on test videos, "
        "which no training reads. The dense labels of the training videos serve only to score "
        "their pseudo labels.\n\n"
        f"To correct the examples beside the playing video, run: {review}",
        tables=[methods, *others],
        pictures=[
            *class_figures(results).values(),
            Picture("Training", caption, curves),
        ],
        examples=[*_examples(results)],
        details=details,
        taxonomy=data.taxonomy,
    )


def _examples(results: Results) -> Iterator[Example]:
    """Yield the test videos with the most classes, beside the timelines of all methods."""
    data = results.workspace.annotations
    predictions = first_predictions(results)
    for video in _example_videos(results):
        events: dict[str, Sequence[Event]] = {"reference": data.events[video.video]}
        for title, by_video in predictions.items():
            events[_short_title(title)] = by_video.get(video.video, ())
        lanes = _make_lanes(video.video, VIDEO_SECONDS, events)
        media = data.source.parent / video.path
        yield Example(video.video, media, video.tags, tuple(lanes.items()))


def _example_videos(results: Results) -> list[Video]:
    """Return the test videos with the most classes."""
    test = results.workspace.annotations.select(results.workspace.split)
    order = sorted(test.videos, key=lambda v: -_count_classes(test.events[v.video]))
    return order[:EXAMPLES]


def _short_title(title: str) -> str:
    """Shorten `HAN on weak labels` to `HAN` and `+ PLG (video-level)` to `+ PLG`."""
    return title.partition(" on ")[0].partition(" (")[0]


def _make_lanes(
    video: str, end: float, events: Mapping[str, Sequence[Event]]
) -> dict[str, Timeline]:
    return {title: Timeline(video, end, tuple(e)) for title, e in events.items()}


def _count_classes(events: Sequence[Event]) -> int:
    return len({event.class_name for event in events})


def _mean(values: Sequence[float]) -> float:
    return round(float(np.mean(values)), DECIMALS)

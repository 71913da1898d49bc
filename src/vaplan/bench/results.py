"""Results of a bench: scores of every seed, means, deviations and paired differences."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from vaplan import __version__
from vaplan.annotations import Annotations, merge_rows, read_rows
from vaplan.bench.execute import Failures, prediction_path
from vaplan.bench.jobs import Job, Workspace
from vaplan.bench.label_quality import LabelQuality, measure_quality
from vaplan.bench.plan import Plan, Row
from vaplan.bench.steps import Denoise, Refine
from vaplan.evaluation import SEED, evaluate
from vaplan.metrics.intervals import Interval, bootstrap_over_seeds
from vaplan.metrics.llp import KINDS, LEVELS
from vaplan.runs import read_description, read_metrics

SHORT = {
    "audio": "A",
    "visual": "V",
    "audio_visual": "AV",
    "type": "Type@AV",
    "event": "Event@AV",
}
LOCALISATION = ("accuracy",)
TEN = tuple(f"{level} {kind}" for level in LEVELS for kind in KINDS)


@dataclass(frozen=True)
class Scores:
    """Scores of one seed in percent.

    Attributes:
        numbers: Scores of the split by name, such as `segment audio`.
        per_video: Scores of every video, in the order of `Results.numbers`.
    """

    numbers: dict[str, float]
    per_video: Float[np.ndarray, "video number"]


@dataclass(frozen=True)
class Method:
    """A row of the table of parsers.

    Attributes:
        title: Title of the row.
        value: Value of the sweep, if the row depends on it.
        scores: Scores by seed.
        val: Scores on split `val` by seed, where that split has dense labels.
        runs: Run folder by seed.
        decision: Decision rule of the predictions.
        selection: Epoch whose weights were kept.
        failed: Reasons of failed trainings by seed.
    """

    title: str
    value: float | None
    scores: dict[int, Scores]
    val: dict[int, dict[str, Any]]
    runs: dict[int, Path]
    decision: str
    selection: str
    failed: dict[int, str]

    def values(self, number: str) -> list[float]:
        """List a score of all seeds.

        Args:
            number: Name of the score.
        """
        return [scores.numbers[number] for scores in self.scores.values()]


@dataclass(frozen=True)
class Results:
    """All results of a bench.

    Attributes:
        plan: Rows and comparisons.
        workspace: Data, store and folder.
        methods: Rows of the table of parsers.
        labels: Quality of pseudo labels by title, one entry a seed.
        differences: The better row, its baseline, and the intervals by name of the score.
        failures: Reasons of failed jobs by name.
    """

    plan: Plan
    workspace: Workspace
    methods: tuple[Method, ...]
    labels: dict[str, list[LabelQuality]]
    differences: tuple[tuple[str, str, dict[str, Interval]], ...]
    failures: Failures = field(default_factory=Failures)

    @property
    def numbers(self) -> tuple[str, ...]:
        """Return the names of the scores that every video has."""
        return LOCALISATION if self.workspace.annotations.localisation else TEN

    @property
    def videos(self) -> int:
        """Return the number of videos with dense labels in the split."""
        return len(
            self.workspace.annotations.select(self.workspace.split).labelled_ids()
        )

    def document(self) -> dict[str, Any]:
        """Return all results as JSON values."""
        parameter = self.plan.suite.parameter
        changes = [change for group in self.workspace.changes for change in group]
        return {
            "suite": self.plan.suite.name,
            "about": self.plan.suite.about,
            "vaplan": __version__,
            "data": self.workspace.data,
            "annotations": self.workspace.annotations.version,
            "store": str(self.workspace.store),
            "split": self.workspace.split,
            "videos": self.videos,
            "seeds": list(self.plan.seeds),
            "changes": changes,
            "rows": {m.title: _method_document(m, parameter) for m in self.methods},
            "labels": {
                title: [quality.document() for quality in qualities]
                for title, qualities in self.labels.items()
            },
            "differences": [
                _difference_document(*difference) for difference in self.differences
            ],
            "left_out": dict(self.plan.left_out),
            "failed": dict(self.failures),
        }


def collect(plan: Plan, workspace: Workspace, failures: Failures) -> Results:
    """Score the results of the jobs.

    Args:
        plan: Rows and comparisons of the suite.
        workspace: Data, store and folder of the bench.
        failures: Reasons of failed jobs by name.
    """
    methods = tuple(_score_row(row, workspace, failures) for row in plan.rows)
    by_title = {method.title: method for method in methods}
    differences = list[tuple[str, str, dict[str, Interval]]]()
    for better, worse in plan.differences:
        if intervals := difference(by_title[better], by_title[worse]):
            differences.append((better, worse, intervals))
    labels = dict[str, list[LabelQuality]]()
    if not workspace.annotations.localisation:
        for row in plan.labels:
            labels[row.title] = _measure_row(row, workspace, failures)
    return Results(plan, workspace, methods, labels, tuple(differences), failures)


def difference(better: Method, worse: Method) -> dict[str, Interval]:
    """Compute `better - worse` in points, with 95 % bootstrap intervals.

    The videos and the seeds that both methods have are resampled.

    Args:
        better: Method whose lead is computed.
        worse: Baseline.

    Returns:
        Intervals by name of the score; empty if the methods share no seed.
    """
    seeds = [seed for seed in better.scores if seed in worse.scores]
    if not seeds:
        return {}
    ahead = np.stack([better.scores[seed].per_video for seed in seeds])
    behind = np.stack([worse.scores[seed].per_video for seed in seeds])
    names = LOCALISATION if ahead.shape[-1] == len(LOCALISATION) else TEN
    intervals = bootstrap_over_seeds(ahead - behind, seed=SEED)
    return dict(zip(names, intervals, strict=True))


def read_predictions(job: Job, workspace: Workspace) -> Annotations:
    """Read the events that a parser predicts for the split.

    Args:
        job: Training of the bench.
        workspace: Data, store and folder of the bench.
    """
    rows = read_rows(
        prediction_path(job, workspace),
        taxonomy=workspace.annotations.taxonomy,
        may_be_empty=True,
        needs_modality=True,
    )
    return merge_rows(rows)


def _score_row(row: Row, workspace: Workspace, failures: Failures) -> Method:
    failed = dict[int, str]()
    scores = dict[int, Scores]()
    val = dict[int, dict[str, Any]]()
    runs = dict[int, Path]()
    descriptions = list[Mapping[str, Any]]()
    for seed, job in row.jobs.items():
        if job.name in failures:
            failed[seed] = failures[job.name]
            continue
        runs[seed] = job.output(workspace.work)
        scores[seed] = _score(job, workspace)
        val[seed] = _read_val_scores(runs[seed])
        descriptions.append(vars(read_description(runs[seed])))
    decisions = dict.fromkeys(map(describe_decision, descriptions))
    selections = dict.fromkeys(map(describe_selection, descriptions))
    return Method(
        row.title,
        row.value,
        scores,
        val,
        runs,
        ", ".join(decisions),
        ", ".join(selections),
        failed,
    )


def _score(job: Job, workspace: Workspace) -> Scores:
    data = workspace.annotations
    evaluation = evaluate(data, read_predictions(job, workspace), split=workspace.split)
    if data.localisation:
        return Scores(evaluation.numbers(), 100 * evaluation.ave.per_video[:, None])
    per_video = evaluation.llp.per_video.reshape(len(evaluation.llp), len(TEN))
    return Scores(flatten_numbers(evaluation.numbers()), 100 * per_video)


def _read_val_scores(run: Path) -> dict[str, Any]:
    """Read the scores on split val, if the training had dense labels there."""
    metrics = read_metrics(run).get("val", {})
    return flatten_numbers(score_entries(metrics))


def _measure_row(
    row: Row, workspace: Workspace, failures: Failures
) -> list[LabelQuality]:
    """Measure the pseudo labels of every seed."""
    qualities = list[LabelQuality]()
    for job in row.jobs.values():
        if job.name in failures:
            continue
        original = None
        if isinstance(job.step, Denoise | Refine):
            original = job.inputs["labels"].output(workspace.work)
        table = job.output(workspace.work)
        qualities.append(measure_quality(workspace, table, original=original))
    return qualities


def describe_decision(description: Mapping[str, Any]) -> str:
    """Name the decision rule of a run, such as `global_gate 0.5`.

    Args:
        description: Content of `run.json`.
    """
    rule = description["decision"]
    if not rule:
        return "unknown decision"
    fitted = ", fitted segments" if isinstance(rule["segments"], dict) else ""
    return f"{rule['rule']} {rule['threshold']:g}{fitted}"


def describe_selection(description: Mapping[str, Any]) -> str:
    """Name the epoch whose weights were kept: `last epoch`, or the criterion of the best one.

    Args:
        description: Content of `run.json`.
    """
    selection = description["selection"]
    if not selection:
        return "unknown epoch"
    if selection["select"] == "best" and "by" in selection:
        videos = f" on {selection['on']}" if "on" in selection else ""
        return f"best {selection['by']}{videos}"
    return f"{selection['select']} epoch"


def _method_document(method: Method, parameter: str) -> dict[str, Any]:
    document: dict[str, Any] = {}
    if method.value is not None:
        document[parameter] = method.value
    first_scores = next(iter(method.scores.values()), None)
    names = list(first_scores.numbers) if first_scores else []
    document |= {
        "decision": method.decision,
        "selection": method.selection,
        "mean": {name: float(np.mean(method.values(name))) for name in names},
        "std": {name: float(np.std(method.values(name))) for name in names},
        "seeds": {},
        "failed": {str(seed): reason for seed, reason in method.failed.items()},
    }
    for seed, scores in method.scores.items():
        document["seeds"][str(seed)] = {
            "run": str(method.runs[seed]),
            "numbers": scores.numbers,
            "val": method.val[seed],
        }
    return document


def _difference_document(
    better: str, worse: str, intervals: Mapping[str, Interval]
) -> dict[str, Any]:
    numbers = {name: asdict(interval) for name, interval in intervals.items()}
    return {"of": better, "to": worse, "numbers": numbers}


def score_entries(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """Select the scores of a split in `metrics.json` and leave out its other entries.

    Args:
        metrics: Entries of one split.
    """
    return {
        name: value
        for name, value in metrics.items()
        if name in LEVELS or name.endswith("accuracy")
    }


def flatten_numbers(numbers: Mapping[str, Any]) -> dict[str, float]:
    """Name each score by its level and kind.

    >>> flatten_numbers({"segment": {"audio": 60.5}, "accuracy": 70.0})
    {'segment audio': 60.5, 'accuracy': 70.0}
    """
    result = dict[str, float]()
    for name, value in numbers.items():
        if isinstance(value, Mapping):
            result |= {f"{name} {kind}": number for kind, number in value.items()}
        else:
            result[name] = value
    return result


def format_mean_std(values: Sequence[float]) -> str:
    """Format the mean and the standard deviation over seeds.

    >>> format_mean_std([60.0, 61.0]), format_mean_std([60.0]), format_mean_std([])
    ('60.5 ± 0.5', '60.0', '')
    """
    if not values:
        return ""
    if len(values) == 1:
        return f"{values[0]:.1f}"
    return f"{np.mean(values):.1f} ± {np.std(values):.1f}"


def format_signed(points: float) -> str:
    """Format a difference with its sign; a difference that rounds to zero is +0.0.

    >>> format_signed(1.25), format_signed(-0.04)
    ('+1.2', '+0.0')
    """
    return f"{round(points, 1) + 0.0:+.1f}"

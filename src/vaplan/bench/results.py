"""Jobs that are done, as numbers: every seed's, their mean and deviation, and differences with
intervals."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from vaplan import __version__
from vaplan.annotations import Annotations, merge_rows, read_rows
from vaplan.bench.execute import Failures, prediction
from vaplan.bench.jobs import Desk, Job
from vaplan.bench.label_quality import Quality, quality
from vaplan.bench.plan import Plan, Row
from vaplan.bench.steps import Denoise, Refine
from vaplan.evaluation import SEED, evaluate
from vaplan.metrics.intervals import Interval, bootstrap_over_seeds
from vaplan.metrics.llp import KINDS, LEVELS
from vaplan.runs import METRICS, read_description

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
    """Scores of one seed in percent, by name and for every video."""

    numbers: dict[str, float]
    per_video: Float[np.ndarray, "video number"]


@dataclass(frozen=True)
class Method:
    """A row of the table: the scores of every seed that succeeded."""

    title: str
    value: float | None
    scores: dict[int, Scores]
    val: dict[int, dict[str, Any]]
    runs: dict[int, Path]
    decision: str
    selection: str
    failed: dict[int, str]

    def of(self, name: str) -> list[float]:
        """A number of every seed."""
        return [scores.numbers[name] for scores in self.scores.values()]


@dataclass(frozen=True)
class Results:
    """Everything a bench found out. `differences` are (better, worse, intervals by number's
    name)."""

    plan: Plan
    desk: Desk
    methods: tuple[Method, ...]
    labels: dict[str, list[Quality]]
    differences: tuple[tuple[str, str, dict[str, Interval]], ...]
    failures: Failures = field(default_factory=Failures)

    @property
    def numbers(self) -> tuple[str, ...]:
        """The names of the numbers that videos have."""
        return LOCALISATION if self.desk.annotations.localisation else TEN

    @property
    def videos(self) -> int:
        return len(self.desk.annotations.select(self.desk.split).labelled_ids())

    def document(self) -> dict[str, Any]:
        """All of it, as JSON values."""
        data = self.desk.annotations
        document: dict[str, Any] = {
            "suite": self.plan.suite.name,
            "about": self.plan.suite.about,
            "vaplan": __version__,
        }
        document |= {
            "data": self.desk.data,
            "annotations": data.version,
            "store": str(self.desk.store),
        }
        document |= {
            "split": self.desk.split,
            "videos": self.videos,
            "seeds": list(self.plan.seeds),
        }
        document |= {
            "changes": [change for group in self.desk.changes for change in group]
        }
        return document | {
            "rows": {
                method.title: _spoken(method, self.plan.suite.parameter)
                for method in self.methods
            },
            "labels": {
                title: [quality.document() for quality in group]
                for title, group in self.labels.items()
            },
            "differences": [
                {
                    "of": better,
                    "to": worse,
                    "numbers": {
                        name: asdict(interval) for name, interval in by_name.items()
                    },
                }
                for better, worse, by_name in self.differences
            ],
            "left_out": dict(self.plan.left_out),
            "failed": dict(self.failures),
        }


def collect(plan: Plan, desk: Desk, failures: Failures) -> Results:
    """Score the results of the jobs.

    Args:
        plan: Rows and jobs of the suite.
        desk: Data, store and folders of the bench.
        failures: Reasons of failed jobs by name.
    """
    methods = tuple(_method(row, desk, failures) for row in plan.rows)
    by_title = {method.title: method for method in methods}
    differences = [
        (better, worse, difference(by_title[better], by_title[worse]))
        for better, worse in plan.differences
    ]
    labels = (
        {}
        if desk.annotations.localisation
        else {row.title: _quality(row, desk, failures) for row in plan.labels}
    )
    return Results(
        plan, desk, methods, labels, tuple(d for d in differences if d[2]), failures
    )


def difference(better: Method, worse: Method) -> dict[str, Interval]:
    """By number's name `better - worse` of the seeds that both have, in points, with 95 %
    intervals.

    Args:
        better: Method whose lead is computed.
        worse: Method to compare with.
    """
    seeds = [seed for seed in better.scores if seed in worse.scores]
    if not seeds:
        return {}
    first, second = (
        np.stack([method.scores[seed].per_video for seed in seeds])
        for method in (better, worse)
    )
    names = LOCALISATION if first.shape[-1] == len(LOCALISATION) else TEN
    return dict(
        zip(names, bootstrap_over_seeds(first - second, seed=SEED), strict=True)
    )


def estimate(job: Job, desk: Desk) -> Annotations:
    """Read the events that a parser predicts for the split.

    Args:
        job: Job of the bench.
        desk: Data, store and folders of the bench.
    """
    return merge_rows(
        read_rows(
            prediction(job, desk),
            taxonomy=desk.annotations.taxonomy,
            may_be_empty=True,
            needs_modality=True,
        )
    )


def _method(row: Row, desk: Desk, failures: Failures) -> Method:
    failed = {
        seed: failures[job.name]
        for seed, job in row.jobs.items()
        if job.name in failures
    }
    done = {seed: job for seed, job in row.jobs.items() if seed not in failed}
    runs = {seed: job.place(desk.work) for seed, job in done.items()}
    abouts = [vars(read_description(run)) for run in runs.values()]
    return Method(
        row.title,
        row.value,
        {seed: _scores(job, desk) for seed, job in done.items()},
        {seed: _of_val(run) for seed, run in runs.items()},
        runs,
        ", ".join(dict.fromkeys(map(decision_of, abouts))),
        ", ".join(dict.fromkeys(map(selection_of, abouts))),
        failed,
    )


def _scores(job: Job, desk: Desk) -> Scores:
    evaluation = evaluate(desk.annotations, estimate(job, desk), split=desk.split)
    if desk.annotations.localisation:
        return Scores(evaluation.numbers(), 100 * evaluation.ave.per_video[:, None])
    return Scores(
        flat(evaluation.numbers()),
        100 * evaluation.llp.per_video.reshape(len(evaluation.llp), len(TEN)),
    )


def _of_val(run: Path) -> dict[str, Any]:
    """The numbers on split val that the training left, where there are dense labels."""
    metrics = json.loads((run / METRICS).read_text(encoding="utf-8")).get("val", {})
    return flat(numbers_in(metrics))


def _quality(row: Row, desk: Desk, failures: Failures) -> list[Quality]:
    """Measure the labels of each seed and, for denoised and refined labels, the changes."""
    qualities = []
    for job in row.jobs.values():
        if job.name not in failures:
            original = (
                job.inputs["labels"].place(desk.work)
                if isinstance(job.step, Denoise | Refine)
                else None
            )
            qualities.append(quality(desk, job.place(desk.work), before=original))
    return qualities


def decision_of(description: Mapping[str, Any]) -> str:
    """`global_gate 0.5`, for example."""
    rule = description["decision"]
    fitted = ", fitted segments" if isinstance(rule["segments"], dict) else ""
    return f"{rule['rule']} {rule['threshold']:g}{fitted}"


def selection_of(description: Mapping[str, Any]) -> str:
    """Describe the selected epoch: `last epoch`, or the criterion of the best one."""
    selection = description["selection"]
    on = f" on {selection['on']}" if "on" in selection else ""
    return (
        f"best {selection['by']}{on}"
        if selection["select"] == "best" and "by" in selection
        else f"{selection['select']} epoch"
    )


def _spoken(method: Method, parameter: str) -> dict[str, Any]:
    names = list(next(iter(method.scores.values())).numbers) if method.scores else []
    document: dict[str, Any] = {
        "decision": method.decision,
        "selection": method.selection,
    }
    document |= {"mean": {name: float(np.mean(method.of(name))) for name in names}}
    document |= {"std": {name: float(np.std(method.of(name))) for name in names}}
    seeds = {
        str(seed): {
            "run": str(method.runs[seed]),
            "numbers": scores.numbers,
            "val": method.val[seed],
        }
        for seed, scores in method.scores.items()
    }
    failed = {str(seed): reason for seed, reason in method.failed.items()}
    of_sweep = {} if method.value is None else {parameter: method.value}
    return of_sweep | document | {"seeds": seeds, "failed": failed}


def numbers_in(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """Return the scores of a split of `metrics.json` without its other entries."""
    return {
        name: metrics[name]
        for name in metrics
        if name in LEVELS or name.endswith("accuracy")
    }


def flat(numbers: Mapping[str, Any]) -> dict[str, float]:
    """Numbers by one name each: `segment audio`, or `accuracy`."""
    flat: dict[str, float] = {}
    for name, value in numbers.items():
        flat |= (
            {f"{name} {kind}": v for kind, v in value.items()}
            if isinstance(value, Mapping)
            else {name: value}
        )
    return flat


def spread(values: Sequence[float]) -> str:
    """Mean ± deviation of several seeds; one number as it is."""
    if not values:
        return ""
    return (
        f"{np.mean(values):.1f} ± {np.std(values):.1f}"
        if len(values) > 1
        else f"{values[0]:.1f}"
    )


def signed(points: float) -> str:
    """Format a difference with its sign; small values are +0.0."""
    return f"{round(points, 1) + 0.0:+.1f}"

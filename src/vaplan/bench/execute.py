"""Do jobs: here or in several processes, each once, and say which failed and why."""

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any

from vaplan import stages
from vaplan.annotations import Annotations, read_table
from vaplan.annotations.table import event_rows, write_rows
from vaplan.arrays import MODALITIES
from vaplan.bench.jobs import Desk, Job
from vaplan.bench.steps import (
    Denoise,
    Exchange,
    Label,
    Noise,
    Reference,
    Refine,
    Step,
    Train,
)
from vaplan.errors import UsageError
from vaplan.store import find_stores
from vaplan.workers import Progress, run_supervised
from vaplan.workers.faults import Failed, Guarded
from vaplan.writing import write_json

Failures = dict[str, str]  # by the name of a job


def work_through(
    jobs: Sequence[Job],
    desk: Desk,
    *,
    processes: int = 1,
    progress: Progress | None = None,
) -> Failures:
    """Execute the jobs that are not done yet; `jobs` are ordered by dependency.

    What needs a job that failed fails with it; everything else goes on.

    Args:
        jobs: Jobs in order of dependency.
        desk: Data, store and folders of the bench.
        processes: Number of worker processes.
        progress: Called after every job.
    """
    failures = Failures()
    due = [job for job in jobs if not is_done(job, desk)]
    tell, done = progress or (lambda *_: None), len(jobs) - len(due)
    tell(done, len(jobs), "")
    for _, level in groupby(due, key=lambda job: job.depth):
        able = list[Job]()
        for job in level:
            broken = [
                needed.name for needed in job.inputs.values() if needed.name in failures
            ]
            if broken:
                failures[job.name] = f"needs {broken[0]}, which failed"
                done += 1
            else:
                able.append(job)
        for job, result in _results(able, desk, processes):
            done += 1
            if isinstance(result, Failed):
                failures[job.name] = result.reason
            tell(
                done,
                len(jobs),
                f"{job.name}: {result.reason}" if isinstance(result, Failed) else "",
            )
    return failures


def _results(
    jobs: Sequence[Job], desk: Desk, processes: int
) -> Iterator[tuple[Job, Path | Failed]]:
    function = partial(do, desk=desk)
    if processes > 1 and len(jobs) > 1:
        return run_supervised(function, jobs, workers=processes, seconds=float("inf"))
    return ((job, Guarded(function)(job)) for job in jobs)


def is_done(job: Job, desk: Desk) -> bool:
    """Whether the file that is written last is there.

    Args:
        job: Job of the bench.
        desk: Data, store and folders of the bench.
    """
    return _last(job, desk).is_file()


def _last(job: Job, desk: Desk) -> Path:
    path = job.place(desk.work)
    return (
        prediction(job, desk)
        if isinstance(job.step, Train)
        else path.with_suffix(".json")
    )


def prediction(job: Job, desk: Desk) -> Path:
    """Return the path of a parser's predictions for the split.

    Args:
        job: Job of the bench.
        desk: Data, store and folders of the bench.
    """
    return job.place(desk.work) / f"{desk.split or 'all'}.csv"


def do(job: Job, desk: Desk) -> Path:
    """Execute one job and return the path of its result.

    Args:
        job: Job of the bench.
        desk: Data, store and folders of the bench.
    """
    path = job.place(desk.work)
    inputs = {key: needed.place(desk.work) for key, needed in job.inputs.items()}
    wall_start = time.perf_counter()
    cpu_start = time.process_time()
    DOERS[type(job.step)](job, desk, path, inputs)
    seconds = {
        "wall": time.perf_counter() - wall_start,
        "cpu": time.process_time() - cpu_start,
    }
    write_json(cost_path(job, desk), seconds)
    return path


def cost_path(job: Job, desk: Desk) -> Path:
    """Return the path of the seconds that a job took.

    Args:
        job: Job of the bench.
        desk: Data, store and folders of the bench.
    """
    return desk.work / "costs" / f"{job.name}.json"


def read_cost(job: Job, desk: Desk) -> Mapping[str, float]:
    """Read the seconds that a job took by the clock (`wall`) and on all cores (`cpu`).

    Args:
        job: Job of the bench.
        desk: Data, store and folders of the bench.

    Returns:
        No entries if the job was done by other means.
    """
    path = cost_path(job, desk)
    if not path.is_file():
        return {}
    cost: Mapping[str, float] = json.loads(path.read_text(encoding="utf-8"))
    return cost


Inputs = Mapping[str, Path]


def _label(job: Job, desk: Desk, path: Path, _: Inputs) -> None:
    assert isinstance(job.step, Label)
    data, kind = desk.annotations, job.step.label
    if desk.labels and kind != "chance":
        write_rows(path, _rows(read_table(desk.labels, taxonomy=data.taxonomy)))
        return _note(path, {"labels": str(desk.labels)})
    share = 1 / len(data.taxonomy) if kind == "chance" else 1.0
    thresholds = {name: value * share for name, value in job.step.thresholds.items()}
    names = speaking(desk.store)
    stages.label(
        data,
        desk.store,
        path,
        encoders=names,
        thresholds=thresholds or None,
        threshold_rule=kind if kind == "mixture" else None,
        smooth=job.step.smooth,
        label_probability=probability_path(path),
    )
    return None


def probability_path(table: Path) -> Path:
    """Return the path of the label probabilities that belong to a table of labels."""
    return table.with_suffix(".probability.csv")


def speaking(store: Path) -> tuple[list[str], list[str]]:
    """Per modality the encoders of a store that can be compared with sentences."""
    names: list[list[str]] = [[], []]
    for name in find_stores(store):
        modality, _, encoder = name.partition(":")
        if not encoder.startswith("legacy:"):
            names[MODALITIES.index(modality)].append(encoder)
    for modality, group in zip(MODALITIES, names, strict=True):
        if not group:
            what = (
                f"no {modality} features of an encoder that can be compared with the "
                "classes' names"
            )
            raise UsageError(
                what, file=store, fix="give pseudo labels with --labels TABLE"
            )
    return names[0], names[1]


def _reference(job: Job, desk: Desk, path: Path, _: Inputs) -> None:
    assert isinstance(job.step, Reference)
    write_rows(path, _rows(truth(desk, job.step.reference)))
    _note(path, {"truth": str(desk.truth or desk.data), "split": job.step.reference})


def truth(desk: Desk, split: str) -> Annotations:
    """Return the densely labelled videos of a split, from the data set or from `truth`.

    Args:
        desk: Data, store and folders of the bench.
        split: Split of the videos.
    """
    annotations = desk.annotations.select(split)
    if desk.truth:
        annotations = replace(
            annotations,
            events=read_table(desk.truth, taxonomy=annotations.taxonomy).events,
        )
    labelled = [video for video in annotations.ids if video in annotations.events]
    if not labelled:
        source = desk.truth or annotations.source
        raise UsageError(
            f"no video of split {split} has dense labels",
            file=source,
            fix="give them with --truth TABLE",
        )
    return annotations.select_videos(labelled)


def _rows(table: Annotations) -> Iterator[Any]:
    for video in table.ids:
        if video in table.events:
            yield from event_rows(video, table.events[video])


def _note(path: Path, details: Mapping[str, Any]) -> None:
    write_json(path.with_suffix(".json"), details)


def _train(job: Job, desk: Desk, path: Path, inputs: Inputs) -> None:
    assert isinstance(job.step, Train)
    recipe = desk.recipe(job.step, job.seed)
    if "labels" in inputs:
        table = inputs["labels"]
        recipe = replace(
            recipe,
            labels=str(table),
            label_probability=str(probability_path(table))
            if job.step.label_probability
            else "",
        )
    if "ratios" in inputs:
        if recipe.removal is None:
            raise UsageError(
                f"recipe {job.step.train} removes nothing", fix="give it no ratios"
            )
        recipe = replace(
            recipe, removal=replace(recipe.removal, ratios=str(inputs["ratios"]))
        )
    stages.train(recipe, path, resume=True)
    stages.predict(
        path, desk.annotations, desk.store, prediction(job, desk), split=desk.split
    )


def _denoise(job: Job, _: Desk, path: Path, inputs: Inputs) -> None:
    assert isinstance(job.step, Denoise)
    stages.denoise(
        inputs["denoise"], inputs["labels"], path, settings=job.step.settings
    )


def _refine(job: Job, _: Desk, path: Path, inputs: Inputs) -> None:
    assert isinstance(job.step, Refine)
    labels, step = inputs["labels"], job.step
    probability = probability_path(labels)
    stages.refine(
        inputs["refine"],
        labels,
        path,
        rule=step.rule,
        label_probability=probability if probability.is_file() else None,
        parser_weight=step.parser_weight,
        folds=step.folds,
        out_probability=probability_path(path),
    )


def _exchange(job: Job, _: Desk, path: Path, inputs: Inputs) -> None:  # noqa: ARG001 - as all doers
    stages.exchange(inputs["exchange"], path)


def _noise(job: Job, _: Desk, path: Path, inputs: Inputs) -> None:
    assert isinstance(job.step, Noise)
    stages.noise_ratios(inputs["noise"], path, settings=job.step.settings)


Doer = Callable[[Job, Desk, Path, Inputs], None]
DOERS: Mapping[type[Step], Doer] = {
    Label: _label,
    Reference: _reference,
    Train: _train,
    Denoise: _denoise,
    Refine: _refine,
    Exchange: _exchange,
    Noise: _noise,
}

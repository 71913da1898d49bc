"""Execution of jobs, in this process or in several, with the reasons of failures."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any

from vaplan import pseudo_labels, stages
from vaplan.annotations import Annotations, read_table
from vaplan.annotations.table import event_rows, write_rows
from vaplan.arrays import MODALITIES
from vaplan.bench.jobs import Job, Workspace
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
from vaplan.dataset import has_text
from vaplan.errors import MachineError, RunError, UsageError
from vaplan.reading import json_object
from vaplan.store import find_stores
from vaplan.workers import Engine, Progress, run_supervised
from vaplan.workers.faults import Failed, Guarded
from vaplan.workers.processes import run_in_order
from vaplan.writing import write_json

LONGEST_SECONDS = 1e9  # that a job may have taken
Failures = dict[str, str]  # reasons by the name of the job


def execute(
    jobs: Sequence[Job],
    workspace: Workspace,
    *,
    processes: int = 1,
    engine: Engine = run_in_order,
    progress: Progress | None = None,
) -> Failures:
    """Execute the jobs that have no result yet.

    A job fails if one of its inputs failed; all other jobs go on. A fault of the machine, such
    as a full disk, would befall the others too and ends the bench; finished jobs are kept.

    Args:
        jobs: Jobs in order of dependency.
        workspace: Data, store and folder of the bench.
        processes: Number of worker processes.
        engine: Runs the workers; one that is not of this machine also runs a single job.
        progress: Called after every job.

    Returns:
        Reasons of the failed jobs.

    Raises:
        MachineError: A job failed by a fault of the machine.
    """
    failures = Failures()
    due = [job for job in jobs if not is_done(job, workspace)]
    done = len(jobs) - len(due)
    report = progress or (lambda *_: None)
    report(done, len(jobs), "")
    for _, level in groupby(due, key=lambda job: job.depth):
        ready = list[Job]()
        for job in level:
            if name := _failed_input(job, failures):
                failures[job.name] = f"needs {name}, which failed"
                done += 1
            else:
                ready.append(job)
        for job, result in _run_jobs(ready, workspace, processes, engine):
            done += 1
            message = ""
            if isinstance(result, Failed):
                if result.machine:
                    raise _machine_error(job, workspace, result)
                failures[job.name] = result.reason
                message = f"{job.name}: {result.reason}"
            report(done, len(jobs), message)
    return failures


def _machine_error(job: Job, workspace: Workspace, failure: Failed) -> MachineError:
    what, _, fix = failure.reason.partition(" Fix: ")
    return MachineError(
        f"{job.name} failed: {what.rstrip('.')}",
        file=workspace.work,
        fix=fix or "free memory and disk space, then run the same command again",
    )


def _failed_input(job: Job, failures: Failures) -> str | None:
    """Return the name of the first input that failed."""
    names = [one.name for one in job.inputs.values() if one.name in failures]
    return names[0] if names else None


def _run_jobs(
    jobs: Sequence[Job], workspace: Workspace, processes: int, engine: Engine
) -> Iterator[tuple[Job, Path | Failed]]:
    function = partial(run_job, workspace=workspace)
    if engine is not run_in_order or (processes > 1 and len(jobs) > 1):
        return run_supervised(
            function, jobs, workers=processes, seconds=float("inf"), engine=engine
        )
    return ((job, Guarded(function)(job)) for job in jobs)


def is_done(job: Job, workspace: Workspace) -> bool:
    """Return whether a job has its result: the file that it writes last.

    Args:
        job: Job of the bench.
        workspace: Data, store and folder of the bench.
    """
    if isinstance(job.step, Train):
        return prediction_path(job, workspace).is_file()
    return job.output(workspace.work).with_suffix(".json").is_file()


def prediction_path(job: Job, workspace: Workspace) -> Path:
    """Return the path of a parser's predictions for the split.

    Args:
        job: Job of the bench.
        workspace: Data, store and folder of the bench.
    """
    return job.output(workspace.work) / f"{workspace.split or 'all'}.csv"


def run_job(job: Job, workspace: Workspace) -> Path:
    """Execute one job and return the path of its result.

    Args:
        job: Job of the bench.
        workspace: Data, store and folder of the bench.
    """
    path = job.output(workspace.work)
    inputs = {key: one.output(workspace.work) for key, one in job.inputs.items()}
    wall_start = time.perf_counter()
    cpu_start = time.process_time()
    EXECUTORS[type(job.step)](job, workspace, path, inputs)
    seconds = {
        "wall": time.perf_counter() - wall_start,
        "cpu": time.process_time() - cpu_start,
    }
    write_json(cost_path(job, workspace), seconds)
    return path


def cost_path(job: Job, workspace: Workspace) -> Path:
    """Return the path of the seconds that a job took.

    Args:
        job: Job of the bench.
        workspace: Data, store and folder of the bench.
    """
    return workspace.work / "costs" / f"{job.name}.json"


def read_cost(job: Job, workspace: Workspace) -> Mapping[str, float]:
    """Read the seconds that a job took by the clock (`wall`) and on all cores (`cpu`).

    Args:
        job: Job of the bench.
        workspace: Data, store and folder of the bench.

    Returns:
        The seconds; empty if they were not measured.
    """
    path = cost_path(job, workspace)
    if not path.is_file():
        return {}
    content = json_object(
        path,
        what="the seconds of a job",
        fix="delete it: nothing else depends on it",
        error=RunError,
    )
    return {
        name: float(seconds)
        for name, seconds in content.items()
        if type(seconds) in (int, float) and 0 <= seconds < LONGEST_SECONDS
    }


Inputs = Mapping[str, Path]  # results of the input jobs by field of the step


def _label(job: Job, workspace: Workspace, path: Path, _: Inputs) -> None:
    assert isinstance(job.step, Label)
    data = workspace.annotations
    kind = job.step.label
    if workspace.labels and kind != "chance":
        write_rows(
            path, _event_rows(read_table(workspace.labels, taxonomy=data.taxonomy))
        )
        return _write_details(path, {"labels": str(workspace.labels)})
    share = 1 / len(data.taxonomy) if kind == "chance" else 1.0
    thresholds = {name: value * share for name, value in job.step.thresholds.items()}
    names = zero_shot_encoders(workspace.store)
    stages.label(
        data,
        workspace.store,
        path,
        encoders=names,
        thresholds=thresholds or None,
        rule=kind if kind in pseudo_labels.LABEL_RULES else None,
        smooth=job.step.smooth,
        out_probability=probability_path(path),
    )
    return None


def probability_path(table: Path) -> Path:
    """Return the path of the label probabilities that belong to a table of labels."""
    return table.with_suffix(".probability.csv")


def zero_shot_encoders(store: Path) -> tuple[list[str], list[str]]:
    """List the encoders of a store that have a text encoder, per modality.

    Args:
        store: Feature store.

    Raises:
        UsageError: A modality has no such encoder.
    """
    names: list[list[str]] = [[], []]
    for name, features in find_stores(store).items():
        modality, _, encoder = name.partition(":")
        if has_text(features):
            names[MODALITIES.index(modality)].append(encoder)
    for modality, encoders in zip(MODALITIES, names, strict=True):
        if not encoders:
            raise UsageError(
                f"it has no {modality} features that can be compared with class names",
                file=store,
                fix="give pseudo labels with --labels TABLE",
            )
    return names[0], names[1]


def _reference(job: Job, workspace: Workspace, path: Path, _: Inputs) -> None:
    assert isinstance(job.step, Reference)
    write_rows(path, _event_rows(read_dense_labels(workspace, job.step.reference)))
    _write_details(
        path,
        {"truth": str(workspace.truth or workspace.data), "split": job.step.reference},
    )


def read_dense_labels(workspace: Workspace, split: str) -> Annotations:
    """Return the densely labelled videos of a split.

    Args:
        workspace: Workspace; its table `truth` replaces the labels of the data set.
        split: Split of the videos.

    Raises:
        UsageError: No video of the split has dense labels.
    """
    annotations = workspace.annotations.select(split)
    if workspace.truth:
        annotations = replace(
            annotations,
            events=read_table(workspace.truth, taxonomy=annotations.taxonomy).events,
        )
    labelled = [video for video in annotations.ids if video in annotations.events]
    if not labelled:
        source = workspace.truth or annotations.source
        raise UsageError(
            f"no video of split {split} has dense labels",
            file=source,
            fix="give them with --truth TABLE",
        )
    return annotations.select_videos(labelled)


def _event_rows(table: Annotations) -> Iterator[Any]:
    for video in table.ids:
        if video in table.events:
            yield from event_rows(video, table.events[video])


def _write_details(path: Path, details: Mapping[str, Any]) -> None:
    write_json(path.with_suffix(".json"), details)


def _train(job: Job, workspace: Workspace, path: Path, inputs: Inputs) -> None:
    assert isinstance(job.step, Train)
    recipe = workspace.recipe(job.step, job.seed)
    if "labels" in inputs:
        table = inputs["labels"]
        recipe = replace(recipe, labels=str(table))
        if job.step.label_probability:
            path_of_table = str(probability_path(table))
            recipe = replace(recipe, label_probability=path_of_table)
    if "ratios" in inputs:
        if recipe.removal is None:
            raise UsageError(
                f"recipe {job.step.train} removes no labels",
                fix="delete `ratios` from the step",
            )
        removal = replace(recipe.removal, ratios=str(inputs["ratios"]))
        recipe = replace(recipe, removal=removal)
    stages.train(recipe, path, resume=True)
    stages.predict(
        path,
        workspace.annotations,
        workspace.store,
        prediction_path(job, workspace),
        split=workspace.split,
    )


def _denoise(job: Job, _: Workspace, path: Path, inputs: Inputs) -> None:
    assert isinstance(job.step, Denoise)
    stages.denoise(
        inputs["denoise"], inputs["labels"], path, settings=job.step.settings
    )


def _refine(job: Job, _: Workspace, path: Path, inputs: Inputs) -> None:
    assert isinstance(job.step, Refine)
    labels = inputs["labels"]
    probability = probability_path(labels)
    stages.refine(
        inputs["refine"],
        labels,
        path,
        rule=job.step.rule,
        label_probability=probability if probability.is_file() else None,
        parser_weight=job.step.parser_weight,
        folds=job.step.folds,
        out_probability=probability_path(path),
    )


def _exchange(
    job: Job,  # noqa: ARG001 - as all executors
    _: Workspace,
    path: Path,
    inputs: Inputs,
) -> None:
    stages.exchange(inputs["exchange"], path)


def _noise(job: Job, _: Workspace, path: Path, inputs: Inputs) -> None:
    assert isinstance(job.step, Noise)
    stages.noise_ratios(inputs["noise"], path, settings=job.step.settings)


Executor = Callable[[Job, Workspace, Path, Inputs], None]
EXECUTORS: Mapping[type[Step], Executor] = {
    Label: _label,
    Reference: _reference,
    Train: _train,
    Denoise: _denoise,
    Refine: _refine,
    Exchange: _exchange,
    Noise: _noise,
}

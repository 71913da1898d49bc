"""What a suite's rows need, as jobs: steps with their seeds and inputs, named by everything they
depend on.

Two rows, two suites, or two values of a sweep that need the same file share it: its name ends
with a hash of the step's settings, its seed, its inputs and the data's content.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path

from vaplan import recipe as recipes
from vaplan.annotations import Annotations, read_data
from vaplan.bench.steps import (
    Denoise,
    Exchange,
    Label,
    Noise,
    Reference,
    Refine,
    Step,
    Train,
    reads,
)
from vaplan.recipe import Recipe
from vaplan.store import find_stores
from vaplan.writing import sha256

HASH = 10  # characters of it in a name


@dataclass(frozen=True)
class Desk:
    """The data, the store and the folders that every job of a bench uses.

    Attributes:
        data: A data set, as on the command line.
        work: The folder of all that jobs write.
        split: The split whose numbers are asked for.
        changes: Of every recipe, before the changes of the suite, and after them.
        labels: A table that stands in for every fitted or given PLG.
        truth: A table with the dense labels of the training videos, for an oracle.
    """

    data: str
    store: Path
    work: Path
    split: str = "test"
    changes: tuple[tuple[str, ...], tuple[str, ...]] = ((), ())
    labels: Path | None = None
    truth: Path | None = None

    @cached_property
    def annotations(self) -> Annotations:
        return read_data(self.data)

    @cached_property
    def content(self) -> str:
        """A hash of everything that is given."""
        files = [
            *self.annotations.files,
            *(path for path in (self.labels, self.truth) if path),
        ]
        hashes = [sha256(path) for path in files]
        hashes += [
            f"{name} {folder.content_hash()}"
            for name, folder in find_stores(self.store).items()
        ]
        return _digest([hashes, self.annotations.version])

    def recipe(self, step: Train, seed: int) -> Recipe:
        """The recipe of a training, with no labels or ratios yet.

        Args:
            step: Step of the suite.
            seed: Seed of the training.
        """
        step_changes = [
            f"{key}={json.dumps(value, ensure_ascii=False)}"
            for key, value in step.set.items()
        ]
        inputs = [f"data={self.data}", f"store={self.store}", f"training.seed={seed}"]
        return recipes.read(
            step.train,
            changes=[*self.changes[0], *step_changes, *self.changes[1], *inputs],
        )


@dataclass(frozen=True)
class Job:
    """A step to be done once: with one seed, on the files of other jobs."""

    step: Step
    seed: int
    inputs: Mapping[str, "Job"]
    name: str

    @property
    def depth(self) -> int:
        """How many jobs have to be done before it, one after the other."""
        return 1 + max((job.depth for job in self.inputs.values()), default=-1)

    def place(self, work: Path) -> Path:
        """The run folder, the table, or the JSON file that it makes."""
        return work / f"{self.name}{SUFFIXES[type(self.step)]}"

    def needed(self) -> Iterator["Job"]:
        """It and all that it needs, inputs first."""
        for job in self.inputs.values():
            yield from job.needed()
        yield self


SUFFIXES: Mapping[type[Step], str] = {
    Train: "",
    Noise: ".json",
    **dict.fromkeys((Label, Reference, Denoise, Refine, Exchange), ".csv"),
}


def make_job(steps: Mapping[str, Step], name: str, *, seed: int, desk: Desk) -> Job:
    """The job that a step is with this seed; its recipes are read and checked.

    Args:
        steps: Steps of the suite by name.
        name: Name of the step.
        seed: Seed of the training.
        desk: Data, store and folders of the bench.
    """
    step = steps[name]
    inputs = {
        key: make_job(steps, other, seed=seed, desk=desk)
        for key, other in reads(step).items()
    }
    settings: object = asdict(step)
    prefix = type(step).__name__.lower()
    if isinstance(step, Train):
        recipe = replace(desk.recipe(step, seed), data="", store="")
        settings, prefix = (
            [recipes.dump(recipe), step.label_probability],
            f"{Path(step.train).stem}-{seed}",
        )
    identity = [settings, {key: job.name for key, job in inputs.items()}, desk.content]
    return Job(step, seed, inputs, f"{prefix}-{_digest(identity)[:HASH]}")


def unique(jobs: Iterable[Job]) -> list[Job]:
    """List the jobs and their dependencies, each once and in order of dependency."""
    named = {needed.name: needed for job in jobs for needed in job.needed()}
    return sorted(named.values(), key=lambda job: job.depth)


def _digest(value: object) -> str:
    return hashlib.sha256(
        json.dumps(value, sort_keys=True, default=str).encode()
    ).hexdigest()

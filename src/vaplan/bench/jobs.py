"""Jobs: steps of a suite with their seed and their input jobs.

The name of a job ends with a hash of the step's settings, the seed, the input jobs and the
content of the data. Rows, suites and values of a sweep that need the same result share it.
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
    input_steps,
)
from vaplan.recipe import Recipe
from vaplan.store import find_stores
from vaplan.writing import sha256

HASH_LENGTH = 10  # characters of the hash in a name


@dataclass(frozen=True)
class Workspace:
    """The data, the feature store and the folder of all jobs of a bench.

    Attributes:
        data: Data set, `KIND:PATH`.
        store: Feature store.
        work: Folder of the results of the jobs.
        split: Split on which parsers are scored.
        changes: Changes of every recipe: those before and those after the suite's changes.
        labels: Table of pseudo labels that replaces all `label` steps.
        truth: Table of the dense labels of the training videos, for an oracle.
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
        """Read the data set."""
        return read_data(self.data)

    @cached_property
    def content_hash(self) -> str:
        """Hash the content of the data set, the labels and the features."""
        files = [*self.annotations.files]
        files += [path for path in (self.labels, self.truth) if path]
        hashes = [sha256(path) for path in files]
        for name, folder in find_stores(self.store).items():
            hashes.append(f"{name} {folder.content_hash()}")
            if text := folder.read_text():
                hashes.append(f"text of {name} {text.digest}")
        return _digest([hashes, self.annotations.version])

    def recipe(self, step: Train, seed: int) -> Recipe:
        """Read the recipe of a training, without its labels and noise ratios.

        Args:
            step: Step of the suite.
            seed: Seed of the training.

        Raises:
            RecipeError: The recipe or a change is not valid.
        """
        before, after = self.changes
        changes = [*before]
        for key, value in step.set.items():
            changes.append(f"{key}={json.dumps(value, ensure_ascii=False)}")
        changes += after
        changes += [f"data={self.data}", f"store={self.store}", f"training.seed={seed}"]
        return recipes.read(step.train, changes=changes)


@dataclass(frozen=True)
class Job:
    """A step of a suite with one seed, which reads the results of other jobs.

    Attributes:
        step: Step of the suite.
        seed: Seed of the training.
        inputs: Jobs whose results it reads, by field of the step.
        name: Name of the result; it ends with a hash of everything that the result depends on.
    """

    step: Step
    seed: int
    inputs: Mapping[str, "Job"]
    name: str

    @property
    def depth(self) -> int:
        """Return the number of jobs on the longest chain of inputs."""
        return 1 + max((job.depth for job in self.inputs.values()), default=-1)

    def output(self, work: Path) -> Path:
        """Return the path of its run folder, its table or its JSON file.

        Args:
            work: Folder of the results of the jobs.
        """
        return work / f"{self.name}{SUFFIXES[type(self.step)]}"

    def with_inputs(self) -> Iterator["Job"]:
        """Yield all jobs that it depends on, inputs first, and itself."""
        for job in self.inputs.values():
            yield from job.with_inputs()
        yield self


SUFFIXES: Mapping[type[Step], str] = {
    Train: "",
    Noise: ".json",
    **dict.fromkeys((Label, Reference, Denoise, Refine, Exchange), ".csv"),
}


def make_job(
    steps: Mapping[str, Step], name: str, *, seed: int, workspace: Workspace
) -> Job:
    """Make the job of a step and the jobs of its inputs.

    Args:
        steps: Steps of the suite by name.
        name: Name of the step.
        seed: Seed of the training.
        workspace: Data, store and folder of the bench.

    Raises:
        RecipeError: A recipe or a change is not valid.
    """
    step = steps[name]
    inputs = dict[str, Job]()
    for key, other in input_steps(step).items():
        inputs[key] = make_job(steps, other, seed=seed, workspace=workspace)
    settings: object = asdict(step)
    prefix = type(step).__name__.lower()
    if isinstance(step, Train):
        recipe = replace(workspace.recipe(step, seed), data="", store="")
        settings = [recipes.dump(recipe), step.label_probability]
        prefix = f"{Path(step.train).stem}-{seed}"
    input_names = {key: job.name for key, job in inputs.items()}
    identity = [settings, input_names, workspace.content_hash]
    return Job(step, seed, inputs, f"{prefix}-{_digest(identity)[:HASH_LENGTH]}")


def unique(jobs: Iterable[Job]) -> list[Job]:
    """List the jobs and their dependencies, each once and in order of dependency."""
    by_name = {one.name: one for job in jobs for one in job.with_inputs()}
    return sorted(by_name.values(), key=lambda job: job.depth)


def _digest(value: object) -> str:
    text = json.dumps(value, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()

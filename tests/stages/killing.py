"""A program: a job is killed at its n-th step for every n, and run again.

`python -m tests.stages.killing FOLDER` loads everything once and forks a process for every death, because a death needs
a process of its own. A step is a call that changes a file, half a write, or a video that is done. A line of JSON for
each death says what was acknowledged, what was there afterwards, and what there was when the job had been run again.
Then jobs with real workers: undisturbed, with workers that are killed, and killed before their workers are done.
"""

import importlib
import io
import itertools
import json
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from tests.workers.fake_encoder import DIMENSION, PAIRS, Dying, There, here
from vaplan.annotations import Annotations, Video
from vaplan.store import Part, Store, Writer, find_stores
from vaplan.taxonomy import Taxonomy
from vaplan.workers import Engine, Work

stage = importlib.import_module(
    "vaplan.stages.features"
)  # the package has the function under this name
VIDEOS = [f"video{i}" for i in range(7)]
CHANGING = ("ftruncate", "pwrite", "fsync", "replace")


def fake_encoder(name: str, modality: int, **_: Any) -> SimpleNamespace:
    return SimpleNamespace(
        provenance={"weights_sha256": str(modality)}, dimension=DIMENSION
    )


PRETENCE = (
    (stage, "SHARD", 2),
    (stage.encoder_models, "load", fake_encoder),
)  # to be set before a `job`


def data() -> Annotations:
    return Annotations(
        Taxonomy(("Dog",)),
        tuple(Video(video) for video in VIDEOS),
        source=Path("table.csv"),
    )


def job(
    root: Path,
    *,
    engine: Engine = here,
    workers: int = 1,
    progress: Any = None,
    part: Part | None = None,
) -> Any:
    """Fill the store of every fake encoder."""
    names = tuple((name,) for _, name in PAIRS)
    options = {
        "encoders": names,
        "workers": workers,
        "engine": engine,
        "progress": progress,
        "part": part,
    }
    return stage.features(data(), root / "media", root / "store", **options)


class Life:
    """Counts the steps of this process and ends it at the last one."""

    def __init__(self, steps: int) -> None:
        self.left = steps

    def step(self, last_act: Callable[[], object] = lambda: None) -> None:
        self.left -= 1
        if self.left == 0:
            last_act()
            os.kill(os.getpid(), signal.SIGKILL)

    def counting(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            self.step()
            return function(*arguments, **options)

        return call

    def engine(
        self,
        work: Work,
        items: Sequence[Any],
        *,
        count: int,
        seconds: float,
        watch: Any = None,
    ) -> Iterator[tuple[Any, Any]]:
        for result in here(work, items, count=count, seconds=seconds):
            self.step()
            yield result


def killed(root: Path, steps: int) -> None:
    """Do the job up to a step; what the store has taken is noted in the file `acknowledged`."""
    life, notes = (
        Life(steps),
        os.open(root / "acknowledged", os.O_CREAT | os.O_WRONLY | os.O_APPEND),
    )

    class Torn(io.FileIO):
        def write(self, content: Any) -> int:
            life.step(lambda: io.FileIO.write(self, content[: len(content) // 2]))
            return super().write(content)

    def add(self: Writer, entries: Sequence[Any]) -> None:
        real_add(self, entries)
        os.write(
            notes,
            "".join(
                f"{self.store.card.encoder} {entry.video}\n" for entry in entries
            ).encode(),
        )

    real_open, real_add = Path.open, Writer.add
    for name in CHANGING:
        setattr(os, name, life.counting(getattr(os, name)))
    Path.open = lambda path, mode="r", *a, **k: (
        Torn(path, mode) if mode == "wb" else real_open(path, mode, *a, **k)
    )
    Writer.add = add
    job(root, engine=life.engine)


def held(root: Path) -> dict[str, Any]:
    """What the stores hold."""
    found: dict[str, Store] = find_stores(root / "store")
    return {
        "rows": [
            f"{name} {video}"
            for name, store in found.items()
            for video in store.read_statuses()
        ],
        "hashes": [store.content_hash() for store in found.values()],
        "problems": [problem for store in found.values() for problem in store.verify()],
        "leftovers": [path.name for path in (root / "store").glob("*/.*")],
    }


def forked(work: Callable[[], Any]) -> tuple[int, Any]:
    """Do it in a process of its own; how that ended, and what it returned."""
    reading, writing = os.pipe()
    if not (child := os.fork()):
        code = 1
        try:
            os.write(writing, json.dumps(work()).encode())
            code = 0
        finally:
            os._exit(code)
    os.close(writing)
    with open(reading, "rb") as pipe:  # noqa: PTH123 - a descriptor
        output = pipe.read()
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), json.loads(
        output or b"null"
    )


def again(root: Path) -> dict[str, Any]:
    """What there is, and what there is when the job has been run again."""
    before = held(root)
    job(root)
    return {"before": before, "after": held(root)}


def with_media(root: Path) -> Path:
    (root / "media").mkdir(parents=True)
    for video in VIDEOS:
        (root / "media" / f"{video}.mp4").touch()
    return root


def deaths(folder: Path) -> Iterator[dict[str, Any]]:
    """The job killed at every step; the last line is of the job that was not."""
    code, steps = -signal.SIGKILL, 0
    while code:
        steps += 1
        root = with_media(folder / str(steps))
        code, _ = forked(lambda root=root, steps=steps: killed(root, steps))
        notes = (root / "acknowledged").read_text().splitlines()
        yield {"kind": "steps", "code": code, "acknowledged": notes} | forked(
            lambda root=root: again(root)
        )[1]


def worked(folder: Path) -> Iterator[dict[str, Any]]:
    """The job with real workers."""
    for workers in (1, 2):
        root = with_media(folder / f"{workers} workers")
        outcome = job(root, engine=There(), workers=workers)
        yield {"kind": "undisturbed", "failed": outcome.failed, "after": held(root)}
    root = with_media(folder / "workers killed")
    outcome = job(root, engine=There(Dying(root)), workers=2)
    yield {"kind": "workers killed", "failed": outcome.failed, "after": held(root)}


def orphaned(root: Path, results: int) -> None:
    """Die after so many results, with workers at work; `pids` are theirs."""

    def progress(done: int, of: int, problem: str) -> None:
        if done == results:
            pids = [process.pid for process in multiprocessing.active_children()]
            (root / "pids").write_text(json.dumps(pids))
            os.kill(os.getpid(), signal.SIGKILL)

    job(root, engine=There(), workers=2, progress=progress)


def abandoned(folder: Path) -> Iterator[dict[str, Any]]:
    for results in (1, 3, 6):
        root = with_media(folder / f"killed after {results}")
        code, _ = forked(lambda root=root, results=results: orphaned(root, results))
        about = {
            "kind": "abandoned",
            "code": code,
            "pids": json.loads((root / "pids").read_text()),
        }
        yield about | forked(lambda root=root: again(root))[1]


if __name__ == "__main__":
    place = Path(sys.argv[1])
    for setting in PRETENCE:
        setattr(*setting)
    for death in itertools.chain(
        deaths(place), abandoned(place), worked(place)
    ):  # real workers last: threads
        print(json.dumps(death), flush=True)  # noqa: T201

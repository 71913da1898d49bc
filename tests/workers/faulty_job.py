"""A program: one job with every kind of fault, on one engine after the other.

`main` prints a line of JSON for each engine: what the store holds at the end. Two of the videos always kill their
worker, one fails at its first attempt, and two others lose their worker then. Every driver is killed once, after some
videos, and a new one ends the job; on the Ray cluster a node ends too. A process is forked for every driver, so that
everything is loaded once.
"""

import json
import os
import signal
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from tests.stages import killing
from tests.workers.fake_encoder import POISON, Faulty, There, encode
from tests.workers.ray_work import OnRay
from vaplan.store import Part
from vaplan.workers import Engine, Work
from vaplan.workers.faults import Failed
from vaplan.workers.processes import DEATHS
from vaplan.workers.ray import RayEngine

VIDEOS = [f"video{number:02}" for number in range(36)]
SHARD = 6
DONE_BY_FIRST_DRIVER = 12
PARTS = tuple(Part(number, 3) for number in (1, 2, 3))


def in_a_loop(
    work: Work, items: Sequence[Any], *, count: int, seconds: float, watch: Any = None
) -> Iterator[tuple[Any, Any]]:
    """An engine without processes, and without faults other than the poison."""
    for item in items:
        is_poison = item.video in POISON
        yield item, Failed("it is poison", DEATHS) if is_poison else encode(item)


def drive(
    root: Path,
    engine: Engine,
    parts: Sequence[Part | None],
    *,
    last_done: int = 0,
    node: int = 0,
) -> None:
    """Do the job, or kill this process after some videos.

    Args:
        root: Folder of the media and the store.
        engine: Engine of the job.
        parts: Parts to write, one after the other; None for a store without parts.
        last_done: Number of videos after which this process is killed; 0 for the end.
        node: Process of a node to kill after the first videos; 0 for none.
    """
    done_before = 0

    def progress(done: int, total: int, problem: str) -> None:
        if done_before + done == last_done:
            os.kill(os.getpid(), signal.SIGKILL)
        if node and done == 3:
            os.kill(node, signal.SIGKILL)

    for part in parts:
        outcome = killing.job(
            root, engine=engine, workers=3, part=part, progress=progress
        )
        done_before += outcome.done + len(outcome.failed)


def run(
    root: Path, name: str, engine: Engine, parts: Sequence[Any], *, node: int = 0
) -> None:
    """Run a first driver, which is killed, and a second one."""
    first = partial(drive, root, engine, parts, last_done=DONE_BY_FIRST_DRIVER)
    code, _ = killing.forked(first)
    kept = killing.forked(partial(killing.held, root))[1]["rows"]
    second = partial(drive, root, engine, parts, node=node)
    code_again, _ = killing.forked(second)
    held = killing.forked(partial(killing.held, root))[1]
    line = {"engine": name, "codes": [code, code_again], "kept": len(kept)}
    print(json.dumps(line | held), flush=True)  # noqa: T201


def main(folder: Path, address: str, node: int) -> None:
    """Run the job on every engine.

    Args:
        folder: Folder of the jobs.
        address: Address of the Ray cluster.
        node: Process of the node that ends.
    """
    killing.VIDEOS[:] = VIDEOS
    for setting in killing.PRETENCE:
        setattr(*setting)
    killing.stage.SHARD = SHARD
    engines: dict[str, tuple[Any, Sequence[Part | None]]] = {
        "loop": (lambda _: in_a_loop, [None]),
        "local": (There, [None]),
        "parts": (There, PARTS),
        "ray": (lambda work: OnRay(RayEngine(address), work), [None]),
    }
    for name, (make_engine, parts) in engines.items():
        root = killing.with_media(folder / name)
        engine = make_engine(Faulty(root))
        run(root, name, engine, parts, node=node if name == "ray" else 0)

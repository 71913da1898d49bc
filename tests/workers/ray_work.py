"""Work for the actors of a test; a module of its own, because it is imported quickly."""

import os
import time
from pathlib import Path
from typing import Any

from tests.workers.fake_encoder import Dying, slowly
from vaplan.errors import MediaError
from vaplan.workers import Work, report
from vaplan.workers.ray import RayEngine


def find_node(_: int) -> str:
    import ray

    time.sleep(0.1)
    node: str = ray.get_runtime_context().get_node_id()
    return node


COUNT: list[int] = []


def start_count() -> None:
    COUNT[:] = [0]


def count_up(_: int) -> tuple[str, int]:
    COUNT[0] += 1
    return find_node(0), COUNT[0]


def report_often(item: str) -> str:
    """Report every half second; the item `long` takes longer than its time limit."""
    for step in range(50 if item == "long" else 1):
        time.sleep(0.5)
        report(step)
    return item


def fill_disk(path: Path) -> str:
    """The disk is full once ten files exist."""
    if len(list(path.parent.iterdir())) >= 10:
        raise OSError(28, os.strerror(28))
    path.touch()
    return path.name


def refuse() -> None:
    raise MediaError("no such encoder", file="model", fix="give another")


class DyingForTwo(Dying):
    """The process of the first attempt at two of the videos is killed."""

    def __call__(self, job: Any) -> Any:
        if job.video in ("video1", "video4"):
            return super().__call__(job)
        return slowly(job)


class OnRay:
    """The cluster, with other work."""

    def __init__(self, engine: RayEngine, function: Any) -> None:
        self.engine = engine
        self.function = function

    def __call__(
        self, work: Work, items: Any, *, count: int, seconds: float, watch: Any = None
    ) -> Any:
        return self.engine(Work(self.function), items, count=count, seconds=seconds)

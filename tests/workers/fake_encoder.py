"""A job without media or encoders: the features of a video follow from its id; its processes start quickly."""

import hashlib
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from vaplan.store import Entry
from vaplan.workers import Work
from vaplan.workers.processes import run_in_order

DIMENSION, SEGMENTS = 4, 3
POISON = ("video05", "video30")  # always kill their worker
TRANSIENT = ("video13",)  # fail at the first attempt
KILLED = ("video20", "video27")  # lose their worker at the first attempt
PAIRS = ((0, "fake"), (1, "fake"))  # a modality and an encoder each


class Job(Protocol):
    """A job of the stage."""

    video: str
    encoders: tuple[tuple[int, str], ...]


def encode(job: Job) -> dict[tuple[int, str], Entry]:
    """Every other video has no sound."""
    return {pair: _entry(job.video, pair[0]) for pair in job.encoders}


def _entry(video: str, modality: int) -> Entry:
    seed = hashlib.sha256(f"{video} {modality}".encode()).digest()
    if modality == 0 and seed[0] % 2:
        return Entry(
            video,
            None,
            np.zeros(SEGMENTS, dtype=bool),
            "absent",
            "the file has no sound",
        )
    generator = np.random.default_rng([*seed])
    feature = generator.standard_normal((SEGMENTS, DIMENSION), dtype=np.float32)
    return Entry(video, feature, np.ones(SEGMENTS, dtype=bool))


def slowly(job: Job) -> dict[tuple[int, str], Entry]:
    """Encode slowly, so that a test can kill the process."""
    time.sleep(0.02)
    return encode(job)


@dataclass(frozen=True)
class Dying:
    """The process of a video's first attempt is killed: before, while or after the video is done."""

    folder: Path

    def __call__(self, job: Job) -> dict[tuple[int, str], Entry]:
        attempted = self.folder / job.video
        if not attempted.exists():
            attempted.touch()
            delay = 0.005 * int(job.video[-1])
            threading.Timer(delay, os.kill, [os.getpid(), signal.SIGKILL]).start()
        return slowly(job)


@dataclass(frozen=True)
class Faulty:
    """Work with faults, each of which depends on the video.

    Attributes:
        folder: Folder of the marks of first attempts.
    """

    folder: Path

    def __call__(self, job: Job) -> Any:
        if job.video in POISON:
            os.kill(os.getpid(), signal.SIGKILL)
        if job.video in (*TRANSIENT, *KILLED) and self._is_first_attempt(job.video):
            if job.video in TRANSIENT:
                raise OSError(5, os.strerror(5))
            os.kill(os.getpid(), signal.SIGKILL)
        return slowly(job)

    def _is_first_attempt(self, video: str) -> bool:
        mark = self.folder / f"{video}.attempted"
        is_first = not mark.exists()
        mark.touch()
        return is_first


def here(
    work: Work, items: Sequence[Any], *, count: int, seconds: float, watch: Any = None
) -> Iterator[tuple[Any, Any]]:
    """An engine without processes."""
    return ((item, encode(item)) for item in items)


@dataclass(frozen=True)
class There:
    """The engine of real processes, with other work."""

    function: Callable[[Job], Any] = slowly

    def __call__(
        self,
        work: Work,
        items: Sequence[Any],
        *,
        count: int,
        seconds: float,
        watch: Any = None,
    ) -> Iterator[tuple[Any, Any]]:
        return run_in_order(Work(self.function), items, count=count, seconds=seconds)

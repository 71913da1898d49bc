"""A program: a job with encoder processes loses one of its processes, or dies, and is run again.

`python -m tests.stages.killing_pipelines FOLDER TABLE POINTS` forks a process for every job. A
decoder, an encoder process or the job itself is killed at POINTS points each: some milliseconds
after some video is done. A line of JSON for each says what was acknowledged, what was there
afterwards, and what there was when the job had ended or had been run again.
"""

import importlib
import json
import multiprocessing
import os
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import psutil

from tests.conftest import EMBEDDED
from tests.stages.killing import forked, held
from vaplan.annotations import Annotations
from vaplan.annotations.table import read
from vaplan.encoders.service import EncoderProcess
from vaplan.store import Writer

stage = importlib.import_module("vaplan.stages.features")
VIDEOS = 8
DELAYS = (0.0, 0.02, 0.05, 0.1, 0.2)  # seconds after a video is done
SECONDS = 60.0  # in which the processes of a dead job end
KINDS = ("decoder", "encoder", "job")


def note(path: Path, lines: Sequence[object]) -> None:
    """Append lines to a file at once."""
    descriptor = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    os.write(descriptor, "".join(f"{line}\n" for line in lines).encode())
    os.close(descriptor)


def noted(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []


def job(root: Path, data: Annotations, progress: Any = None) -> dict[str, Any]:
    """Encode the videos, with two decoders; note processes and acknowledged rows."""
    real_start, real_add = EncoderProcess._start, Writer.add

    def start(self: EncoderProcess) -> Any:
        if started := real_start(self):
            note(root / "encoders", [started[0].pid])
            note(root / "folders", [self.address.parent])
        return started

    def add(self: Writer, entries: Sequence[Any]) -> None:
        real_add(self, entries)
        rows = [f"{self.store.card.encoder} {entry.video}" for entry in entries]
        note(root / "acknowledged", rows)

    EncoderProcess._start, Writer.add = start, add
    stage.SHARD = 2
    outcome = stage.features(
        data,
        data.source.parent,
        root / "store",
        encoders=EMBEDDED,
        workers=2,
        pipeline=True,
        progress=progress,
    )
    return {"failed": outcome.failed} | held(root)


def killing(root: Path, data: Annotations, kind: str, point: int, of: int) -> Any:
    """Do the job, in which a process is killed after a video."""
    after = 1 + (VIDEOS - 2) * (point + 1) // (of + 1)
    delay = DELAYS[point % len(DELAYS)]

    def progress(done: int, _: int, __: str) -> None:
        if done == after:
            threading.Timer(delay, kill).start()

    def kill() -> None:
        encoders = {int(pid) for pid in noted(root / "encoders")}
        children = {child.pid or 0 for child in multiprocessing.active_children()}
        note(root / "children", [*children, *encoders])
        victims = {
            "decoder": sorted(children - encoders)[:1],
            "encoder": sorted(encoders),
            "job": [os.getpid()],
        }
        for pid in victims[kind]:
            note(root / "killed", [pid])
            os.kill(pid, signal.SIGKILL)

    return job(root, data, progress)


def wait_for_end(root: Path) -> list[str]:
    """Wait for the processes of a dead job; name processes and folders that stay."""

    def left() -> list[str]:
        running = [pid for pid in noted(root / "children") if is_running(int(pid))]
        return running + [
            path for path in noted(root / "folders") if Path(path).exists()
        ]

    deadline = time.monotonic() + SECONDS
    while left() and time.monotonic() < deadline:
        time.sleep(0.05)
    return left()


def is_running(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def deaths(folder: Path, data: Annotations, points: int) -> Iterator[dict[str, Any]]:
    def run(name: str, work: Callable[[Path], Any]) -> tuple[Path, int, Any]:
        root = folder / name
        root.mkdir(parents=True, exist_ok=True)
        return (root, *forked(partial(work, root)))

    _, code, whole = run("unbroken", partial(job, data=data))
    yield {"kind": "unbroken", "code": code, "after": whole}
    for kind in KINDS:
        for point in range(points):
            name = f"{kind} {point}"
            work = partial(killing, data=data, kind=kind, point=point, of=points)
            root, code, after = run(name, work)
            left = wait_for_end(root)
            acknowledged = noted(root / "acknowledged")
            before = held(root)
            if kind == "job":
                _, again, after = run(name, partial(job, data=data))
                assert again == 0
            yield {
                "kind": kind,
                "code": code,
                "killed": noted(root / "killed"),
                "left": left,
                "acknowledged": acknowledged,
                "before": before,
                "after": after,
            }


if __name__ == "__main__":
    place, table = Path(sys.argv[1]), Path(sys.argv[2])
    tempfile.tempdir = str(place)
    videos = read(table)
    for line in deaths(
        place, videos.select_videos(videos.ids[:VIDEOS]), int(sys.argv[3])
    ):
        print(json.dumps(line), flush=True)  # noqa: T201

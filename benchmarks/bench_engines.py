"""Measure the time and memory per video of the driver, which distributes the work and writes the store.

python benchmarks/bench_engines.py [--videos 2000] [--engine local] [--engine ray]

The workers return features of two encoders, ten segments of 512 dimensions each, and compute nothing,
so the time is that of the engine and the store. In a second measurement the workers are busy for 0.2 s
of CPU time per video: the rate of two workers, divided by that of two local workers, is the efficiency.
The driver is this process; its memory is the growth from the first 1,000 videos to the last.
"""

import argparse
import os
import resource
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from vaplan.store import Entry, Store
from vaplan.workers import Engine, run_supervised
from vaplan.workers.engines import open_engine

SEGMENTS, DIMENSION, SHARD = 10, 512, 64
NAMES = ("audio:bench", "visual:bench")
WORKERS = 2


def make_entries(video: str, *, busy: float = 0.0) -> list[Entry]:
    """Return the entries of a video after some seconds of CPU time."""
    end = time.process_time() + busy
    while time.process_time() < end:
        pass
    mask = np.ones(SEGMENTS, dtype=bool)
    feature = np.full((SEGMENTS, DIMENSION), 0.5, np.float32)
    return [Entry(video, feature, mask) for _ in NAMES]


def results(
    engine: Engine, videos: list[str], *, busy: float
) -> Iterator[tuple[str, Any]]:
    """Run two workers."""
    function = partial(make_entries, busy=busy)
    return run_supervised(function, videos, workers=WORKERS, engine=engine)


def measure_cost(engine: Engine, videos: list[str]) -> dict[str, float]:
    """Measure the CPU and wall milliseconds of the driver per video, and its memory growth in MiB."""
    seconds = {"hand out": 0.0, "write": 0.0}
    memory_at = dict[int, int]()
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        stores = [
            Store.create(folder, name, {"dimension": DIMENSION}, planned=videos)
            for name in NAMES
        ]
        writers = [stack.enter_context(store.open_writer()) for store in stores]
        buffer = list[list[Entry]]()
        source = results(engine, videos, busy=0.0)
        next_result = next(source)  # the workers have started
        wall = time.perf_counter()
        for number in range(1, len(videos)):
            buffer.append(next_result[1])
            if len(buffer) == SHARD:
                start = time.process_time()
                for index, writer in enumerate(writers):
                    writer.add([entries[index] for entries in buffer])
                seconds["write"] += time.process_time() - start
                buffer = []
            start = time.process_time()
            next_result = next(source)
            seconds["hand out"] += time.process_time() - start
            memory_at[number] = resident()
        wall = time.perf_counter() - wall
    growth = memory_at[len(videos) - 1] - memory_at[min(1000, len(videos) - 1)]
    per_video = {name: 1e3 * value / len(videos) for name, value in seconds.items()}
    return per_video | {"wall": 1e3 * wall / len(videos), "memory": growth / 2**20}


def resident() -> int:
    """Return the resident set of this process in bytes."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


def measure_rate(engine: Engine, videos: list[str]) -> float:
    """Measure the videos per second of two busy workers after their start."""
    source = results(engine, videos, busy=0.2)
    for _ in range(WORKERS):
        next(source)
    start = time.perf_counter()
    count = sum(1 for _ in source)
    return count / (time.perf_counter() - start)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--videos", type=int, default=2000)
    parser.add_argument(
        "--busy", type=int, default=100, help="number of videos for the busy workers"
    )
    parser.add_argument("--engine", action="append", default=None)
    arguments = parser.parse_args()
    videos = [f"video{number:09d}" for number in range(arguments.videos)]
    print(f"load average {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores")
    print(
        "| engine | hand out, CPU ms | write, CPU ms | wall ms | MiB more | videos/s |"
    )
    print("|---|---|---|---|---|---|")
    for name in arguments.engine or ["local", "ray"]:
        with open_engine(name) as engine:
            cost = measure_cost(engine, videos)
            rate = measure_rate(engine, videos[: arguments.busy])
        print(
            f"| {name} | {cost['hand out']:.2f} | {cost['write']:.2f} | {cost['wall']:.2f} | "
            f"{cost['memory']:.1f} | {rate:.2f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()

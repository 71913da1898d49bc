"""Measure the time and memory of the feature store: `python benchmarks/bench_store.py [VIDEOS…]`.

Ten segments per video, 512 dimensions, shards of 64 videos, written by one job. CPU seconds are those of this process;
wall time includes the disk. Everything except writing runs twice, and the second run is measured. The last column is
the memory of the process after the work, with its result, minus the memory before; it is not a peak.
"""

import platform
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil
import pyarrow as pa

from vaplan.store import Entry, Store

SEGMENTS, DIMENSION, SHARD = 10, 512, 64


def entry(video: str, feature: np.ndarray) -> Entry:
    return Entry(video, feature, np.ones(SEGMENTS, dtype=bool))


def write(store: Store, videos: list[str], feature: np.ndarray) -> None:
    with store.open_writer() as writer:
        for start in range(0, len(videos), SHARD):
            writer.add(
                [entry(video, feature) for video in videos[start : start + SHARD]]
            )


def measured(work: Callable[[], object], *, warm: bool) -> str:
    """Measure CPU seconds, wall seconds and the memory growth in MB, as cells of a table."""
    if warm:
        work()  # the first allocation of so much memory takes as long as the work
    process = psutil.Process()
    memory, cpu, wall = (
        process.memory_info().rss,
        time.process_time(),
        time.perf_counter(),
    )
    result = work()
    taken = time.process_time() - cpu, time.perf_counter() - wall
    growth = max(0, process.memory_info().rss - memory) / 1e6
    del result
    return f"{taken[0]:.2f} | {taken[1]:.2f} | {growth:.0f}"


def rows(count: int) -> list[str]:
    videos = [f"video_{i}" for i in range(count)]
    generator = np.random.default_rng(0)
    shuffled = generator.permutation(videos).tolist()
    feature = generator.standard_normal((SEGMENTS, DIMENSION), dtype=np.float32)
    with tempfile.TemporaryDirectory() as folder:
        store = Store.create(
            Path(folder), "bench", {"dimension": DIMENSION}, planned=videos
        )
        works: dict[str, Callable[[], object]] = {
            "write all": lambda: write(store, videos, feature),
            "read all, shuffled": lambda: store.read(shuffled),
            "read a tenth of them": lambda: store.read(shuffled[: count // 10]),
            "list missing videos": lambda: store.list_missing(videos),
            "content hash": store.content_hash,
            "verify": store.verify,
        }
        return [
            f"| {count:,} | {name} | {measured(work, warm='write' not in name)} |"
            for name, work in works.items()
        ]


def main(counts: list[int]) -> None:
    print(
        f"Python {platform.python_version()}, PyArrow {pa.__version__}, NumPy {np.__version__}.\n"
    )
    print(
        "| videos | work | CPU s | wall s | memory growth, MB |\n|---:|---|---:|---:|---:|"
    )
    for count in counts:
        print("\n".join(rows(count)), flush=True)


if __name__ == "__main__":
    main([*map(int, sys.argv[1:])] or [10_000, 100_000])

"""How long the feature store takes, and how much memory: `python benchmarks/bench_store.py [VIDEOS…]`.

Ten segments a video, 512 numbers a segment, shards of 64 videos, written by one job. CPU seconds of this process; wall
time adds what the disk takes. All but the writing is done twice, and measured then. The last column is how much more
memory the process holds when the work ends, its result included; it is no peak.
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
    """CPU seconds, wall seconds and megabytes more than before, as cells of a table."""
    if warm:
        work()  # the first touch of so much memory costs as much as the work, and says nothing of it
    process = psutil.Process()
    held, cpu, wall = (
        process.memory_info().rss,
        time.process_time(),
        time.perf_counter(),
    )
    result = work()
    taken = time.process_time() - cpu, time.perf_counter() - wall
    more = max(0, process.memory_info().rss - held) / 1e6
    del result
    return f"{taken[0]:.2f} | {taken[1]:.2f} | {more:.0f}"


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
            "find what is lacking": lambda: store.list_missing(videos),
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
        "| videos | work | CPU s | wall s | MB held after |\n|---:|---|---:|---:|---:|"
    )
    for count in counts:
        print("\n".join(rows(count)), flush=True)


if __name__ == "__main__":
    main([*map(int, sys.argv[1:])] or [10_000, 100_000])

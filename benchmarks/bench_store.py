"""How long the feature store takes: `python benchmarks/bench_store.py [VIDEOS]`.

Ten segments a video, 512 numbers a segment, shards of 64 videos. Target: reading 10,000 videos in about a second.
"""

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from vaplan.store import Entry, Store

SEGMENTS, DIMENSION, SHARD = 10, 512, 64


def entry(video: str, generator: np.random.Generator) -> Entry:
    feature = generator.standard_normal((SEGMENTS, DIMENSION), dtype=np.float32)
    return Entry(video, feature / np.linalg.norm(feature, axis=1, keepdims=True), np.ones(SEGMENTS, dtype=bool))


def write(store: Store, videos: list[str]) -> None:
    generator = np.random.default_rng(0)
    for start in range(0, len(videos), SHARD):
        store.add([entry(video, generator) for video in videos[start : start + SHARD]])


def main(count: int = 10_000) -> None:
    videos = [f"video_{i}" for i in range(count)]
    shuffled = np.random.default_rng(0).permutation(videos).tolist()
    with tempfile.TemporaryDirectory() as folder:
        store = Store.create(Path(folder), "bench", {"dimension": DIMENSION}, planned=videos)
        works: dict[str, Callable[[], object]] = {
            f"write {count} videos": lambda: write(store, videos),
            f"read {count} videos, shuffled": lambda: store.read(shuffled),
            f"read {count // 10} of them": lambda: store.read(shuffled[: count // 10]),
            "find what is lacking": lambda: store.lacking(videos),
            "content hash": store.content_hash,
            "verify": store.verify,
        }
        print("| work | seconds |\n|---|---|")
        for name, work in works.items():
            start = time.perf_counter()
            work()
            print(f"| {name} | {time.perf_counter() - start:.2f} |")
        size = sum(path.stat().st_size for path in store.folder.iterdir())
        print(f"\n{size / 1e6:.0f} MB on disk, {size / count / SEGMENTS / DIMENSION:.3f} bytes a number")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))

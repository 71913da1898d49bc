"""Time `store info`, `store verify`, the plan and the list of missing videos of a large store.

python benchmarks/bench_store_scale.py 1000000

The shards have the size that `vaplan features` writes, 64 videos each; a video has 10 segments of
`--dimension` values. The store is made once in `--folder`; one video in 100 has no row. The files
are in the page cache, so the times exclude the disk. Each operation runs in a new process; its
memory is the growth of the largest resident set of that process.
"""

import argparse
import multiprocessing
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from vaplan.store import Entry, Store
from vaplan.store import shards as shard_files

SHARD = 64
SEGMENTS = 10
NAME = "audio:bench"


def make_store(folder: Path, videos: int, dimension: int) -> Store:
    """Fill a store; the bytes of the features are the same for all videos of a shard."""
    ids = [f"video{number:09d}_10_20" for number in range(videos)]
    store = Store.create(folder, NAME, {"dimension": dimension}, planned=ids)
    done = sum(1 for _ in shard_files.list_shards(store.folder))
    generator = np.random.default_rng(0)
    mask = np.ones(SEGMENTS, dtype=bool)
    written = [video for number, video in enumerate(ids) if number % 100]
    with store.open_writer() as writer:
        for start in range(done * SHARD, len(written), SHARD):
            feature = generator.standard_normal((SEGMENTS, dimension), np.float32)
            writer.add(
                [
                    Entry(video, feature, mask)
                    for video in written[start : start + SHARD]
                ]
            )
    return store


def operations(store: Store) -> Iterator[tuple[str, Callable[[], object]]]:
    """Yield the name and the function of each timed operation."""
    yield "open the plan", lambda: len(store.planned)
    yield "list missing", lambda: len(store.list_missing(store.planned))
    yield "store info", store.describe
    yield "content hash", store.content_hash
    yield "store verify", store.verify


def measure(folder: Path, name: str) -> None:
    """Print the seconds and the memory of one operation."""
    store = Store.open(folder, NAME)
    function = dict(operations(store))[name]
    before = peak_memory()
    start = time.perf_counter()
    cpu = time.process_time()
    function()
    seconds = time.perf_counter() - start
    cpu = time.process_time() - cpu
    memory = peak_memory() - before
    print(f"| {name} | {seconds:.1f} | {cpu:.1f} | {memory:.0f} |", flush=True)


def peak_memory() -> float:
    """Return the largest resident set of this process in MiB."""
    status = Path("/proc/self/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("videos", type=int)
    parser.add_argument("--dimension", type=int, default=8)
    parser.add_argument("--folder", type=Path, default=Path("bench-store-scale"))
    arguments = parser.parse_args()
    folder = arguments.folder / f"{arguments.videos}-{arguments.dimension}"
    start = time.perf_counter()
    store = make_store(folder, arguments.videos, arguments.dimension)
    seconds = time.perf_counter() - start
    count = len(shard_files.list_shards(store.folder))
    print(f"{arguments.videos} videos in {count} shards, made in {seconds:.0f} s")
    print("| operation | seconds | CPU seconds | memory, MiB |\n|---|---|---|---|")
    sys.stdout.flush()
    for name, _ in operations(store):
        context = multiprocessing.get_context("spawn")
        process = context.Process(target=measure, args=(folder, name))
        process.start()
        process.join()


if __name__ == "__main__":
    main()

"""Measure the time of searches: `python benchmarks/bench_search.py [--segments N …] [--timelines N] [--write]`.

Segments: stores of videos with ten segments of 512 dimensions, in shards of 64 videos, are written to a
temporary folder, one after the other, and searched for the best 20 segments of one sentence with a random
vector. A million segments take 1 GB of disk. Timelines:
tables of videos with five events each are searched by a condition. Each search runs once, so that the
files are in the page cache, and then three times; the results are medians.
"""

import argparse
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb
import numpy as np
import psutil
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import torch

from vaplan.search.timelines import find_spans, read_tables
from vaplan.search.vectors import top_segments
from vaplan.store import Entry, Store

RESULTS = Path(__file__).parent / "results" / "search.md"
SEGMENTS, DIMENSION, SHARD, TOP = 10, 512, 64, 20
EVENTS, CLASSES, SECONDS = 5, 25, 10
RUNS = 3  # after one that fills the page cache
LARGE = 36_000_000  # segments of a collection for which the time is extrapolated
CONDITION = "audio:c0 and not visual:c0"


def fill(folder: Path, segments: int) -> Store:
    """Write a store of random unit vectors; the vectors of 1,000 videos are repeated."""
    videos = [f"video_{n}" for n in range(segments // SEGMENTS)]
    store = Store.create(folder, "audio:x", {"dimension": DIMENSION}, planned=videos)
    generator = np.random.default_rng(0)
    bank = generator.standard_normal((1000, SEGMENTS, DIMENSION), dtype=np.float32)
    bank /= np.linalg.norm(bank, axis=-1, keepdims=True)
    mask = np.ones(SEGMENTS, bool)
    with store.open_writer() as writer:
        for start in range(0, len(videos), SHARD):
            writer.add(
                [
                    Entry(videos[n], bank[n % len(bank)], mask)
                    for n in range(start, min(start + SHARD, len(videos)))
                ]
            )
    return store


def measure(work: Callable[[], object]) -> tuple[float, float, float]:
    """Measure the median wall and CPU seconds, and the growth of the memory in MB over all runs."""
    work()
    process = psutil.Process()
    memory = process.memory_info().rss
    walls, cpus = list[float](), list[float]()
    for _ in range(RUNS):
        wall, cpu = time.perf_counter(), time.process_time()
        work()
        walls.append(time.perf_counter() - wall)
        cpus.append(time.process_time() - cpu)
    growth = max(0, process.memory_info().rss - memory) / 1e6
    return statistics.median(walls), statistics.median(cpus), growth


@dataclass(frozen=True)
class Search:
    """A measured search of a store.

    Attributes:
        segments: Segments of the store.
        size: Size in GB.
        wall: Median wall seconds.
        cpu: Median CPU seconds.
        growth: Growth of the memory in MB.
    """

    segments: int
    size: float
    wall: float
    cpu: float
    growth: float

    @property
    def row(self) -> str:
        """Return the row of the table."""
        rate = self.segments / self.wall
        return (
            f"| {self.segments:,} | {self.size:.2f} | {self.wall:.2f} | {self.cpu:.2f} "
            f"| {rate:,.0f} | {self.growth:.0f} |"
        )


def measure_search(segments: int) -> Search:
    with tempfile.TemporaryDirectory() as folder:
        store = fill(Path(folder), segments)
        size = sum(path.stat().st_size for path in store.folder.iterdir()) / 1e9
        text = torch.nn.functional.normalize(torch.randn(1, DIMENSION), dim=-1)
        wall, cpu, growth = measure(lambda: top_segments(store, text, top=TOP))
    return Search(segments, size, wall, cpu, growth)


def extrapolate(search: Search) -> str:
    """Describe how long a search of a large collection would take."""
    factor = LARGE / search.segments
    return (
        f"{LARGE:,} segments ({factor * search.size:.0f} GB) were not measured. The time is "
        f"proportional to the number\nof segments; at the rate of the last row they would "
        f"take {factor * search.wall:.0f} s ({factor * search.cpu:.0f} s of CPU), if the\n"
        "disk reads as fast as the page cache."
    )


def events_table(videos: int) -> pa.Table:
    generator = np.random.default_rng(0)
    rows = videos * EVENTS
    onset = generator.integers(0, SECONDS - 1, rows).astype(float)
    length = generator.integers(1, 4, rows)
    modality = generator.choice(["audio", "visual"], rows)
    names = np.array([f"c{n}" for n in range(CLASSES)])
    return pa.table(
        {
            "video": np.repeat([f"video_{n}" for n in range(videos)], EVENTS),
            "modality": modality,
            "class": generator.choice(names, rows),
            "onset": onset,
            "offset": np.minimum(onset + length, SECONDS),
            "score": generator.random(rows),
        }
    )


def timeline_rows(videos: int) -> Iterator[str]:
    table = events_table(videos)
    with tempfile.TemporaryDirectory() as folder:
        for suffix, write in (
            ("parquet", pq.write_table),
            ("csv", pyarrow.csv.write_csv),
        ):
            path = Path(folder) / f"events.{suffix}"
            write(table, path)
            read, _, _ = measure(lambda path=path: read_tables(path))
            wall, cpu, _ = measure(lambda path=path: find_spans(path, CONDITION))
            spans = len(find_spans(path, CONDITION).rows)
            yield (
                f"| {videos:,} | {suffix} | {read:.2f} | {wall:.2f} | {cpu:.2f} "
                f"| {spans:,} |"
            )


def report(sizes: Sequence[int], videos: int) -> str:
    searches = [measure_search(segments) for segments in sizes]
    return f"""# Search: segments of a store, and spans of timelines

Python {platform.python_version()}, torch {torch.__version__}, DuckDB {duckdb.__version__}, PyArrow {pa.__version__},
{platform.machine()}, {os.cpu_count()} cores, torch on {torch.get_num_threads()}. `python benchmarks/bench_search.py`,
medians of {RUNS} runs; the files are in the page cache, and the times exclude the start of the command.
At the end {os.getloadavg()[2]:.0f} processes wanted a core; with more of them than cores the CPU seconds say more
than the wall seconds.

Best {TOP} segments of one sentence among segments of {DIMENSION} 16-bit numbers. Every shard is read and its hash
is checked; the vector of the sentence is given, so no encoder is loaded.

| segments | GB | wall s | CPU s | segments a second | memory growth, MB |
|---:|---:|---:|---:|---:|---:|
{chr(10).join(search.row for search in searches)}

{extrapolate(searches[-1])}

Condition `{CONDITION}` on tables of {EVENTS} events per video; the wall time includes reading:

| videos | table | reading s | wall s | CPU s | spans |
|---:|---|---:|---:|---:|---:|
{chr(10).join(timeline_rows(videos))}
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    sizes = [1_000_000, 2_000_000]
    parser.add_argument("--segments", type=int, nargs="+", default=sizes)
    parser.add_argument("--timelines", type=int, default=100_000)
    parser.add_argument("--write", action="store_true", help=f"write {RESULTS.name}")
    options = parser.parse_args()
    text = report(options.segments, options.timelines)
    print(text, end="")
    if options.write:
        RESULTS.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()

"""Measure the time of searches: `python benchmarks/bench_search.py [--segments N] [--timelines N] [--write]`.

Segments: a store of videos with ten segments of 512 dimensions, in shards of 64 videos, is written to a
temporary folder and searched for the best 20 segments of one sentence with a random vector. Timelines:
tables of videos with five events each are searched by a condition. Each search runs once, so that the
files are in the page cache, and then three times; the results are medians.
"""

import argparse
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
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


def segment_row(segments: int) -> str:
    with tempfile.TemporaryDirectory() as folder:
        store = fill(Path(folder), segments)
        size = sum(path.stat().st_size for path in store.folder.iterdir()) / 1e9
        text = torch.nn.functional.normalize(torch.randn(1, DIMENSION), dim=-1)
        wall, cpu, growth = measure(lambda: top_segments(store, text, top=TOP))
    return f"| {segments:,} | {size:.2f} | {wall:.2f} | {cpu:.2f} | {growth:.0f} |"


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


def report(segments: int, videos: int) -> str:
    return f"""# Search: segments of a store, and spans of timelines

Python {platform.python_version()}, torch {torch.__version__}, DuckDB {duckdb.__version__}, PyArrow {pa.__version__},
{platform.machine()}, {os.cpu_count()} cores, torch on {torch.get_num_threads()}. `python benchmarks/bench_search.py`,
medians of {RUNS} runs; the files are in the page cache, and the times exclude the start of the command.

Best {TOP} segments of one sentence among segments of {DIMENSION} 16-bit numbers. Every shard is read and its hash
is checked; the vector of the sentence is given, so no encoder is loaded.

| segments | GB | wall s | CPU s | memory growth, MB |
|---:|---:|---:|---:|---:|
{segment_row(segments)}

Condition `{CONDITION}` on tables of {EVENTS} events per video; the wall time includes reading:

| videos | table | reading s | wall s | CPU s | spans |
|---:|---|---:|---:|---:|---:|
{chr(10).join(timeline_rows(videos))}
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--segments", type=int, default=1_000_000)
    parser.add_argument("--timelines", type=int, default=100_000)
    parser.add_argument("--write", action="store_true", help=f"write {RESULTS.name}")
    options = parser.parse_args()
    text = report(options.segments, options.timelines)
    print(text, end="")
    if options.write:
        RESULTS.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()

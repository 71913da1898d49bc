"""Measure the time and memory of the ten LLP scores on one core, and compare them with a plain Python version.

python benchmarks/bench_metrics.py [--write]
"""

import argparse
import platform
import sys
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.oracles import llp as oracle

from vaplan.metrics.llp import llp_scores

SEGMENTS, CLASSES = 10, 25
SIZES = (1_000, 10_000, 100_000)
COMPARED = 1_200  # videos of the published test split
RESULTS = Path(__file__).parent / "results" / "metrics.md"

Grids = tuple[np.ndarray, np.ndarray]


def tagged(videos: int, *, tags: int, seed: int = 0) -> Grids:
    """Make a reference and an estimate with one event in each of about `tags` classes per video."""
    generator = np.random.default_rng(seed)
    marked = generator.random((videos, 1, 1, CLASSES)) < tags / CLASSES
    shape = (2, 2, videos, 1, 2, CLASSES)
    start, stop = np.sort(
        generator.integers(0, SEGMENTS + 1, shape, dtype=np.int8), axis=0
    )
    second = np.arange(SEGMENTS, dtype=np.int8)[:, None, None]
    reference, estimate = ((start <= second) & (second < stop)) & marked
    return reference, estimate


def coin_flips(videos: int, *, seed: int = 0) -> Grids:
    """Make a reference and an estimate in which each cell is marked with probability 0.5: many short events."""
    generator = np.random.default_rng(seed)
    shape = videos, SEGMENTS, 2, CLASSES
    reference, estimate = (
        generator.integers(0, 2, shape, dtype=np.int8).view(bool) for _ in range(2)
    )
    return reference, estimate


KINDS: dict[str, Callable[[int], Grids]] = {
    "2 classes per video": lambda videos: tagged(videos, tags=2),
    "5 classes per video": lambda videos: tagged(videos, tags=5),
    "all classes, one event each": lambda videos: tagged(videos, tags=CLASSES),
    "random cells": coin_flips,
}


def milliseconds(work: Callable[[], object], repeats: int) -> float:
    """Measure the median CPU milliseconds of several calls."""
    work()  # the first call loads modules
    taken = []
    for _ in range(repeats):
        start = time.process_time()
        work()
        taken.append(time.process_time() - start)
    return 1000 * float(np.median(taken))


def peak_megabytes(work: Callable[[], object]) -> float:
    """Measure the peak memory that a call allocates in addition to its input."""
    tracemalloc.start()
    work()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak / 1e6


def speed_rows() -> list[str]:
    rows = []
    for name, grids in KINDS.items():
        for videos in SIZES:
            pair = grids(videos)
            taken = milliseconds(
                lambda pair=pair: llp_scores(*pair).percent(), max(3, 30_000 // videos)
            )
            peak = peak_megabytes(lambda pair=pair: llp_scores(*pair).percent())
            size = sum(grid.nbytes for grid in pair) / 1e6
            rows.append(
                f"| {name} | {videos:,} | {taken:.1f} | {peak:.1f} | {size:.0f} |"
            )
    return rows


def agreement_rows() -> list[str]:
    rows = []
    for name, grids in KINDS.items():
        pair = grids(COMPARED)
        lists = [grid.tolist() for grid in pair]
        fast = milliseconds(lambda pair=pair: llp_scores(*pair).percent(), 25)
        ours = llp_scores(*pair).percent()
        start = time.process_time()
        theirs = oracle.llp(*lists)
        slow = 1000 * (time.process_time() - start)
        difference = max(
            abs(ours[level][kind] - theirs[level][kind])
            for level in ours
            for kind in ours[level]
        )
        rows.append(f"| {name} | {fast:.1f} | {slow:.0f} | {difference:.0e} |")
    return rows


def report() -> str:
    lines = [
        f"# The ten LLP scores: {SEGMENTS} segments, {CLASSES} classes, one core",
        "",
        f"Python {platform.python_version()}, NumPy {np.__version__}, {platform.machine()}.",
        "CPU time, median of several runs; the peak memory excludes the two grids.",
        "",
        "| marked | videos | ms | peak MB | grids MB |",
        "|---|---:|---:|---:|---:|",
        *speed_rows(),
        "",
        f"Compared with a plain Python version, {COMPARED:,} videos:",
        "",
        "| marked | ms | plain Python ms | largest difference in points |",
        "|---|---:|---:|---:|",
        *agreement_rows(),
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--write",
        action="store_true",
        help=f"write the tables to benchmarks/results/{RESULTS.name}",
    )
    write, text = parser.parse_args().write, report()
    print(text, end="")
    if write:
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()

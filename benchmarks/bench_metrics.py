"""Time and memory of the ten LLP numbers on one core, and how far they are from the plain restatement of the tests.

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
    """A reference and an estimate with one run in each of about `tags` classes a video."""
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
    """Every cell of every class is marked or not by chance: as many and as short runs as it gets."""
    generator = np.random.default_rng(seed)
    shape = videos, SEGMENTS, 2, CLASSES
    reference, estimate = (
        generator.integers(0, 2, shape, dtype=np.int8).view(bool) for _ in range(2)
    )
    return reference, estimate


KINDS: dict[str, Callable[[int], Grids]] = {
    "2 classes a video": lambda videos: tagged(videos, tags=2),
    "5 classes a video": lambda videos: tagged(videos, tags=5),
    "all classes, one run each": lambda videos: tagged(videos, tags=CLASSES),
    "all cells by chance": coin_flips,
}


def milliseconds(work: Callable[[], object], repeats: int) -> float:
    """The median of several runs, in CPU time."""
    work()  # the first call loads what the others find loaded
    taken = []
    for _ in range(repeats):
        begun = time.process_time()
        work()
        taken.append(time.process_time() - begun)
    return 1000 * float(np.median(taken))


def peak_megabytes(work: Callable[[], object]) -> float:
    """What the work allocates at most, on top of its input."""
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
        begun = time.process_time()
        theirs = oracle.llp(*lists)
        slow = 1000 * (time.process_time() - begun)
        apart = max(
            abs(ours[level][kind] - theirs[level][kind])
            for level in ours
            for kind in ours[level]
        )
        rows.append(f"| {name} | {fast:.1f} | {slow:.0f} | {apart:.0e} |")
    return rows


def report() -> str:
    lines = [
        f"# The ten LLP numbers: {SEGMENTS} segments, {CLASSES} classes, one core",
        "",
        f"Python {platform.python_version()}, NumPy {np.__version__}, {platform.machine()}.",
        "CPU time, median of several runs; memory is the peak on top of the two grids.",
        "",
        "| marked | videos | ms | peak MB | grids MB |",
        "|---|---:|---:|---:|---:|",
        *speed_rows(),
        "",
        f"Against a plain Python restatement, {COMPARED:,} videos:",
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
        help=f"keep the tables in benchmarks/results/{RESULTS.name}",
    )
    write, text = parser.parse_args().write, report()
    print(text, end="")
    if write:
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()

"""Time the ten LLP numbers on one core, against the plain restatement of the tests.

python benchmarks/bench_metrics.py
"""

import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.oracles import llp as oracle

from vaplan.metrics.llp import llp

VIDEOS, SEGMENTS, CLASSES = 1200, 10, 25


def grids(tags: int, *, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """A reference and an estimate with runs, in `tags` classes a video."""
    generator = np.random.default_rng(seed)
    tagged = generator.random((VIDEOS, 1, 1, CLASSES)) < tags / CLASSES
    start, stop = np.sort(generator.integers(0, SEGMENTS + 1, (2, 2, VIDEOS, 1, 2, CLASSES)), axis=0)
    second = np.arange(SEGMENTS)[:, None, None]
    reference, estimate = ((start <= second) & (second < stop)) & tagged
    return reference, estimate


def milliseconds(work: Callable[[], object], repeats: int) -> float:
    """The median of several runs, in CPU time."""
    taken = []
    for _ in range(repeats):
        begun = time.process_time()
        work()
        taken.append(time.process_time() - begun)
    return 1000 * float(np.median(taken))


def main() -> None:
    print(f"{VIDEOS} videos, {SEGMENTS} segments, {CLASSES} classes\n")
    print("| classes a video | ms | plain Python ms | largest difference |")
    print("|---|---|---|---|")
    for tags in (2, 5, CLASSES):
        reference, estimate = grids(tags)
        fast = milliseconds(lambda pair=(reference, estimate): llp(*pair), 15)
        ours = llp(reference, estimate)
        lists = reference.tolist(), estimate.tolist()
        slow = milliseconds(lambda lists=lists: oracle.llp(*lists), 1)
        theirs = oracle.llp(*lists)
        apart = max(abs(ours[level][kind] - theirs[level][kind]) for level in ours for kind in ours[level])
        print(f"| {tags} | {fast:.1f} | {slow:.0f} | {apart:.0e} |")


if __name__ == "__main__":
    main()

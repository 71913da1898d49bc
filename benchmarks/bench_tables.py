"""Measure the time and memory of reading and checking large tables: `python benchmarks/bench_tables.py [--rows N]`.

Each row of the result is measured in a new process: CPU seconds without imports, and peak memory.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from vaplan.annotations.rows import Row
from vaplan.annotations.table import write_rows

WORKS = {
    "read": "from vaplan.annotations import read_table as work",
    "read and check": "from vaplan import stages\ndef work(path): return stages.check(f'table:{path}')",
    "read and make a grid": "from vaplan import read_table\ndef work(path): return read_table(path).reference(10)",
}
MEASURE = """
import resource, sys, time
from pathlib import Path
{work}
start = time.process_time()
work(Path(sys.argv[1]))
print(time.process_time() - start, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""


def write(path: Path, rows: int) -> Path:
    """Write a table of events: ten per video, 25 classes."""
    generator = np.random.default_rng(0)
    starts, classes, scores = (
        generator.integers(0, 9, rows),
        generator.integers(0, 25, rows),
        generator.random(rows),
    )
    modalities = ("audio", "visual")
    return write_rows(
        path,
        (
            Row(
                f"video{n // 10:07d}",
                modalities[n % 2],
                f"Class{c} {n % 10}",
                float(s),
                float(s + 1),
                float(x),
            )
            for n, (s, c, x) in enumerate(zip(starts, classes, scores, strict=True))
        ),
    )


def main(rows: int) -> None:
    print(f"{rows:,} rows\n")
    print("| table | work | CPU s | peak MiB |")
    print("|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for suffix in (".csv", ".parquet"):
            path = write(Path(folder, f"table{suffix}"), rows)
            for name, work in WORKS.items():
                command = [sys.executable, "-c", MEASURE.format(work=work), str(path)]
                result = subprocess.run(
                    command, capture_output=True, text=True, check=True
                )
                seconds, peak = map(float, result.stdout.split())
                print(f"| {suffix} | {name} | {seconds:.1f} | {peak:.0f} |")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=200_000)
    main(parser.parse_args().rows)

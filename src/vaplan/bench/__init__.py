"""Benches: suites of trainings with several seeds, and tables and figures of their results."""

from vaplan.bench.compare_runs import compare_runs
from vaplan.bench.run import Bench, bench
from vaplan.bench.suite import Suite, read, shipped
from vaplan.bench.tables import tables, times

__all__ = [
    "Bench",
    "Suite",
    "bench",
    "compare_runs",
    "read",
    "shipped",
    "tables",
    "times",
]

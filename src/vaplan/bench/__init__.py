"""Suites of trainings side by side: one folder of files, tables with deviations and intervals,
and figures."""

from vaplan.bench.compare_runs import compare_runs
from vaplan.bench.run import Bench, bench
from vaplan.bench.suite import Swept, read, shipped
from vaplan.bench.tables import tables, times

__all__ = [
    "Bench",
    "Swept",
    "bench",
    "compare_runs",
    "read",
    "shipped",
    "tables",
    "times",
]

"""Files to annotations: weak labels, reference events, media paths and splits, all on one grid.

A reader is a function from a path to a `Sheet`, the rows of a data set; `READERS` is the registry.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from vaplan.annotations import ave, llp, table
from vaplan.annotations.annotations import Annotations, Video, annotate
from vaplan.annotations.sheet import Finding, Row, Sheet
from vaplan.annotations.table import read as read_table
from vaplan.annotations.table import read_sheet
from vaplan.errors import UsageError


class Reader(Protocol):
    """How a data set of one kind is read."""

    def __call__(self, path: Path, /, *, annotations: str = "") -> Sheet:
        """Its rows; `annotations` chooses a version where there are several."""


def _read_table(path: Path, *, annotations: str = "") -> Sheet:
    if annotations:
        raise UsageError(
            "a table has one version", file=path, fix="leave --annotations out"
        )
    return read_sheet(path)


READERS: Mapping[str, Reader] = {"ave": ave.read, "llp": llp.read, "table": _read_table}

__all__ = [
    "READERS",
    "Annotations",
    "Finding",
    "Row",
    "Sheet",
    "Video",
    "annotate",
    "read_sheet",
    "read_table",
    "table",
]

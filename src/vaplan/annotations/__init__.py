"""Files to annotations: weak labels, reference events, media paths and splits, all on one grid.

A reader is a function from a path to `Annotations`; `READERS` is the registry.
"""

from collections.abc import Callable
from pathlib import Path

from vaplan.annotations.annotations import Annotations, Video
from vaplan.annotations.table import read as read_table

READERS: dict[str, Callable[[Path], Annotations]] = {"table": read_table}

__all__ = ["READERS", "Annotations", "Video", "read_table"]

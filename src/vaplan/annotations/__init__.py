"""Annotations of data sets: weak labels, reference events, media paths and splits.

A reader turns files into `AnnotationRows`; `merge_rows` turns these into `Annotations`.
`READERS` lists the readers by the kind of data set.
"""

from vaplan.annotations.annotations import Annotations, Video, merge_rows
from vaplan.annotations.rows import AnnotationRows, Issue, Row
from vaplan.annotations.sources import READERS, read_data, read_source
from vaplan.annotations.table import read as read_table
from vaplan.annotations.table import read_rows

__all__ = [
    "READERS",
    "AnnotationRows",
    "Annotations",
    "Issue",
    "Row",
    "Video",
    "merge_rows",
    "read_data",
    "read_rows",
    "read_source",
    "read_table",
]

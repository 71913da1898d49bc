"""Data sets by name: `KIND:PATH` on the command line and in recipes.

`READERS` maps each kind of data set to its reader. To add a kind, write a function
`read(path, *, annotations="") -> AnnotationRows` and add it here.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from vaplan.annotations import (
    activitynet,
    audioset,
    ave,
    dcase,
    llp,
    ovave,
    table,
    vggsound,
    vggsounder,
)
from vaplan.annotations.annotations import Annotations, merge_rows
from vaplan.annotations.rows import AnnotationRows
from vaplan.errors import UsageError, unknown
from vaplan.taxonomy import read_task, read_taxonomy


class Reader(Protocol):
    """A function that reads the rows of one kind of data set."""

    def __call__(self, path: Path, /, *, annotations: str = "") -> AnnotationRows:
        """Read every row; `annotations` selects a version where there are several."""


def _read_table(path: Path, *, annotations: str = "") -> AnnotationRows:
    if annotations:
        raise UsageError(
            "a table has one version only", file=path, fix="omit --annotations"
        )
    return table.read_rows(path)


READERS: Mapping[str, Reader] = {
    "activitynet": activitynet.read,
    "audioset": audioset.read,
    "ave": ave.read,
    "dcase": dcase.read,
    "llp": llp.read,
    "ovave": ovave.read,
    "table": _read_table,
    "vggsound": vggsound.read,
    "vggsounder": vggsounder.read,
}


def read_source(
    source: str, *, annotations: str = "", taxonomy: Path | None = None
) -> AnnotationRows:
    """Read the rows of a data set, before they are merged into annotations.

    Args:
        source: `KIND:PATH`, for example `table:my.csv` or `llp:data/llp`.
        annotations: Version of the annotations, for data sets that have several.
        taxonomy: Taxonomy file for a table. Its classes need not occur in the table.

    Raises:
        UsageError: `source` is not `KIND:PATH`, or the kind has a fixed taxonomy.
        AnnotationError: A file cannot be read; the error names file and line.
    """
    kind, colon, path = source.partition(":")
    if not colon or not path:
        examples = ", ".join(f"{kind}:PATH" for kind in READERS)
        raise UsageError(f"{source!r} is not a data set", fix=f"write {examples}")
    if kind not in READERS:
        raise UsageError(unknown("kind of data set", kind, READERS))
    if taxonomy is None:
        return READERS[kind](Path(path), annotations=annotations)
    if kind != "table":
        raise UsageError(
            f"data sets of kind {kind} have a fixed list of classes",
            file=taxonomy,
            fix="change their prompts with --prompts, or list the videos in a table",
        )
    rows = table.read_rows(Path(path), taxonomy=read_taxonomy(taxonomy))
    return replace(
        rows,
        files=(*rows.files, taxonomy),
        localisation=read_task(taxonomy) == "localisation",
    )


def read_data(
    source: str, *, annotations: str = "", taxonomy: Path | str | None = None
) -> Annotations:
    """Read the annotations of a data set: videos, tags, splits and events.

    Args:
        source: `KIND:PATH`, for example `table:my.csv`, `llp:data/llp` or `ave:data/ave`.
        annotations: Version of the annotations, for data sets that have several.
        taxonomy: Taxonomy file for a table. Its classes need not occur in the table.

    Raises:
        UsageError: `source` is not `KIND:PATH`, or the kind has a fixed taxonomy.
        AnnotationError: A file cannot be read; the error names file and line.
    """
    taxonomy_file = None if taxonomy is None else Path(taxonomy)
    return merge_rows(
        read_source(source, annotations=annotations, taxonomy=taxonomy_file)
    )

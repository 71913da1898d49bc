"""The one table: `video, modality, class, onset, offset, score, path, split`; CSV or Parquet.

Only the video and the class (or a list of tags) must be there; `columns` lists the header names
that are understood. A row with a modality and times is an event; a row with a class alone is a
weak label, and so is a row with times in a table without modalities; a row with no class says
that the video was looked at.
"""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from vaplan.annotations.annotations import Annotations, merge_rows
from vaplan.annotations.columns import Cells, Columns, read_columns, video_id
from vaplan.annotations.fields import check_id, check_text, number, seconds
from vaplan.annotations.rows import BOTH, AnnotationRows, Row
from vaplan.annotations.tags import read_tags
from vaplan.errors import AnnotationError, UsageError, unknown
from vaplan.modalities import MODALITIES
from vaplan.objects import exists
from vaplan.taxonomy import Taxonomy, from_names, read_task, read_taxonomy
from vaplan.timeline import Event
from vaplan.writing import write_atomically, write_text

COLUMNS = ("video", "modality", "class", "onset", "offset", "score")
OPTIONAL = ("path", "split")
SUFFIXES = (".csv", ".parquet")
TAXONOMY_SUFFIXES = (".taxonomy.yaml", ".taxonomy.yml", ".taxonomy.csv")


def event_rows(
    video: str, events: Iterable[Event], *, together: bool = False
) -> list[Row]:
    """Make the rows of one video; a video without events has one empty row.

    Args:
        together: Every event is in both modalities alike; write one row for the two.
    """
    written_events = [e for e in events if not together or e.modality == MODALITIES[0]]
    rows = [
        Row(
            video,
            BOTH if together else e.modality,
            e.class_name,
            e.onset,
            e.offset,
            e.score,
        )
        for e in written_events
    ]
    return rows or [Row(video)]


def check_suffix(path: Path) -> Path:
    """Check the path of a table to write."""
    if path.suffix not in SUFFIXES:
        raise UsageError(
            f"a table cannot end with {path.suffix!r}",
            file=path,
            fix=f"use {' or '.join(SUFFIXES)}",
        )
    return path


def write_rows(path: Path, rows: Iterable[Row]) -> Path:
    """Write a table atomically; its name ends with `.csv` or `.parquet`.

    Args:
        path: File to read or write.
        rows: Rows of the table.
    """
    check_suffix(path)
    rows = list(rows)
    wide = any(row.path or row.split for row in rows)
    names = COLUMNS + (OPTIONAL if wide else ())
    columns = {
        name: [getattr(row, "class_name" if name == "class" else name) for row in rows]
        for name in names
    }
    if path.suffix == ".parquet":
        return write_atomically(
            path, lambda temporary: _write_parquet(temporary, columns)
        )
    return write_text(path, _csv(columns))


def _csv(columns: Mapping[str, Sequence[object]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    for values in zip(*columns.values(), strict=True):
        writer.writerow(
            "" if v is None else f"{v:.10g}" if isinstance(v, float) else v
            for v in values
        )
    return text.getvalue()


def _write_parquet(path: Path, columns: Mapping[str, Sequence[object]]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    numbers = ("onset", "offset", "score")
    fields = [
        (name, pa.float64() if name in numbers else pa.string()) for name in columns
    ]
    table = pa.table(dict(columns), schema=pa.schema(fields))
    pq.write_table(table, path)


def read(
    path: Path | str,
    *,
    taxonomy: Taxonomy | None = None,
    needs_modality: bool = False,
) -> Annotations:
    """Read a table as annotations; see `read_rows`.

    Args:
        path: Table, CSV or Parquet.
        taxonomy: Classes to expect; by default from the taxonomy file or the rows.
        needs_modality: The table must say in which modality its events are.

    Raises:
        AnnotationError: A column is missing, or a row cannot be right.
    """
    return merge_rows(
        read_rows(Path(path), taxonomy=taxonomy, needs_modality=needs_modality)
    )


def read_rows(
    path: Path,
    *,
    taxonomy: Taxonomy | None = None,
    may_be_empty: bool = False,
    needs_modality: bool = False,
) -> AnnotationRows:
    """Read and check every row; errors give the file, the line, the value and a fix.

    Args:
        path: Table, CSV or Parquet.
        taxonomy: The classes to expect. Without it they come from the file beside the table with
            the same name and the ending `.taxonomy.yaml` or `.taxonomy.csv`, which also says
            whether the task is localisation; without that, they are the table's own, sorted.
        may_be_empty: A table of results may hold a header alone.
        needs_modality: A table of results or of labels of segments must say in which modality
            its events are.

    Raises:
        AnnotationError: A column is missing, or a row cannot be right.
    """
    columns, rows = checked_rows(path, needs_modality=needs_modality)
    if not rows and not may_be_empty:
        raise AnnotationError(
            "the table has no rows", file=path, fix="add one row per label"
        )
    taxonomy_path = taxonomy_file(path) if taxonomy is None else None
    if taxonomy_path:
        taxonomy = read_taxonomy(taxonomy_path)
    if taxonomy is None:
        _refuse_look_alikes(path, rows)
        taxonomy = _own_classes(path, rows)
    _check_classes(path, rows, frozenset(taxonomy.classes))
    path_of = {row.video: row.path for row in rows if row.path}
    return AnnotationRows(
        source=path,
        taxonomy=taxonomy,
        rows=rows,
        version=path.name,
        files=(path, taxonomy_path) if taxonomy_path else (path,),
        localisation=taxonomy_path is not None
        and read_task(taxonomy_path) == "localisation",
        recording=lambda video: path_of.get(video, video),
        columns=columns.names(),
    )


def find_line(path: Path, video: str, event: Event) -> int | None:
    """Find the line of an event in a table.

    Args:
        path: File that the event was read from.
        video: Id of its video.
        event: The event; of merged rows the first one counts.

    Returns:
        Number of the line; None if the file is not a table or has no such row.
    """
    if not path.is_file() or path.suffix not in SUFFIXES:
        return None
    for row in checked_rows(path)[1]:
        is_same = (row.video, row.class_name) == (video, event.class_name)
        if is_same and row.marks and row.span[0] == event.onset:
            return row.line
    return None


def _own_classes(path: Path, rows: Iterable[Row]) -> Taxonomy:
    try:
        return from_names([row.class_name for row in rows if row.class_name])
    except AnnotationError as error:  # no class, or far too many
        raise AnnotationError(error.what, fix=error.fix, file=path) from error


def checked_rows(
    path: Path, *, needs_modality: bool = False
) -> tuple[Columns, Sequence[Row]]:
    """Read the columns and the rows of a table, whatever its classes are.

    Args:
        path: Table, CSV or Parquet.
        needs_modality: The table must say in which modality its events are.

    Raises:
        AnnotationError: A column is missing, a row cannot be right, or two rows contradict
            each other.
    """
    columns, rows = _rows(path)
    if needs_modality and "modality" not in columns:
        raise AnnotationError(
            f"column 'modality' is missing; columns: {', '.join(columns.header)}",
            file=path,
            line=1,
            fix=f"add it, with {MODALITIES[0]}, {MODALITIES[1]} or {BOTH} for each event",
        )
    _check_agreement(path, rows)
    return columns, rows


def taxonomy_file(table: Path) -> Path | None:
    """Find the taxonomy file of a table: in the same folder, with the same name."""
    candidates = [
        path
        for suffix in TAXONOMY_SUFFIXES
        if exists(path := table.with_suffix(suffix))
    ]
    if len(candidates) > 1:
        raise AnnotationError(
            f"and {candidates[1].name} both belong to {table.name}",
            file=candidates[0],
            fix="keep one",
        )
    return candidates[0] if candidates else None


def _check_classes(path: Path, rows: Iterable[Row], classes: frozenset[str]) -> None:
    for row in rows:
        if row.class_name and row.class_name not in classes:
            fix = "add the class to the taxonomy, or leave its rows out"
            raise AnnotationError(
                unknown("class", row.class_name, classes),
                file=path,
                line=row.line,
                fix=fix,
            )


def _refuse_look_alikes(path: Path, rows: Iterable[Row]) -> None:
    """Two classes that differ in case alone are a slip: they would split one class's evidence in
    two."""
    first_row_of: dict[str, Row] = {}
    for row in rows:
        first = first_row_of.setdefault(row.class_name.casefold(), row)
        if first.class_name != row.class_name:
            what = f"class {row.class_name!r} is written {first.class_name!r} in line {first.line}"
            raise AnnotationError(
                what, file=path, line=row.line, fix="write a class in one way"
            )


def _check_agreement(path: Path, rows: Iterable[Row]) -> None:
    """A video has one path and one split, and an event one score."""
    first_row, scores = dict[str, Row](), dict[tuple[object, ...], Row]()
    for row in rows:
        first = first_row.setdefault(row.video, row)
        for name in OPTIONAL:
            earlier_value, now = getattr(first, name), getattr(row, name)
            if now and earlier_value != now:
                what = (
                    f"video {row.video!r} has {name} {now!r} here and "
                    f"{earlier_value!r} in line {first.line}"
                )
                raise AnnotationError(
                    what, file=path, line=row.line, fix=f"give it one {name}"
                )
        if row.score is not None:
            same = scores.setdefault(
                (row.video, row.modality, row.class_name, row.onset, row.offset), row
            )
            if same.score != row.score:
                what = (
                    f"the event of line {same.line} again, with score {row.score:g} "
                    f"and not {same.score:g}"
                )
                raise AnnotationError(
                    what, file=path, line=row.line, fix="keep one of the two"
                )


def _rows(path: Path) -> tuple[Columns, Sequence[Row]]:
    """Read the columns and every checked row."""
    columns, lines = read_columns(path)
    if "tags" in columns:
        return columns, read_tags(path)
    read_row = _RowReader(path, has_modality="modality" in columns)
    return columns, [read_row(line, cells) for line, cells in lines]


class _RowReader:
    """Reads the rows of a table; texts that occur in many rows are checked once."""

    def __init__(self, path: Path, *, has_modality: bool) -> None:
        self.path = path
        self.has_modality = has_modality
        self.videos = set[str]()  # that were checked
        self.texts = set[tuple[str, ...]]()  # of a row, that were checked together
        self.times = dict[str, float | None]()  # by their text

    def __call__(self, line: int, cells: Cells) -> Row:
        video = video_id(cells)
        name = cells["class"]
        modality = cells.get("modality", "")
        path = cells.get("path", "")
        split = cells.get("split", "")
        score = cells.get("score", "")
        if video not in self.videos:
            check_id(video, file=self.path, line=line)
            self.videos.add(video)
        texts = (name, path, split, modality)
        if texts not in self.texts:
            self._check_texts(line, *texts)
            self.texts.add(texts)

        onset = self._time(line, "onset", cells.get("onset", ""))
        offset = self._time(line, "offset", cells.get("offset", ""))
        if modality or onset is not None or offset is not None:
            self._check_event(line, modality, name, onset, offset)
        return Row(
            video,
            modality,
            name,
            onset,
            offset,
            number("score", score, file=self.path, line=line) if score else None,
            path,
            split,
            line,
            self.path,
        )

    def _check_texts(
        self, line: int, name: str, path: str, split: str, modality: str
    ) -> None:
        texts = {"class": name, "path": path, "split": split}
        for column, text in texts.items():
            check_text(column, text, file=self.path, line=line)

        modalities = [*MODALITIES, BOTH]
        if modality and modality not in modalities:
            what = unknown("modality", modality, modalities)
            raise self._error(line, what, "leave it empty for a weak label")

    def _time(self, line: int, column: str, text: str) -> float | None:
        if text not in self.times:
            self.times[text] = seconds(column, text, file=self.path, line=line)
        return self.times[text]

    def _check_event(
        self,
        line: int,
        modality: str,
        name: str,
        onset: float | None,
        offset: float | None,
    ) -> None:
        if not name or onset is None or offset is None:
            raise self._error(
                line,
                "an event needs class, onset and offset",
                fix="fill them, or empty modality and times for a weak label",
            )
        if onset >= offset:
            raise self._error(
                line,
                f"onset {onset:g} s must come before offset {offset:g} s",
                fix="swap them or delete the row",
            )
        if self.has_modality and not modality:
            raise self._error(
                line,
                "times without a modality",
                f"write {MODALITIES[0]}, {MODALITIES[1]} or {BOTH}",
            )

    def _error(self, line: int, what: str, fix: str) -> AnnotationError:
        return AnnotationError(what, file=self.path, line=line, fix=fix)

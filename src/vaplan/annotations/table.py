"""The one table: `video, modality, class, onset, offset, score`, and optionally `path, split`;
CSV or Parquet.

A row with a modality and times is an event; a row with a class alone is a weak label; a row with
no class says that the video was looked at. Every field is read as text first, so nothing turns
into a missing value by chance.
"""

import csv
import io
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from vaplan.annotations.annotations import Annotations, merge_rows
from vaplan.annotations.rows import BOTH, AnnotationRows, Row
from vaplan.errors import AnnotationError, UsageError, unknown
from vaplan.modalities import MODALITIES
from vaplan.reading import csv_text
from vaplan.taxonomy import Taxonomy, from_names, read_task, read_taxonomy
from vaplan.timeline import Event
from vaplan.writing import write_atomically, write_text

COLUMNS = ("video", "modality", "class", "onset", "offset", "score")
OPTIONAL = ("path", "split")
SUFFIXES = (".csv", ".parquet")
DELIMITERS = ",;\t|"
NOT_A_NAME = frozenset(
    "nan null none na n/a #n/a <na>".split()
)  # what other programs write for an empty cell
LONGEST_ID = 1_000
LONGEST_SECONDS = 48 * 3600.0  # of a video; larger times are typing errors
TAXONOMY_SUFFIXES = (".taxonomy.yaml", ".taxonomy.yml", ".taxonomy.csv")


def event_rows(
    video: str, events: Iterable[Event], *, together: bool = False
) -> list[Row]:
    """Make the rows of one video; a video without events has one empty row.

    Args:
        video: Id of the video.
        events: Events of the video.
        together: Write one row for the two modalities; every event must be in both.
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
    """Check that the name of a table ends with `.csv` or `.parquet`, and return its path."""
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
    pq.write_table(pa.table(dict(columns), schema=pa.schema(fields)), path)


def read(path: Path | str, *, taxonomy: Taxonomy | None = None) -> Annotations:
    """Read a table as annotations; see `read_rows`.

    Args:
        path: Table, CSV or Parquet.
        taxonomy: Classes to expect; by default from the taxonomy file or the rows.
    """
    return merge_rows(read_rows(Path(path), taxonomy=taxonomy))


def read_rows(
    path: Path, *, taxonomy: Taxonomy | None = None, may_be_empty: bool = False
) -> AnnotationRows:
    """Read and check every row; errors give the file, the line, the value and a fix.

    Args:
        taxonomy: The classes to expect. Without it they come from the file beside the table with
            the same name and the ending `.taxonomy.yaml` or `.taxonomy.csv`, which also says
            whether the task is localisation; without that, they are the table's own, sorted.
        may_be_empty: A table of results may hold a header alone.
    """
    rows = list(_rows(path))
    if not rows and not may_be_empty:
        raise AnnotationError(
            "the table has no rows", file=path, fix="add one row per label"
        )
    taxonomy_path = taxonomy_file(path) if taxonomy is None else None
    if taxonomy_path:
        taxonomy = read_taxonomy(taxonomy_path)
    if taxonomy is None:
        _refuse_look_alikes(path, rows)
        taxonomy = from_names([row.class_name for row in rows if row.class_name])
    _check_classes(path, rows, frozenset(taxonomy.classes))
    _check_agreement(path, rows)
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
    )


def taxonomy_file(table: Path) -> Path | None:
    """Find the taxonomy file of a table: in the same folder, with the same name."""
    candidates = [
        path
        for suffix in TAXONOMY_SUFFIXES
        if (path := table.with_suffix(suffix)).exists()
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


def _rows(path: Path) -> Iterator[Row]:
    """Yield every checked row (Parquet: lines count from 2, as in a CSV)."""
    header, lines = (
        _parquet_text(path) if path.suffix == ".parquet" else _delimited(path)
    )
    absent = [name for name in COLUMNS if name not in header]
    if absent:
        what = f"column {absent[0]!r} is missing; found: {', '.join(header)}"
        raise AnnotationError(
            what, file=path, line=1, fix=f"name the columns {','.join(COLUMNS)}"
        )
    twice = [name for name in (*COLUMNS, *OPTIONAL) if header.count(name) > 1]
    if twice:
        raise AnnotationError(
            f"column {twice[0]!r} stands there twice",
            file=path,
            line=1,
            fix="keep one of the two",
        )
    for line, values in lines:
        if len(values) != len(header):
            what = f"{len(values)} fields where the header has {len(header)}"
            raise AnnotationError(
                what, file=path, line=line, fix="quote fields that hold commas"
            )
        yield _row(path, line, dict(zip(header, values, strict=True)))


def _delimited(path: Path) -> tuple[list[str], Iterator[tuple[int, list[str]]]]:
    """The file by the first delimiter that shows the column `video`; spreadsheets write several."""
    for delimiter in DELIMITERS:
        header, lines = csv_text(path, delimiter=delimiter)
        if len(header) > 1 and COLUMNS[0] in header:
            return header, lines
    return csv_text(path)


def _parquet_text(path: Path) -> tuple[list[str], Iterator[tuple[int, list[str]]]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.ParquetFile(path).read()
    except (OSError, pa.ArrowException) as error:
        raise AnnotationError(
            f"not a Parquet table: {error}", file=path, fix="check the path"
        ) from error
    columns = [
        ["" if v is None else str(v) for v in column.to_pylist()]
        for column in table.columns
    ]
    return table.column_names, (
        (n, list(row)) for n, row in enumerate(zip(*columns, strict=True), start=2)
    )


def _row(path: Path, line: int, cells: Mapping[str, str]) -> Row:
    def fail(what: str, fix: str) -> AnnotationError:
        return AnnotationError(what, file=path, line=line, fix=fix)

    video, modality, name = cells["video"], cells["modality"], cells["class"]
    check_id(video, file=path, line=line)
    for column in ("class", *OPTIONAL):
        check_text(column, cells.get(column, ""), file=path, line=line)
    if modality not in ("", *MODALITIES, BOTH):
        raise fail(
            unknown("modality", modality, [*MODALITIES, BOTH]),
            "leave it empty for a weak label",
        )
    onset, offset = (
        seconds(key, cells[key], file=path, line=line) for key in ("onset", "offset")
    )
    score = (
        number("score", cells["score"], file=path, line=line)
        if cells["score"]
        else None
    )
    if modality:
        if not name or onset is None or offset is None:
            raise fail(
                "an event needs class, onset and offset",
                "fill them, or empty the modality for a weak label",
            )
        if onset >= offset:
            raise fail(
                f"onset {onset:g} s must come before offset {offset:g} s",
                "swap them or delete the row",
            )
    elif onset is not None or offset is not None:
        raise fail(
            "times without a modality",
            f"write {MODALITIES[0]}, {MODALITIES[1]} or {BOTH}",
        )
    return Row(
        video,
        modality,
        name,
        onset,
        offset,
        score,
        cells.get("path", ""),
        cells.get("split", ""),
        line,
        path,
    )


def check_id(video: str, *, file: Path, line: int) -> None:
    """Check the grammar of a video id.

    An id is printable text of at most 1,000 characters. It may be a path such as
    `2019/beach/0001`, but it does not begin or end with `/` and has no part `.` or `..`.

    Args:
        video: Id of the video.
        file: File, for errors.
        line: Line, for errors.

    Raises:
        AnnotationError: The id cannot be used.
    """
    if not video:
        raise AnnotationError(
            "a row without a video id", file=file, line=line, fix="name the video"
        )
    has_wrong_part = any(part in ("", ".", "..") for part in video.split("/"))
    is_usable = video.isprintable() and "\\" not in video and not has_wrong_part
    if not is_usable or len(video) > LONGEST_ID:
        raise AnnotationError(
            f"video id {video[:60]!r} cannot be used",
            file=file,
            line=line,
            fix="use letters, digits, '-', '_' and '.', and '/' between folders",
        )
    if video.casefold() in NOT_A_NAME:
        raise AnnotationError(
            f"video id {video!r} stands for an empty cell",
            file=file,
            line=line,
            fix="name the video",
        )


def check_text(column: str, text: str, *, file: Path, line: int) -> None:
    """A class, a path or a split is printable and not another program's word for nothing.

    Args:
        column: Name of the column, for errors.
        text: Text of the field.
        file: File, for errors.
        line: Line, for errors.
    """
    if not text.isprintable():
        what = f"{column} {text[:60]!r} holds control characters"
        raise AnnotationError(what, file=file, line=line, fix="write plain text")
    if text.casefold() in NOT_A_NAME:
        what = f"{column} is {text!r}, which other programs write for an empty cell"
        raise AnnotationError(
            what, file=file, line=line, fix="leave it empty, or use another name"
        )


def seconds(column: str, text: str, *, file: Path, line: int) -> float | None:
    """Read a time in seconds from a field that may be empty.

    Args:
        column: Name of the column, for errors.
        text: Text of the field.
        file: File, for errors.
        line: Line, for errors.

    Raises:
        AnnotationError: The time is negative, longer than 48 hours, or not a number.
    """
    if not text:
        return None
    expected = f"a number of seconds from 0 to {LONGEST_SECONDS:,.0f} (48 hours)"
    value = number(column, text, file=file, line=line, expected=expected)
    if not 0 <= value <= LONGEST_SECONDS:
        raise AnnotationError(
            f"{column} is {text!r}, expected {expected}",
            file=file,
            line=line,
            fix="write a plain number such as 3.5",
        )
    return value


def number(
    column: str, text: str, *, file: Path, line: int, expected: str = "a number"
) -> float:
    """Read a finite number, written with ASCII digits.

    Args:
        column: Name of the column, for errors.
        text: Text of the field.
        file: File, for errors.
        line: Line, for errors.
        expected: Description of valid values, for errors.

    Raises:
        AnnotationError: The text is not a finite number.
    """
    value = math.nan
    if text.isascii() and "_" not in text:  # Python would also read １ and 1_0
        with suppress(ValueError):
            value = float(text)
    if not math.isfinite(value):
        raise AnnotationError(
            f"{column} is {text!r}, expected {expected}",
            file=file,
            line=line,
            fix="write a plain number such as 3.5",
        )
    return value

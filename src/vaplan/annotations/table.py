"""The one table: `video, modality, class, onset, offset, score`, and optionally `path, split`; CSV or Parquet.

A row with a modality and times is an event; a row with a class alone is a weak label; a row with no class says that
the video was looked at. Every field is read as text first, so nothing turns into a missing value by chance.
"""

import csv
import io
import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from vaplan.annotations.annotations import Annotations, Video
from vaplan.arrays import MODALITIES
from vaplan.errors import AnnotationError, UsageError, unknown
from vaplan.files import write_text, write_whole
from vaplan.taxonomy import Taxonomy, from_names
from vaplan.timeline import Event, merge

COLUMNS = ("video", "modality", "class", "onset", "offset", "score")
OPTIONAL = ("path", "split")
SUFFIXES = (".csv", ".parquet")
BOTH = "both"  # stands for one row in each modality


@dataclass(frozen=True)
class Row:
    """One row; `line` is where it stood in the file it was read from."""

    video: str
    modality: str = ""
    class_name: str = ""
    onset: float | None = None
    offset: float | None = None
    score: float | None = None
    path: str = ""
    split: str = ""
    line: int = 0


def event_rows(video: str, events: Iterable[Event]) -> list[Row]:
    """The rows of one video; a video without events has one row that says so."""
    rows = [Row(video, e.modality, e.class_name, e.onset, e.offset, e.score) for e in events]
    return rows or [Row(video)]


def write_rows(path: Path, rows: Iterable[Row]) -> Path:
    """Write the table, beside first and then renamed; its name ends with `.csv` or `.parquet`."""
    if path.suffix not in SUFFIXES:
        raise UsageError(f"a table cannot end with {path.suffix!r}", file=path, fix=f"use {' or '.join(SUFFIXES)}")
    rows = list(rows)
    wide = any(row.path or row.split for row in rows)
    names = COLUMNS + (OPTIONAL if wide else ())
    columns = {name: [getattr(row, "class_name" if name == "class" else name) for row in rows] for name in names}
    if path.suffix == ".parquet":
        return write_whole(path, lambda beside: _write_parquet(beside, columns))
    return write_text(path, _csv(columns))


def _csv(columns: Mapping[str, Sequence[object]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    for values in zip(*columns.values(), strict=True):
        writer.writerow("" if v is None else f"{v:.10g}" if isinstance(v, float) else v for v in values)
    return text.getvalue()


def _write_parquet(path: Path, columns: Mapping[str, Sequence[object]]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    numbers = ("onset", "offset", "score")
    fields = [(name, pa.float64() if name in numbers else pa.string()) for name in columns]
    pq.write_table(pa.table(dict(columns), schema=pa.schema(fields)), path)


def read_rows(path: Path) -> list[Row]:
    """Read and check every row; a fault names the file, the line, the value and what to do."""
    rows = list(_parsed(path))
    if not rows:
        raise AnnotationError("the table has no rows", file=path, fix="add one row per label")
    return rows


def read(path: Path, *, taxonomy: Taxonomy | None = None) -> Annotations:
    """Read a table as annotations.

    Args:
        taxonomy: The classes to expect; without it they are the distinct classes of the table, sorted.
    """
    rows = read_rows(path)
    taxonomy = taxonomy or from_names(row.class_name for row in rows if row.class_name)
    known = frozenset(taxonomy.classes)
    tags, events, about = (
        defaultdict[str, list[str]](list),
        defaultdict[str, list[Event]](list),
        dict[str, Row](),
    )
    for row in rows:
        first = about.setdefault(row.video, row)
        _check_agreement(path, first, row)
        if row.class_name and row.class_name not in known:
            raise AnnotationError(unknown("class", row.class_name, known), file=path, line=row.line)
        if row.modality:
            events[row.video] += _events(row)
        elif row.class_name:
            tags[row.video].append(row.class_name)
        else:
            events[row.video] += []
    videos = (_video(row, tags.get(video), events.get(video, [])) for video, row in about.items())
    return Annotations(taxonomy, tuple(videos), {v: merge(e) for v, e in events.items()}, path)


def _video(row: Row, tags: Sequence[str] | None, events: Sequence[Event]) -> Video:
    """A densely labelled video without weak labels of its own is tagged with what occurs in it."""
    names = tags if tags is not None else sorted({event.class_name for event in events})
    return Video(row.video, tuple(dict.fromkeys(names)), row.path, row.split)


def _events(row: Row) -> list[Event]:
    modalities = MODALITIES if row.modality == BOTH else (row.modality,)
    assert row.onset is not None
    assert row.offset is not None
    return [Event(m, row.class_name, row.onset, row.offset, row.score) for m in modalities]


def _check_agreement(path: Path, first: Row, row: Row) -> None:
    for name in OPTIONAL:
        before, now = getattr(first, name), getattr(row, name)
        if now and before != now:
            what = f"video {row.video!r} has {name} {now!r} here and {before!r} in line {first.line}"
            raise AnnotationError(what, file=path, line=row.line, fix=f"give it one {name}")


def _parsed(path: Path) -> Iterator[Row]:
    for line, cells in _cells(path):
        yield _row(path, line, cells)


def _cells(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Every row as text by column name, with its line (Parquet: its row, counted from 2 as in a CSV)."""
    if path.suffix == ".parquet":
        header, lines = _parquet_text(path)
    else:
        header, lines = csv_text(path)
    absent = [name for name in COLUMNS if name not in header]
    if absent:
        what = f"column {absent[0]!r} is missing; found: {', '.join(header)}"
        raise AnnotationError(what, file=path, line=1, fix=f"name the columns {','.join(COLUMNS)}")
    for line, values in lines:
        if len(values) != len(header):
            what = f"{len(values)} fields where the header has {len(header)}"
            raise AnnotationError(what, file=path, line=line, fix="quote fields that hold commas")
        yield line, dict(zip(header, values, strict=True))


def csv_text(path: Path) -> tuple[list[str], Iterator[tuple[int, list[str]]]]:
    """The header of a comma-separated file, and its non-empty rows with their line numbers, all as text."""
    reader = csv.reader(io.StringIO(_text(path), newline=""), strict=True)

    def lines() -> Iterator[tuple[int, list[str]]]:
        last = 0
        try:
            for values in reader:
                line, last = last + 1, reader.line_num
                if values:
                    yield line, [value.strip() for value in values]
        except csv.Error as error:
            raise AnnotationError(f"not CSV: {error}", file=path, line=last + 1, fix="close the quotes") from error

    rows = lines()
    header = next(rows, None)
    if header is None:
        raise AnnotationError("the file is empty", file=path, fix=f"start it with {','.join(COLUMNS)}")
    return header[1], rows


def _text(path: Path) -> str:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise AnnotationError(f"cannot read: {error.strerror}", file=path, fix="check the path") from error
    try:
        text = data.decode("utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise AnnotationError("not UTF-8 text", file=path, line=line, fix="save it as UTF-8") from error
    if "\0" in text:
        line = text[: text.index("\0")].count("\n") + 1
        raise AnnotationError("a NUL character", file=path, line=line, fix="save it as UTF-8 text")
    return text


def _parquet_text(path: Path) -> tuple[list[str], Iterator[tuple[int, list[str]]]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path)
    except (OSError, pa.ArrowInvalid) as error:
        raise AnnotationError(f"not a Parquet table: {error}", file=path, fix="check the path") from error
    columns = [["" if v is None else str(v) for v in column.to_pylist()] for column in table.columns]
    return table.column_names, ((n, list(row)) for n, row in enumerate(zip(*columns, strict=True), start=2))


def _row(path: Path, line: int, cells: Mapping[str, str]) -> Row:
    def fail(what: str, fix: str) -> AnnotationError:
        return AnnotationError(what, file=path, line=line, fix=fix)

    video, modality, name = cells["video"], cells["modality"], cells["class"]
    check_id(video, file=path, line=line)
    if modality not in ("", *MODALITIES, BOTH):
        raise fail(unknown("modality", modality, [*MODALITIES, BOTH]), "leave it empty for a weak label")
    onset, offset, score = (_number(path, line, key, cells[key]) for key in ("onset", "offset", "score"))
    if modality:
        if not name or onset is None or offset is None:
            raise fail("an event needs class, onset and offset", "fill them, or empty the modality for a weak label")
        if onset >= offset:
            raise fail(f"onset {onset:g} s must come before offset {offset:g} s", "swap them or delete the row")
    elif onset is not None or offset is not None:
        raise fail("times without a modality", f"write {MODALITIES[0]}, {MODALITIES[1]} or {BOTH}")
    return Row(video, modality, name, onset, offset, score, cells.get("path", ""), cells.get("split", ""), line)


def check_id(video: str, *, file: Path, line: int) -> None:
    """The grammar of a video id: something printable, with no slash, no `..`, at most 200 characters."""
    fix = "use letters, digits, '-', '_' and '.'"
    if not video:
        raise AnnotationError("a row without a video id", file=file, line=line, fix="name the video")
    if "/" in video or "\\" in video or ".." in video or not video.isprintable() or len(video) > 200:
        raise AnnotationError(f"video id {video[:60]!r} cannot be used", file=file, line=line, fix=fix)


def _number(path: Path, line: int, column: str, text: str) -> float | None:
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value) or (value < 0 and column != "score"):
        what = f"{column} is {text!r}, expected a number of seconds ≥ 0" if column != "score" else f"score is {text!r}"
        raise AnnotationError(what, file=path, line=line, fix="write a plain number such as 3.5")
    return value

"""Answer conditions and SQL over timelines with DuckDB.

The events are read into tables in memory; after that DuckDB may open no file and no connection.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from vaplan.annotations.fields import LONGEST_SECONDS
from vaplan.annotations.rows import BOTH
from vaplan.annotations.table import SUFFIXES
from vaplan.errors import AnnotationError, MissingExtra, UsageError, VaplanError
from vaplan.exports import FORMATS, list_inputs, read_file
from vaplan.modalities import MODALITIES
from vaplan.reading import MAX_TEXT_BYTES, check_row_count
from vaplan.search.conditions import Value, check_classes, read_condition, to_sql
from vaplan.timeline import TABLE_COLUMNS

NUMBERS = ("onset", "offset", "score")
SCHEMA = pa.schema(
    {name: pa.float64() if name in NUMBERS else pa.string() for name in TABLE_COLUMNS}
)
VIDEOS = pa.schema({"video": pa.string(), "seconds": pa.float64()})
CONFIGURATION = {
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "python_enable_replacements": "false",  # no table is a variable of this process
}
FIX = "give a table of events that vaplan wrote, or the folder of `vaplan parse --out`"


@dataclass(frozen=True)
class Answer:
    """Rows that a statement returned.

    Attributes:
        columns: Names of the columns.
        rows: Cells of each row.
        failed: Files that could not be read, with one-line reasons.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    failed: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Tables:
    """Events and videos as tables.

    Attributes:
        events: The six columns of a table of events.
        videos: Id and length in seconds of each video.
        failed: Files that could not be read, with one-line reasons.
    """

    events: pa.Table
    videos: pa.Table
    failed: tuple[tuple[str, str], ...] = ()


def find_spans(source: Path | str, where: str) -> Answer:
    """Find the spans of videos that satisfy a condition.

    Args:
        source: Table of events (CSV or Parquet), or folder of JSON timelines.
        where: Condition; see `vaplan.search.conditions`.

    Returns:
        Video, onset and offset of each span.

    Raises:
        UsageError: The condition cannot be read, or a class does not occur.
        AnnotationError: The table cannot be read.
        MissingExtra: DuckDB is not installed.
    """
    condition = read_condition(where)
    tables = read_tables(Path(source))
    classes = {*tables.events["class"].unique().to_pylist()}
    check_classes(condition, classes, file=Path(source))
    statement, values = to_sql(condition)
    return _run(tables, statement, values)


def run_sql(source: Path | str, statement: str) -> Answer:
    """Run one SELECT statement on the tables `events` and `videos`.

    Args:
        source: Table of events (CSV or Parquet), or folder of JSON timelines.
        statement: SQL of DuckDB; `"offset"` is a word of SQL and needs its quotes.

    Raises:
        UsageError: The statement is no single SELECT, or DuckDB refuses it.
        AnnotationError: The table cannot be read.
        MissingExtra: DuckDB is not installed.
    """
    duckdb = _import_duckdb()
    try:
        statements = duckdb.extract_statements(statement)
    except duckdb.Error as error:
        raise _refused(error) from error
    if [one.type for one in statements] != [duckdb.StatementType.SELECT]:
        raise UsageError(
            "only one SELECT statement is run", fix="write SELECT … FROM events …"
        )
    return _run(read_tables(Path(source)), statement, [])


def _run(tables: Tables, statement: str, values: Sequence[Value]) -> Answer:
    duckdb = _import_duckdb()
    with _connection(tables) as connection:
        try:
            result = connection.execute(statement, list(values))
            columns = tuple(column[0] for column in result.description)
            rows = tuple(result.fetchall())
        except duckdb.Error as error:
            raise _refused(error) from error
    return Answer(columns, rows, tables.failed)


@contextmanager
def _connection(tables: Tables) -> Iterator[Any]:
    """Yield a connection to the tables that can reach nothing else."""
    connection = _import_duckdb().connect(":memory:", config=CONFIGURATION)
    try:
        for name in ("events", "videos"):
            connection.register("source", getattr(tables, name))
            connection.execute(f"CREATE TABLE {name} AS SELECT * FROM source")
            connection.unregister("source")
        connection.execute("SET enable_external_access = false")
        connection.execute("SET lock_configuration = true")
        yield connection
    finally:
        connection.close()


def _refused(error: Exception) -> UsageError:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return UsageError(
        f"DuckDB refuses the statement: {lines[0] if lines else type(error).__name__}",
        fix='the tables are events(video, modality, class, onset, "offset", score) and '
        "videos(video, seconds)",
    )


def _import_duckdb() -> Any:
    try:
        import duckdb
    except ImportError as error:
        raise MissingExtra(
            "searching timelines needs DuckDB",
            fix="install it: pip install 'vaplan[search]'",
        ) from error
    return duckdb


def read_tables(source: Path) -> Tables:
    """Read the events of a table, or of the JSON timelines in a folder.

    A video is as long as its timeline says, or, in a table, as its last event. A file of a
    folder that cannot be read is left out and named.

    Args:
        source: Table of events (CSV or Parquet), or folder of JSON timelines.

    Raises:
        UsageError: The source is neither.
        AnnotationError: The table cannot be read, or no file of the folder.
    """
    if source.is_dir():
        return _read_folder(source)
    if source.suffix not in SUFFIXES:
        raise UsageError("neither a table nor a folder", file=source, fix=FIX)
    return _read_table(source)


def _read_folder(folder: Path) -> Tables:
    events: dict[str, list[Any]] = {name: [] for name in TABLE_COLUMNS}
    videos: dict[str, list[Any]] = {"video": [], "seconds": []}
    failed = list[tuple[str, str]]()
    for path, video in list_inputs(folder, FORMATS["json"]):
        try:
            (timeline,) = read_file(path, video, FORMATS["json"])
        except VaplanError as error:
            failed.append((str(path), str(error)))
            continue

        videos["video"].append(timeline.video)
        videos["seconds"].append(timeline.seconds)
        for event in timeline:
            cells = (
                timeline.video,
                event.modality,
                event.class_name,
                event.onset,
                event.offset,
                event.score,
            )
            for name, cell in zip(TABLE_COLUMNS, cells, strict=True):
                events[name].append(cell)

    if not videos["video"]:
        raise AnnotationError(
            f"none of {len(failed)} files is a timeline; {failed[0][1]}",
            file=folder,
            fix=FIX,
        )

    return Tables(
        pa.table(events, schema=SCHEMA),
        pa.table(videos, schema=VIDEOS),
        tuple(failed),
    )


def _read_table(path: Path) -> Tables:
    """Read the rows of events; those of modality `both` are one for each."""
    import pyarrow.compute as pc

    rows = _read_columns(path)
    is_event = pc.not_equal(rows["modality"], "")
    is_empty = pc.equal(rows["class"], "")
    looked_at = rows.filter(pc.or_(is_event, is_empty))
    events = rows.filter(is_event)
    _check_events(events, path)
    both = pc.equal(events["modality"], BOTH)
    single = events.filter(pc.invert(both))
    copies = [_with_modality(events.filter(both), modality) for modality in MODALITIES]
    grouped = looked_at.group_by("video").aggregate([("offset", "max")])
    seconds = pc.fill_null(grouped["offset_max"], 0.0)
    videos = pa.table({"video": grouped["video"], "seconds": seconds}, schema=VIDEOS)
    return Tables(pa.concat_tables([single, *copies]), videos)


def _with_modality(events: pa.Table, modality: str) -> pa.Table:
    values = pa.array([modality] * len(events), pa.string())
    return events.set_column(TABLE_COLUMNS.index("modality"), "modality", values)


def _read_columns(path: Path) -> pa.Table:
    """Read the six columns of a table; an empty text stays empty, an empty number is null."""
    import pyarrow.csv
    import pyarrow.parquet as pq

    try:
        if path.suffix == ".parquet":
            file = pq.ParquetFile(path)
            check_row_count(file.metadata.num_rows, path)
            table = file.read()
        else:
            if path.stat().st_size > MAX_TEXT_BYTES:
                raise AnnotationError(
                    f"larger than {MAX_TEXT_BYTES:,} bytes",
                    file=path,
                    fix="write it as Parquet",
                )
            options = pyarrow.csv.ConvertOptions(
                column_types=SCHEMA, null_values=[""], strings_can_be_null=False
            )
            table = pyarrow.csv.read_csv(path, convert_options=options)
        return _select_columns(table, path)
    except (OSError, ValueError, pa.ArrowException) as error:
        raise AnnotationError(
            f"not a table of events: {error}", file=path, fix=FIX
        ) from error


def _select_columns(table: pa.Table, path: Path) -> pa.Table:
    import pyarrow.compute as pc

    names = list(table.column_names)
    absent = [name for name in TABLE_COLUMNS[:-1] if names.count(name) != 1]
    if absent:
        raise AnnotationError(
            f"one column {absent[0]!r} is needed; columns: {', '.join(names)}",
            file=path,
            line=1,
            fix=FIX,
        )
    if "score" not in names:
        table = table.append_column("score", pa.nulls(len(table), pa.float64()))
    columns = [
        pc.fill_null(column, "") if pa.types.is_string(column.type) else column
        for column in table.select(TABLE_COLUMNS).cast(SCHEMA).columns
    ]
    selected = pa.table(columns, schema=SCHEMA)
    selected.validate(full=True)  # else a text that is not UTF-8 fails where it is used
    return selected


def _check_events(events: pa.Table, path: Path) -> None:
    """Check the modality and the times of every event."""
    import pyarrow.compute as pc

    known = pa.array([*MODALITIES, BOTH])
    ordered = pc.and_(
        pc.greater_equal(events["onset"], 0.0),
        pc.less(events["onset"], events["offset"]),
    )
    within = pc.less_equal(events["offset"], LONGEST_SECONDS)
    is_valid = pc.and_(
        pc.is_in(events["modality"], value_set=known),
        pc.and_(
            pc.fill_null(pc.and_(ordered, within), False),
            pc.not_equal(events["class"], ""),
        ),
    )
    wrong = events.filter(pc.invert(is_valid))
    if len(wrong):
        raise AnnotationError(
            f"{len(wrong)} rows are no events, the first is {wrong.slice(0, 1).to_pylist()[0]}",
            file=path,
            fix="`vaplan data check` names the line and the problem",
        )

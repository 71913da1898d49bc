"""Conditions and SQL over tables and folders of timelines."""

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.exports.timelines import EMPTY, EXAMPLE
from tests.exports.timelines import write as write_format
from vaplan import reading
from vaplan.annotations.rows import Row
from vaplan.annotations.table import write_rows
from vaplan.errors import AnnotationError, UsageError, VaplanError
from vaplan.search.timelines import find_spans, read_tables, run_sql
from vaplan.timeline import Event, Timeline

pytest.importorskip("duckdb")

ROWS = [
    Row("a", "audio", "Dog", 0.0, 5.0, 0.5),
    Row("a", "visual", "Dog", 2.0, 3.0),
    Row("b", "both", "Dog", 1.0, 2.0, 0.9),
    Row("c"),
    Row("d", "audio", "Dog barking", 4.0, 6.0),
    Row("e", "", "Dog"),  # a tag is no event
]


@pytest.fixture(params=["csv", "parquet"])
def table(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return write_rows(tmp_path / f"events.{request.param}", ROWS)


@pytest.mark.parametrize(
    ("where", "spans"),
    [
        ("audio:Dog and not visual:Dog", [("a", 0, 2), ("a", 3, 5)]),
        ("audio:Dog and visual:Dog", [("a", 2, 3), ("b", 1, 2)]),
        ("audio:Dog and not video(visual:Dog)", []),
        ('"Dog barking" or Dog > 0.6', [("b", 1, 2), ("d", 4, 6)]),
        ("Dog <= 0.5", [("a", 0, 5)]),  # an event without a score has none to compare
        ("not Dog", [("b", 0, 1), ("d", 0, 6)]),
        ("video(visual:Dog) and not audio:Dog", [("b", 0, 1)]),
        ("Dog", [("a", 0, 5), ("b", 1, 2)]),
    ],
)
def test_a_condition_holds_in_spans(
    table: Path, where: str, spans: list[tuple[str, float, float]]
) -> None:
    answer = find_spans(table, where)
    assert answer.columns == ("video", "onset", "offset")
    assert list(answer.rows) == spans


def test_a_video_of_a_folder_is_as_long_as_its_timeline(tmp_path: Path) -> None:
    for timeline in (EXAMPLE, EMPTY):
        write_format(timeline, "json", tmp_path)
    answer = find_spans(tmp_path, "not Dog_barking")
    assert answer.rows == (("beach/dog", 3.0, 10.0), ("quiet", 0.0, 3.0))


Check = Callable[[float], bool]  # whether a condition holds at a time


def covers(events: list[Event], modality: str, name: str) -> Check:
    def check(time: float) -> bool:
        return any(
            (not modality or e.modality == modality)
            and e.class_name == name
            and e.onset <= time < e.offset
            for e in events
        )

    return check


@st.composite
def cases(draw: st.DrawFn) -> tuple[list[Event], str, Check]:
    """Events of a video of 8 s, a condition, and what it means at a time."""
    event = st.builds(
        lambda m, n, t, length: Event(m, n, float(t), float(t + length)),
        st.sampled_from(["audio", "visual"]),
        st.sampled_from(["A", "B"]),
        st.integers(0, 5),
        st.integers(1, 3),
    )
    events = draw(st.lists(event, min_size=1, max_size=6))
    names = [*{e.class_name for e in events}]

    def grow(depth: int) -> tuple[str, Check]:
        kind = draw(st.sampled_from(["event", "and", "or", "not", "video"]))
        if depth == 0 or kind == "event":
            name = draw(st.sampled_from(names))
            modality = draw(st.sampled_from(["", "audio", "visual"]))
            text = f"{modality}:{name}" if modality else name
            return text, covers(events, modality, name)
        left, one = grow(depth - 1)
        if kind == "not":
            return f"not ({left})", lambda t: not one(t)
        if kind == "video":
            holds = any(one(n + 0.5) for n in range(8))
            return f"video({left})", lambda t: holds
        right, other = grow(depth - 1)
        if kind == "and":
            return f"({left} and {right})", lambda t: one(t) and other(t)
        return f"({left} or {right})", lambda t: one(t) or other(t)

    text, check = grow(3)
    return events, text, check


@given(cases())
def test_spans_are_the_seconds_in_which_the_condition_holds(
    case: tuple[list[Event], str, Check],
) -> None:
    events, where, check = case
    with TemporaryDirectory() as folder:
        write_format(Timeline("v", 8.0, tuple(events)), "json", Path(folder))
        rows = find_spans(folder, where).rows
    seconds = {int(t) for _, on, off in rows for t in range(int(on), int(off))}
    assert seconds == {t for t in range(8) if check(t + 0.5)}
    edges = [(on, off) for _, on, off in rows]
    assert all(first[1] < second[0] for first, second in pairwise(edges))


def test_sql_reads_events_and_videos(table: Path) -> None:
    answer = run_sql(
        table,
        'SELECT class, sum("offset" - onset) AS seconds FROM events '
        "GROUP BY class ORDER BY class",
    )
    assert answer.columns == ("class", "seconds")
    assert answer.rows == (("Dog", 8.0), ("Dog barking", 2.0))
    lengths = run_sql(table, "FROM videos ORDER BY video").rows
    assert lengths == (("a", 5.0), ("b", 2.0), ("c", 0.0), ("d", 6.0))


@pytest.mark.parametrize(
    "statement",
    [
        *("DROP TABLE events", "SELECT 1; SELECT 2", "", "COPY events TO 'x.csv'"),
        *("SET enable_external_access = true", "ATTACH 'x.db'", "INSTALL httpfs"),
        *("INSERT INTO events SELECT * FROM events", "PRAGMA version", "CALL x()"),
        *("SELECT * FROM read_csv('{file}')", "SELECT * FROM '{file}'"),
        *("SELECT * FROM read_text('{file}')", "SELECT * FROM glob('/*')"),
        *("SELECT * FROM statement", "SELECT getenv('HOME')", "SELEC", "SELECT no"),
    ],
)
def test_a_statement_reads_nothing_else_and_writes_nothing(
    table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, statement: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "secret.csv").write_text("a,b\n1,2\n")
    before = sorted(tmp_path.iterdir())
    with pytest.raises(UsageError, match=r"only one SELECT|DuckDB refuses"):
        run_sql(table, statement.format(file=tmp_path / "secret.csv"))
    assert sorted(tmp_path.iterdir()) == before


def test_a_file_that_is_no_timeline_is_left_out_and_named(tmp_path: Path) -> None:
    write_format(EXAMPLE, "json", tmp_path)
    (tmp_path / "other.json").write_text("{}")
    answer = find_spans(tmp_path, "Rain")
    assert answer.rows == (("beach/dog", 1.0, 10.0),)
    ((file, reason),) = answer.failed
    assert file.endswith("other.json")
    assert "no key 'video'" in reason


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.csv", "video,class\na,Dog\n", "one column 'modality' is needed"),
        ("a.csv", "", "not a table of events"),
        ("a.parquet", "x", "not a table of events"),
        ("a.csv", "HEAD\na,audio,Dog,x,2,\n", "not a table of events.*'x'"),
        ("a.csv", "HEAD\na,audio,Dog,3,2,\n", "1 rows are no events, the first is"),
        ("a.csv", "HEAD\na,smell,Dog,1,2,\n", "1 rows are no events.*'smell'"),
        ("a.csv", "HEAD\na,audio,Dog,,2,\n", "1 rows are no events"),
        ("a.csv", "HEAD\na,audio,Dog,1,inf,\n", "1 rows are no events"),
        ("a.csv", "HEAD\na,audio,,1,2,\n", "1 rows are no events"),
        ("a.txt", "", "neither a table nor a folder"),
    ],
)
def test_a_table_that_cannot_be_searched_is_an_error(
    tmp_path: Path, name: str, text: str, message: str
) -> None:
    header = "video,modality,class,onset,offset,score"
    (tmp_path / name).write_text(text.replace("HEAD", header))
    with pytest.raises(VaplanError, match=message):
        read_tables(tmp_path / name)


def test_a_parquet_table_with_text_that_is_not_utf8_is_an_error(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "t.parquet", [Row("a", "audio", "Dogs", 0.0, 1.0)])
    path.write_bytes(path.read_bytes().replace(b"Dogs", b"D\xc4gs"))
    with pytest.raises(AnnotationError, match="not a table of events"):
        read_tables(path)


def test_a_folder_without_a_timeline_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="contains no"):
        read_tables(tmp_path)
    (tmp_path / "a.json").write_text("[]")
    with pytest.raises(AnnotationError, match="none of 1 files is a timeline"):
        read_tables(tmp_path)


def test_a_table_of_too_many_rows_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [Row("a", "audio", "Dog", 0.0, 1.0), Row("b", "audio", "Dog", 0.0, 1.0)]
    path = write_rows(tmp_path / "t.parquet", rows)
    monkeypatch.setattr(reading, "MAX_ROWS", 1)
    with pytest.raises(AnnotationError, match="2 rows, expected at most 1"):
        read_tables(path)

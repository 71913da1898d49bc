"""`vaplan search`: tables, JSON and errors."""

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Call
from tests.conftest import World
from tests.exports.timelines import EXAMPLE, write
from vaplan.annotations import read_rows


def test_a_sentence_gives_the_best_segments(
    call: Call, world: World, tmp_path: Path
) -> None:
    given = [
        "search",
        "bell",
        "--store",
        world.store,
        "--modality",
        "audio",
        "--top",
        4,
    ]
    code, out, _ = call(*given, "--json")
    hits = json.loads(out)
    assert (code, len(hits)) == (0, 4)
    assert [hit["score"] for hit in hits] == sorted(
        (hit["score"] for hit in hits), reverse=True
    )
    code, out, _ = call(*given)
    assert code == 0
    assert hits[0]["video"] in out
    assert "margin" in out
    code, _, _ = call(*given, "--out", tmp_path / "hits.csv")
    rows = read_rows(tmp_path / "hits.csv").rows
    assert code == 0
    assert [(row.video, row.onset) for row in rows] == [
        (hit["video"], hit["onset"]) for hit in hits
    ]


def test_a_condition_gives_spans(call: Call, tmp_path: Path) -> None:
    pytest.importorskip("duckdb")
    write(EXAMPLE, "json", tmp_path)
    (tmp_path / "other.json").write_text("{}")
    where = "audio:Dog_barking and not visual:Dog_barking"
    code, out, err = call("search", "--timelines", tmp_path, "--where", where, "--json")
    assert (code, json.loads(out)) == (
        0,
        [{"video": "beach/dog", "onset": 0.0, "offset": 1.0}],
    )
    assert "left out" in err
    code, out, err = call("search", "--timelines", tmp_path, "--where", "Rain")
    assert "beach/dog" in out
    assert "1 rows of 1 videos" in err


def test_sql_gives_its_columns_as_values_of_json(call: Call, tmp_path: Path) -> None:
    pytest.importorskip("duckdb")
    write(EXAMPLE, "json", tmp_path)
    sql = (
        "SELECT DATE '2024-01-02' AS d, 1.5::DECIMAL(3, 1) AS x, 'NaN'::DOUBLE AS n, "
        "[1, 2] AS l, '[red]' AS t"
    )
    code, out, _ = call("search", "--timelines", tmp_path, "--sql", sql, "--json")
    assert (code, json.loads(out)) == (
        0,
        [{"d": "2024-01-02", "x": "1.5", "n": None, "l": [1, 2], "t": "[red]"}],
    )
    assert "[red]" in call("search", "--timelines", tmp_path, "--sql", sql)[1]


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["dog"],
        ["--store", "s"],
        ["dog", "--timelines", "t", "--where", "Dog"],
        ["--timelines", "t"],
        ["--timelines", "t", "--where", "Dog", "--sql", "SELECT 1"],
        ["dog", "--store", "s", "--where", "Dog"],
        ["--timelines", "t", "--where", "Dog", "--out", "hits.csv"],
    ],
)
def test_conflicting_options_are_an_error(call: Call, arguments: list[str]) -> None:
    code, out, err = call("search", *arguments)
    assert (code, out) == (2, "")
    assert 'vaplan search "dog barking" --store STORE' in err

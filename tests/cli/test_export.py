"""`vaplan export` and `vaplan import-events`: output, exit codes and errors."""

import re
from pathlib import Path

import pytest

from tests.cli.conftest import Call
from tests.exports.timelines import EMPTY, EXAMPLE, write
from vaplan.exports import FORMATS


def test_timelines_are_exported_and_imported_again(call: Call, tmp_path: Path) -> None:
    for timeline in (EXAMPLE, EMPTY):
        write(timeline, "json", tmp_path / "timelines")
    out = tmp_path / "elan"
    code, _, err = call(
        "export", tmp_path / "timelines", "--format", "elan", "--out", out
    )
    assert (code, "2 exported, 0 failed" in err) == (0, True)
    table = tmp_path / "events.csv"
    code, _, err = call("import-events", out, "--format", "elan", "--out", table)
    assert (code, "2 imported, 0 failed" in err) == (0, True)
    assert table.read_text().splitlines() == [
        "video,modality,class,onset,offset,score",
        "beach/dog,audio,Dog_barking,0,2.5,0.1",
        "beach/dog,audio,Rain,1,10,0.75",
        "beach/dog,visual,Dog_barking,1,3,",
        "quiet,,,,,",
    ]


@pytest.mark.parametrize("command", ["export", "import-events"])
def test_the_help_names_every_format(call: Call, command: str) -> None:
    text = " ".join(call(command, "--help")[1].replace("│", " ").split())
    for name, kind in FORMATS.items():
        is_export = (kind.write or kind.write_all) and not kind.needs_scores
        if is_export if command == "export" else kind.read:
            assert re.search(rf" {name}(,| or|;)", text), name


def test_a_failed_file_is_named_and_sets_the_exit_code(
    call: Call, tmp_path: Path
) -> None:
    (tmp_path / "a.txt").write_text("0\t1\tDog\n")
    given = ["--format", "audacity", "--out", tmp_path / "out.csv"]
    code, _, err = call("import-events", tmp_path, *given)
    assert code == 4
    assert "a.txt:1: label 'Dog' has no modality" in err
    assert call("import-events", tmp_path, *given, "--modality", "audio")[0] == 0
    (tmp_path / "b.txt").write_text("x")
    assert call("import-events", tmp_path, *given, "--modality", "audio")[0] == 3


def test_an_unknown_format_names_the_known_ones(call: Call, tmp_path: Path) -> None:
    code, out, err = call(
        "export", tmp_path, "--format", "eaf", "--out", tmp_path / "o"
    )
    assert (code, out) == (2, "")
    assert "unknown format 'eaf'" in err
    assert "elan" in err

"""`--log`: every failure, progress at most once a second, and how the command ended."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Call
from vaplan.cli.log import open_log
from vaplan.errors import Exit, MachineError, MediaError


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_lines_can_be_read_while_the_command_runs(tmp_path: Path) -> None:
    path = tmp_path / "new" / "log.jsonl"
    with open_log(path, "features") as log:
        assert log
        log.report("features", 1, 3, "")
        first, second = read(path)
        assert (first["event"], first["command"]) == ("start", "features")
        assert (second["event"], second["step"], second["done"]) == (
            "progress",
            "features",
            1,
        )


def test_progress_is_logged_once_a_second_and_every_failure_and_the_last_item(
    tmp_path: Path,
) -> None:
    path = tmp_path / "log.jsonl"
    with open_log(path, "features") as log:
        assert log
        for done in range(1, 101):
            log.report("features", done, 100, "bad\nfile" if done in (7, 8) else "")
    lines = read(path)
    assert [line["done"] for line in lines if line["event"] == "failure"] == [7, 8]
    assert lines[1]["done"] == 1
    assert lines[-2]["done"] == 100
    assert len(lines) < 10
    assert (lines[-1]["event"], lines[-1]["error"]) == ("end", "")


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (MediaError("empty file", file="a.mp4"), "a.mp4: empty file."),
        (KeyboardInterrupt(), "KeyboardInterrupt"),
    ],
)
def test_the_last_line_names_the_error_and_a_second_command_appends(
    error: BaseException, text: str, tmp_path: Path
) -> None:
    path = tmp_path / "log.jsonl"
    with pytest.raises(type(error)), open_log(path, "parse"):
        raise error
    with open_log(path, "parse"):
        pass
    ends = [line["error"] for line in read(path) if line["event"] == "end"]
    assert ends == [text, ""]


def test_a_log_that_cannot_be_written_is_an_error_of_the_machine(
    tmp_path: Path,
) -> None:
    with pytest.raises(MachineError, match="cannot write"), open_log(tmp_path, "parse"):
        pass
    full = Path("/dev/full")
    refused = pytest.raises(MachineError, match="/dev/full: cannot write: No space")
    with refused, open_log(full, "parse"):
        pass


def test_no_log_is_the_default() -> None:
    with open_log(None, "parse") as log:
        assert log is None


def test_a_command_logs_the_failure_of_a_file(call: Call, tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_text("video,tags\na,Dog\n")
    (tmp_path / "media").mkdir()
    code, _, err = call(
        "features",
        f"table:{tmp_path / 'table.csv'}",
        "--media",
        tmp_path / "media",
        "--store",
        tmp_path / "store",
        "--log",
        tmp_path / "log.jsonl",
    )
    assert code == Exit.NOTHING_DONE, err
    (failure,) = [
        line for line in read(tmp_path / "log.jsonl") if line["event"] == "failure"
    ]
    assert "no file for 'a'" in failure["problem"]
    assert (failure["step"], failure["done"], failure["total"]) == ("features", 1, 1)

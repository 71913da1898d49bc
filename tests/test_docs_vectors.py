"""The examples of docs/vectors.md run in their order, and print the shown output."""

import re
import shlex
import sys
from pathlib import Path

import pytest

from tests.conftest import SMALL
from tests.own_vectors import make_videos
from vaplan import cli
from vaplan.store import find_stores

PAGE = (Path(__file__).parents[1] / "docs" / "vectors.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, flags=re.DOTALL)


def test_every_command_of_the_page_runs(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """One test, because each command reads what those before it wrote."""
    make_videos().save(tmp_path)
    monkeypatch.chdir(tmp_path)
    for line in "".join(blocks("bash")).splitlines():
        arguments = shlex.split(line)
        if arguments[1] == "train":
            arguments += [part for change in SMALL for part in ("--set", change)]
        monkeypatch.setattr(sys, "argv", arguments)
        with pytest.raises(SystemExit) as left:
            cli.main()
        assert (left.value.code or 0) == 0, line
    assert set(find_stores("store")) == {"audio:own:mine", "visual:own:mine"}
    assert "30 imported, 0 failed" in capsys.readouterr().err
    assert (tmp_path / "predictions.csv").read_text().count("test/") > 0


def test_the_python_of_the_page_prints_the_shown_output(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    code = "".join(blocks("python"))
    exec(compile(code, "vectors.md", "exec"), {})  # noqa: S102 - our own page
    printed = capsys.readouterr().out.splitlines()
    expected = re.findall(r"print\(.*\)  # (\(.*?\)|\[.*?\])", code)
    assert expected[0] == printed[0] == "(20, 512)"
    assert printed[1:4] == [f"beach/000{number} ok (10, 512)" for number in range(3)]
    assert printed[4:] == expected[1:]

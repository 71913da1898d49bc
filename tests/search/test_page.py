"""The commands of docs/search.md run."""

import re
import shlex
import sys
from pathlib import Path

import pytest

from tests.conftest import World
from tests.exports.timelines import write
from vaplan import cli
from vaplan.timeline import Event, Timeline

pytest.importorskip("duckdb")

PAGE = (Path(__file__).parents[2] / "docs" / "search.md").read_text(encoding="utf-8")
COMMANDS = [
    line
    for block in re.findall(r"```bash\n(.*?)```", PAGE, re.DOTALL)
    for line in block.splitlines()
    if not line.startswith("vaplan review")  # runs until it is stopped
]
CONDITIONS = re.findall(r"^\| `(.*?)` \|", PAGE, re.M)
TIMELINE = Timeline(
    "v",
    9.0,
    tuple(
        Event(modality, name, 1.0, 4.0, 0.9)
        for modality in ("audio", "visual")
        for name in ("Dog", "Cat", "Speech", "Dog barking")
    ),
)


def run(arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["vaplan", *arguments])
    with pytest.raises(SystemExit) as left:
        cli.main()
    assert (left.value.code or 0) == 0


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_runs(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    write(TIMELINE, "json", tmp_path / "timelines")
    (tmp_path / "store").symlink_to(world.store)
    monkeypatch.chdir(tmp_path)
    run(shlex.split(command)[1:], monkeypatch)


@pytest.mark.parametrize("condition", CONDITIONS)
def test_every_condition_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, condition: str
) -> None:
    write(TIMELINE, "json", tmp_path)
    run(["search", "--timelines", str(tmp_path), "--where", condition], monkeypatch)


def test_the_page_has_commands_and_conditions() -> None:
    assert len(COMMANDS) == 5
    assert len(CONDITIONS) == 8

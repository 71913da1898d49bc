"""The commands of docs/bench.md run."""

import re
import shlex
import shutil
import sys
from pathlib import Path

import pytest

from tests.conftest import World
from vaplan import bench as benches
from vaplan import cli, report
from vaplan.bench import suite as suites
from vaplan.bench.steps import VERBS

pytestmark = pytest.mark.slow

PAGE = (Path(__file__).parents[2] / "docs" / "bench.md").read_text(encoding="utf-8")
TINY = "--seeds 1 --set training.epochs=1 --set model.settings.hidden=8 --set model.settings.feedforward=8".split()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, flags=re.DOTALL)


def commands() -> list[list[str]]:
    return [shlex.split(line) for line in "".join(blocks("bash")).splitlines()]


def test_the_page_names_every_suite_and_every_step() -> None:
    for name in benches.shipped():
        assert f"`{name}`" in PAGE
    for verb in VERBS:
        assert f"`{{{verb}: " in PAGE


def test_the_suite_of_the_page_is_run_and_its_runs_are_compared(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the suites that take long; that those can be planned is tested with the suites."""
    (tmp_path / "mine.yaml").write_text(*blocks("yaml"))
    shutil.copy(world.table, tmp_path / "annotations.csv")
    shutil.copytree(world.store, tmp_path / "store")
    monkeypatch.chdir(tmp_path)
    short = [[*c, *TINY] for c in commands() if c[2] == "mine.yaml"]
    for command in [
        *short,
        *(c for c in commands() if c[1] == "report" or c[2] == "--list"),
    ]:
        found = [
            part
            for word in command
            for part in (sorted(map(str, Path().glob(word))) if "*" in word else [word])
        ]
        monkeypatch.setattr(sys, "argv", found)
        with pytest.raises(SystemExit) as left:
            cli.main()
        assert (left.value.code or 0) == 0, " ".join(command)
    assert (
        (tmp_path / "runs.html")
        .read_text(encoding="utf-8")
        .startswith(report.render_page(title="")[:15])
    )


def test_other_commands_of_the_page_name_existing_suites() -> None:
    named = {command[2] for command in commands() if command[1] == "bench"} - {
        "--list",
        "mine.yaml",
    }
    assert named <= set(suites.shipped())

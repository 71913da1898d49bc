"""A command may be killed, terminated or interrupted at any step: finished files stay, and the
same command ends with the same bytes as an undisturbed one.

By default each command dies once by each signal. `VAPLAN_DEATHS=20` makes that 20 points of each
command for each signal, which takes some minutes.
"""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import World
from tests.stages.killing_commands import COMMANDS
from vaplan.errors import Exit

pytestmark = pytest.mark.slow

POINTS = os.environ.get("VAPLAN_DEATHS", "1")
ROOT = Path(__file__).parents[2]
CODES = {
    signal.SIGKILL: -signal.SIGKILL,
    signal.SIGTERM: Exit.TERMINATED,
    signal.SIGINT: Exit.INTERRUPTED,
}


@pytest.fixture(scope="module")
def lines(
    world: World, tmp_path_factory: pytest.TempPathFactory
) -> list[dict[str, Any]]:
    """Return the output of `killing_commands` for every command."""
    folder = tmp_path_factory.mktemp("commands") / "killed"
    paths = [folder, world.table, world.store, world.labels]
    done = subprocess.run(
        [sys.executable, "-m", "tests.stages.killing_commands", *paths, POINTS],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture(scope="module")
def dead(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [line for line in lines if line["kind"] == "death"]


def test_every_command_is_undisturbed_once_and_dies_by_every_signal(
    lines: list[dict[str, Any]], dead: list[dict[str, Any]]
) -> None:
    for line in lines:
        if line["kind"] == "unbroken":
            assert line["code"] == 0, line
            assert line["files"] >= 4
    for command in COMMANDS:
        numbers = {line["signal"] for line in dead if line["command"] == command}
        assert numbers == set(CODES)


def test_the_exit_code_names_the_signal(dead: list[dict[str, Any]]) -> None:
    for line in dead:
        assert line["code"] == CODES[line["signal"]], line


def test_no_file_that_was_finished_is_lost(dead: list[dict[str, Any]]) -> None:
    for line in dead:
        assert line["lost"] == [], line


def test_the_same_command_ends_like_an_undisturbed_one(
    dead: list[dict[str, Any]],
) -> None:
    for line in dead:
        assert line["again"] == 0, line
        assert line["different"] == [], line


def test_no_temporary_file_stays(dead: list[dict[str, Any]]) -> None:
    for line in dead:
        assert line["left_again"] == [], line
        if line["signal"] != signal.SIGKILL:  # which no program can tidy up after
            assert line["left"] == [], line

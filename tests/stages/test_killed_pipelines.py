"""A decoder, an encoder process or the job may be killed at any moment: acknowledged rows stay,
and the store ends with the same bytes.

By default each dies once. `VAPLAN_DEATHS=30` makes that 30 points each, which takes about half an
hour.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import World
from tests.stages.killing_pipelines import KINDS

pytestmark = pytest.mark.slow

POINTS = os.environ.get("VAPLAN_DEATHS", "1")
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def lines(
    world: World, tmp_path_factory: pytest.TempPathFactory
) -> list[dict[str, Any]]:
    """Return the output of `killing_pipelines` for every death."""
    folder = tmp_path_factory.mktemp("pipelines")
    done = subprocess.run(
        [
            *(sys.executable, "-m", "tests.stages.killing_pipelines"),
            *(folder, world.table, POINTS),
        ],
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
    return [line for line in lines if line["kind"] != "unbroken"]


def test_every_kind_of_process_is_killed(
    lines: list[dict[str, Any]], dead: list[dict[str, Any]]
) -> None:
    assert lines[0]["code"] == 0
    assert len(dead) == len(KINDS) * int(POINTS)
    for line in dead:
        assert line["killed"], line
        assert line["code"] == (-9 if line["kind"] == "job" else 0), line


def test_acknowledged_rows_stay(dead: list[dict[str, Any]]) -> None:
    for line in dead:
        assert line["acknowledged"], line
        assert {*line["acknowledged"]} <= {*line["before"]["rows"]}, line
        assert line["before"]["problems"] == [], line


def test_the_store_ends_like_that_of_an_undisturbed_job(
    lines: list[dict[str, Any]], dead: list[dict[str, Any]]
) -> None:
    whole = lines[0]["after"]
    assert whole["failed"] == []
    for line in dead:
        assert line["after"]["failed"] == [], line
        assert line["after"]["hashes"] == whole["hashes"], line
        assert {*line["after"]["rows"]} == {*whole["rows"]}, line


def test_no_process_and_no_folder_of_a_socket_stays(dead: list[dict[str, Any]]) -> None:
    for line in dead:
        assert line["left"] == [], line

"""A job may be killed at any moment: acknowledged results stay, and a second run ends with the same bytes."""

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

pytestmark = pytest.mark.slow

Deaths = list[dict[str, Any]]
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> Deaths:
    """Return the output of `killing` for every job."""
    command = [
        sys.executable,
        "-m",
        "tests.stages.killing",
        str(tmp_path_factory.mktemp("killed")),
    ]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture(scope="module")
def unbroken(lines: Deaths) -> dict[str, Any]:
    """Return the content of the store after an undisturbed job."""
    (whole,) = [
        line["after"] for line in lines if line["kind"] == "steps" and line["code"] == 0
    ]
    assert whole["problems"] == []
    return whole


@pytest.fixture(scope="module")
def killed(lines: Deaths) -> Deaths:
    """The jobs that were killed at one of their steps."""
    return [line for line in lines if line["kind"] == "steps" and line["code"] == -9]


def test_a_job_is_killed_before_between_and_during_its_writes(
    killed: Deaths,
) -> None:
    assert len(killed) >= 50
    assert len({len(line["acknowledged"]) for line in killed}) >= 8
    assert len({name for line in killed for name in line["before"]["leftovers"]}) >= 10


def test_acknowledged_results_survive_any_death(killed: Deaths) -> None:
    for line in killed:
        assert {*line["acknowledged"]} <= {*line["before"]["rows"]}


def test_the_store_never_has_a_partial_shard(killed: Deaths) -> None:
    for line in killed:
        assert line["before"]["problems"] == []


def test_a_killed_job_that_is_run_again_ends_like_one_that_was_not(
    killed: Deaths, unbroken: dict[str, Any]
) -> None:
    for line in killed:
        assert line["after"] == unbroken


def test_one_worker_two_workers_and_workers_that_are_killed_make_the_same_store(
    lines: Deaths, unbroken: dict[str, Any]
) -> None:
    ended = [
        line for line in lines if line["kind"] in {"undisturbed", "workers killed"}
    ]
    assert len(ended) == 3
    for line in ended:
        assert line["failed"] == []
        assert line["after"]["hashes"] == unbroken["hashes"]


def test_the_workers_of_a_killed_job_end_and_the_next_one_completes_it(
    lines: Deaths, unbroken: dict[str, Any]
) -> None:
    abandoned = [line for line in lines if line["kind"] == "abandoned"]
    assert len(abandoned) == 3
    for line in abandoned:
        assert line["code"] == -9
        assert line["pids"]
        assert line["after"]["hashes"] == unbroken["hashes"]
        assert line["after"]["problems"] == []
    deadline = time.monotonic() + 30
    while any(map(alive, [pid for line in abandoned for pid in line["pids"]])):
        assert time.monotonic() < deadline
        time.sleep(0.1)


def alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False

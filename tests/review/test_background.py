"""Queues of jobs: order, progress, failures and their second tries, the end."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.review import jobs
from vaplan.review.background import ABSENT, WAITING, Background, Job, JobState, Status

LONG = 60.0


@pytest.fixture
def background() -> Iterator[Background]:
    opened = Background(["quick", "long"])
    yield opened
    opened.close()


def finish(background: Background, job: Job) -> Status:
    background.start(job)
    return background.wait(job.key, seconds=LONG)


def test_a_job_gives_its_result_and_is_ready(background: Background) -> None:
    results = list[int]()
    job = Job(("quick", "a"), jobs.double, 21, then=results.append)
    assert background.status(job.key) == ABSENT
    assert finish(background, job) == Status(JobState.READY, 1.0)
    assert results == [42]
    background.start(job)  # nothing is done twice
    assert background.status(job.key).state is JobState.READY
    assert results == [42]


def test_a_job_with_a_lost_result_is_done_again(background: Background) -> None:
    results = list[int]()
    job = Job(("quick", "a"), jobs.double, 21, then=results.append)
    finish(background, job)
    background.forget(job.key)
    assert background.status(job.key) == ABSENT
    finish(background, job)
    assert results == [42, 42]
    failed = Job(("quick", "b"), jobs.fail, "no media")
    status = finish(background, failed)
    background.forget(failed.key)  # a failure is no result
    assert background.status(failed.key) == status


def test_a_long_job_does_not_delay_those_of_another_kind(
    background: Background, tmp_path: Path
) -> None:
    long = Job(("long", "a"), jobs.report_half, tmp_path / "go", total=10.0)
    background.start(long)
    quick = Job(("quick", "a"), jobs.double, 1)
    assert finish(background, quick).state is JobState.READY
    while background.status(long.key).progress is None:
        background.wait(long.key, seconds=0.1)
    assert background.status(long.key) == Status(JobState.RUNNING, 0.5)
    (tmp_path / "go").touch()
    assert background.wait(long.key, seconds=LONG).state is JobState.READY


def test_the_job_that_was_asked_for_last_comes_first(
    background: Background, tmp_path: Path
) -> None:
    order = list[Any]()
    first = Job(("quick", "first"), jobs.report_half, tmp_path / "go")
    background.start(first)
    while background.status(first.key) == WAITING:
        background.wait(first.key, seconds=0.01)
    numbers = [1, 2, 3, 1]  # 1 is asked for again
    waiting = [
        Job(("quick", str(n)), jobs.double, n, then=order.append) for n in numbers
    ]
    for job in waiting:
        background.start(job)
    (tmp_path / "go").touch()
    for job in waiting:
        background.wait(job.key, seconds=LONG)
    assert order == [2, 6, 4]


def test_a_failure_keeps_its_reason_and_is_not_tried_again(
    background: Background,
) -> None:
    job = Job(("quick", "a"), jobs.fail, "no media")
    failed = Status(JobState.FAILED, None, "no media.")
    assert finish(background, job) == failed
    background.start(job)
    assert background.status(job.key) == failed


def test_a_crash_of_the_decoder_fails_its_job_only(background: Background) -> None:
    status = finish(background, Job(("quick", "a"), jobs.crash, None))
    assert status.state is JobState.FAILED
    assert "SIGSEGV" in status.message
    good = Job(("quick", "b"), jobs.double, 1)
    assert finish(background, good).state is JobState.READY


def test_a_job_that_failed_because_of_the_machine_is_tried_again(
    background: Background, tmp_path: Path
) -> None:
    job = Job(("quick", "a"), jobs.need_file, tmp_path / "room")
    assert finish(background, job) == Status(JobState.FAILED, None, "disk full.")
    (tmp_path / "room").touch()
    assert finish(background, job).state is JobState.READY


def test_the_end_stops_running_jobs_and_drops_waiting_ones() -> None:
    background = Background(["quick"])
    for name in ("a", "b"):
        background.start(Job(("quick", name), jobs.hang, None))
    background.close()
    assert background.status(("quick", "a")).state is not JobState.READY
    assert background.status(("quick", "b")).state is not JobState.READY

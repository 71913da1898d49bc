"""One process for long work: reports, crashes, time limits and stops."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.review import jobs
from vaplan.workers.child import STOPPED, Child
from vaplan.workers.faults import Failed
from vaplan.workers.processes import DEATHS, TIME_OUTS

LONG = 60.0


def ignore(value: float) -> None:
    pass


@pytest.fixture
def child() -> Iterator[Child]:
    process = Child()
    yield process
    process.stop()


def test_one_process_does_all_work(child: Child) -> None:
    ids = [
        child.run(jobs.process_id, None, advance=ignore, seconds=LONG) for _ in range(2)
    ]
    assert ids[0] == ids[1]
    assert child.run(jobs.double, 21, advance=ignore, seconds=LONG) == 42


def test_reports_arrive_while_the_work_goes_on(child: Child, tmp_path: Path) -> None:
    reports = list[float]()

    def advance(value: float) -> None:
        reports.append(value)
        (tmp_path / "go").touch()

    child.run(jobs.report_half, tmp_path / "go", advance=advance, seconds=LONG)
    assert set(reports) == {5.0}


def test_an_error_is_a_failure_and_the_process_goes_on(child: Child) -> None:
    failure = child.run(jobs.fail, "no media", advance=ignore, seconds=LONG)
    assert failure == Failed("no media.")
    assert child.run(jobs.double, 1, advance=ignore, seconds=LONG) == 2


def test_a_crash_fails_one_job(child: Child) -> None:
    failure = child.run(jobs.crash, None, advance=ignore, seconds=LONG)
    assert failure.machine == DEATHS
    assert "SIGSEGV" in failure.reason
    assert child.run(jobs.double, 1, advance=ignore, seconds=LONG) == 2


def test_work_without_a_report_is_ended(child: Child) -> None:
    child.run(jobs.double, 1, advance=ignore, seconds=LONG)
    failure = child.run(jobs.hang, None, advance=ignore, seconds=0.2)
    assert (failure.machine, failure.is_final) == (TIME_OUTS, True)
    assert child.run(jobs.double, 1, advance=ignore, seconds=LONG) == 2


def test_a_stop_ends_the_work_and_no_other_starts(child: Child) -> None:
    results = list[object]()

    def work() -> None:
        results.append(child.run(jobs.hang, None, advance=ignore, seconds=LONG))

    thread = threading.Thread(target=work)
    thread.start()
    while child._process is None:
        time.sleep(0.01)
    child.stop()
    thread.join(LONG)
    assert results == [STOPPED]
    assert child.run(jobs.double, 1, advance=ignore, seconds=LONG) == STOPPED

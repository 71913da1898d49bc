"""A crash, a timeout or an error in a worker fails its item only; a fault of the machine stops the work."""

import errno
import itertools
import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from vaplan.errors import Exit, MachineError, MediaError
from vaplan.workers import MAX_CONSECUTIVE_FAILURES, Engine, report, run_supervised
from vaplan.workers.faults import Failed, Guarded, machine_fault
from vaplan.workers.processes import DEATHS, Work, _serve, start_process


def work(item: str) -> str:
    if item.startswith("die"):
        os._exit(7)
    if item == "hang":
        time.sleep(60)
    if item.startswith("fault"):
        raise MediaError("not a film", file="x.mp4", fix="convert it")
    if item == "bug":
        raise ValueError("two\nlines")
    return item.upper()


def test_a_worker_whose_caller_has_gone_ends_without_a_traceback(
    capfd: pytest.CaptureFixture[str],
) -> None:
    slow = Work(work, prepare=time.sleep, arguments=(0.5,))
    process, pipe = start_process(_serve, slow)
    pipe.close()
    process.join(60)
    assert process.exitcode == 0
    assert "Traceback" not in capfd.readouterr().err


def test_every_item_gets_its_result_or_its_reason_in_order_and_retried_items_come_last() -> (
    None
):
    items = ["a", "die", "b", "fault", "hang", "bug", "c"]
    results = dict(run_supervised(work, items, workers=2, seconds=2.0))
    assert list(results) == ["a", "b", "fault", "hang", "bug", "c", "die"]
    assert (results["a"], results["b"], results["c"]) == ("A", "B", "C")
    reasons = {
        item: result.reason
        for item, result in results.items()
        if isinstance(result, Failed)
    }
    assert reasons == {
        "die": "its worker process died, exit code 7",
        "fault": "x.mp4: not a film. Fix: convert it.",
        "hang": "gave no result within 2 s",
        "bug": "ValueError: two lines",
    }


def allocate(size: int) -> int:
    return len(bytearray(size))


def test_an_item_that_exceeds_the_memory_of_a_worker_fails_and_the_rest_goes_on() -> (
    None
):
    gigabyte = 1024**3
    items = [1000, 3 * gigabyte, 2000]
    results = dict(run_supervised(allocate, items, workers=1, memory=2 * gigabyte))
    assert (results[1000], results[2000]) == (1000, 2000)
    failure = results[3 * gigabyte]
    assert isinstance(failure, Failed)
    assert failure.machine == "out of memory"


def test_the_time_limit_of_an_item_may_depend_on_it() -> None:
    items = ["a", "hang", "b"]
    results = dict(
        run_supervised(
            work, items, workers=1, seconds=lambda item: 1.5 if item == "hang" else 60.0
        )
    )
    assert (results["a"], results["b"]) == ("A", "B")
    assert results["hang"] == Failed(
        "gave no result within 1.5 s", "time-outs", is_final=True
    )


def count_tries(path: Path) -> None:
    """Write a letter for each try, then end or hang."""
    with path.open("a") as file:
        file.write("x")
    if path.name == "dies":
        os._exit(7)
    time.sleep(60)


def test_an_item_that_hangs_is_tried_once_and_one_that_dies_twice(
    tmp_path: Path,
) -> None:
    items = [tmp_path / "hangs", tmp_path / "dies"]
    results = dict(run_supervised(count_tries, items, workers=1, seconds=1.5))
    assert all(isinstance(result, Failed) for result in results.values())
    assert [path.read_text() for path in items] == ["x", "xx"]


FULL = Failed("x: no space", "No space left on device")


def in_process(
    *,
    broken_after: int = 10**6,
    broken: set[str] | None = None,
    at_once: set[str] | None = None,
) -> Engine:
    """An engine without processes whose machine fails for some items: always, from a time on, or not when alone."""
    given = itertools.count()

    def engine(
        work: Work,
        items: Sequence[str],
        *,
        count: int,
        seconds: float,
        watch: Any = None,
    ) -> Iterator[tuple[str, str | Failed]]:
        for item in items:
            fails = (
                next(given) >= broken_after
                or item in (broken or ())
                or (count > 1 and item in (at_once or ()))
            )
            yield item, FULL if fails else Guarded(work.function)(item)

    return engine


MANY = [f"item{i}" for i in range(5 * MAX_CONSECUTIVE_FAILURES)]


def failed_of(results: dict[str, str | Failed]) -> list[str]:
    return [item for item, result in results.items() if isinstance(result, Failed)]


@pytest.mark.parametrize("first", [0, 7, len(MANY) - 2 * MAX_CONSECUTIVE_FAILURES])
def test_files_that_kill_their_process_are_left_out_also_many_in_a_row(
    first: int,
) -> None:
    killers = MANY[first : first + 2 * MAX_CONSECUTIVE_FAILURES]
    results = dict(
        run_supervised(work, MANY, workers=2, engine=in_process(broken={*killers}))
    )
    assert sorted(results) == sorted(MANY)
    assert failed_of(results) == killers


@pytest.mark.parametrize("after", [0, 1, 2 * MAX_CONSECUTIVE_FAILURES])
def test_a_machine_that_fails_from_some_time_on_stops_the_work_and_no_item_is_blamed(
    after: int,
) -> None:
    results = run_supervised(
        work, MANY, workers=2, engine=in_process(broken_after=after)
    )
    done = dict(itertools.islice(results, after))
    assert not failed_of(done)
    with pytest.raises(
        MachineError,
        match=rf"{MAX_CONSECUTIVE_FAILURES} failures in a row \(No space left.*nothing else",
    ) as caught:
        next(results)
    assert caught.value.exit == Exit.MACHINE


def test_items_in_a_row_that_fail_beside_others_and_succeed_alone_are_faults_of_the_machine() -> (
    None
):
    results = run_supervised(
        work, MANY, workers=2, engine=in_process(at_once={*MANY[5:]})
    )
    with pytest.raises(MachineError, match=r"alone it succeeds"):
        list(results)


def test_an_item_that_succeeds_the_second_time_alone_is_done() -> None:
    few = MANY[5 : 5 + MAX_CONSECUTIVE_FAILURES - 1]
    results = dict(
        run_supervised(work, MANY, workers=2, engine=in_process(at_once={*few}))
    )
    assert not failed_of(results)
    assert list(results)[-len(few) :] == few


@pytest.mark.parametrize("kind", [ValueError, MediaError])
def test_failures_of_the_items_themselves_never_stop_the_work(
    kind: type[Exception],
) -> None:
    assert machine_fault(kind("empty file")) == ""
    results = dict(
        run_supervised(
            work,
            ["fault"] + [f"fault{i}" for i in range(3 * MAX_CONSECUTIVE_FAILURES)],
            engine=in_process(),
        )
    )
    assert len(failed_of(results)) == 1 + 3 * MAX_CONSECUTIVE_FAILURES


def test_ten_files_beside_each_other_that_crash_their_process_do_not_stop_the_rest() -> (
    None
):
    items = ["a", *(f"die{i}" for i in range(MAX_CONSECUTIVE_FAILURES)), "b"]
    results = dict(run_supervised(work, items, workers=2))
    assert (results["a"], results["b"]) == ("A", "B")
    assert {str(result) for item, result in results.items() if "die" in item} == {
        str(Failed("its worker process died, exit code 7", DEATHS))
    }


def test_a_fault_of_the_machine_is_recognised_behind_the_error_that_it_caused() -> None:
    error = MediaError("not a film", file="x.mp4")
    error.__cause__ = OSError(errno.ESTALE, "stale")
    assert machine_fault(error) == os.strerror(errno.ESTALE)
    assert machine_fault(MemoryError()) == "out of memory"


def test_without_items_no_process_is_started() -> None:
    assert list(run_supervised(work, [], workers=2)) == []


def test_leaving_early_stops_the_workers() -> None:
    start = time.monotonic()
    for _, result in run_supervised(work, ["a", "hang"], workers=1):
        assert result == "A"
        break
    assert time.monotonic() - start < 30


@pytest.mark.parametrize("workers", [1, 2])
def test_the_number_of_workers_changes_no_result(workers: int) -> None:
    items = ["a", "b", "fault", "c"]
    assert [r for _, r in run_supervised(work, items, workers=workers)] == [
        "A",
        "B",
        Failed("x.mp4: not a film. Fix: convert it."),
        "C",
    ]


def count_slowly(pauses: int) -> int:
    for number in range(pauses):
        time.sleep(0.5)
        report(number)
    return pauses


def test_reports_arrive_before_the_result_and_extend_the_time_limit() -> None:
    reports = list[tuple[int, int]]()
    results = run_supervised(
        count_slowly,
        [4],
        workers=1,
        seconds=1.5,
        watch=lambda item, value: reports.append((item, value)),
    )
    assert list(results) == [(4, 4)]
    assert reports == [(4, 0), (4, 1), (4, 2), (4, 3)]


def test_a_report_outside_a_worker_process_does_nothing() -> None:
    report("nobody listens")

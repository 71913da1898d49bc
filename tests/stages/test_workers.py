"""What dies, hangs or raises in a worker costs its own item only; a machine that fails stops the work."""

import errno
import os
import time

import pytest

from vaplan.errors import Exit, MachineError, MediaError
from vaplan.stages.faults import Failed, machine_fault
from vaplan.stages.workers import IN_A_ROW, _unless_in_a_row, supervised


def work(item: str) -> str:
    if item == "die":
        os._exit(7)
    if item == "hang":
        time.sleep(60)
    if item == "fault":
        raise MediaError("not a film", file="x.mp4", fix="convert it")
    if item == "bug":
        raise ValueError("two\nlines")
    return item.upper()


def test_every_item_gets_its_result_or_its_reason_in_order_and_what_was_tried_again_comes_last() -> None:
    items = ["a", "die", "b", "fault", "hang", "bug", "c"]
    results = dict(supervised(work, items, workers=2, seconds=5.0))
    assert list(results) == ["a", "b", "fault", "bug", "c", "die", "hang"]
    assert (results["a"], results["b"], results["c"]) == ("A", "B", "C")
    reasons = {item: result.reason for item, result in results.items() if isinstance(result, Failed)}
    assert reasons == {
        "die": "its worker process died, exit code 7",
        "fault": "x.mp4: not a film. Fix: convert it.",
        "hang": "gave no result within 5 s",
        "bug": "ValueError: two lines",
    }


def test_failures_in_a_row_that_are_the_machines_stop_the_work_and_are_not_yielded() -> None:
    good = [("a", "A"), ("b", "B")]
    full = [(str(i), Failed("x: no space", "No space left on device")) for i in range(IN_A_ROW)]
    assert list(_unless_in_a_row(iter([*full[1:], *good, *full[1:]]))) == [*full[1:], *good, *full[1:]]
    results = _unless_in_a_row(iter([*good, *full, *good]))
    assert [next(results) for _ in range(2 + IN_A_ROW - 1)] == [*good, *full[:-1]]
    with pytest.raises(MachineError, match=rf"{IN_A_ROW} failures in a row \(No space left on device\)") as caught:
        next(results)
    assert caught.value.exit == Exit.MACHINE


@pytest.mark.parametrize("kind", [ValueError, MediaError])
def test_failures_of_the_items_themselves_never_stop_the_work(kind: type[Exception]) -> None:
    assert machine_fault(kind("empty file")) == ""
    own = [(str(i), Failed("empty file")) for i in range(3 * IN_A_ROW)]
    assert list(_unless_in_a_row(iter(own))) == own


def test_a_fault_of_the_machine_is_seen_behind_the_error_it_caused() -> None:
    error = MediaError("not a film", file="x.mp4")
    error.__cause__ = OSError(errno.ESTALE, "stale")
    assert machine_fault(error) == os.strerror(errno.ESTALE)
    assert machine_fault(MemoryError()) == "out of memory"


def test_nothing_to_do_starts_nothing() -> None:
    assert list(supervised(work, [], workers=2)) == []


def test_leaving_early_stops_the_workers() -> None:
    start = time.monotonic()
    for _, result in supervised(work, ["a", "hang"], workers=1):
        assert result == "A"
        break
    assert time.monotonic() - start < 30


@pytest.mark.parametrize("workers", [1, 2])
def test_the_number_of_workers_changes_no_result(workers: int) -> None:
    items = ["a", "b", "fault", "c"]
    assert [r for _, r in supervised(work, items, workers=workers)] == [
        "A",
        "B",
        Failed("x.mp4: not a film. Fix: convert it."),
        "C",
    ]

"""What dies, hangs or raises in a worker costs its own item only."""

import os
import time

import pytest

from vaplan.errors import MediaError
from vaplan.stages.workers import Failed, supervised


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


def test_every_item_gets_its_result_or_its_reason_in_order() -> None:
    items = ["a", "die", "b", "fault", "hang", "bug", "c"]
    results = dict(supervised(work, items, workers=2, seconds=5.0))
    assert list(results) == items
    assert (results["a"], results["b"], results["c"]) == ("A", "B", "C")
    reasons = {item: result.reason for item, result in results.items() if isinstance(result, Failed)}
    assert reasons == {
        "die": "the worker died, exit code 7",
        "fault": "x.mp4: not a film. Fix: convert it.",
        "hang": "gave no result within 5 s",
        "bug": "ValueError: two lines",
    }


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

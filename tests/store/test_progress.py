"""Progress is read from the shards and their times alone, also while they are written."""

import os
from pathlib import Path

import numpy as np
import pytest

from vaplan.store import Entry, Part, Store
from vaplan.store.progress import read_progress, shorten_reason

START = 1_700_000_000.0
IDS = [f"video{number:03}" for number in range(40)]


def entry(video: str) -> Entry:
    return Entry(video, np.ones((3, 2), np.float32), np.ones(3, dtype=bool))


def failed(video: str, reason: str) -> Entry:
    return Entry(video, None, np.zeros(0, dtype=bool), "failed", reason)


def fill(
    root: Path, shards: list[list[Entry]], *, seconds: float, part: Part | None = None
) -> Store:
    """Write shards at equal distances, the first one at `START`."""
    planned = part.select(IDS) if part else IDS
    store = Store.create(root, "audio:x", {"dimension": 2}, planned=planned, part=part)
    for number, shard in enumerate(shards):
        store.add(shard)
        time = START + seconds * number
        (path,) = store.own_folder.glob(f"shard-{store_number(store):06}-*")
        os.utime(path, (time, time))
    return store


def store_number(store: Store) -> int:
    return max(int(p.name.split("-")[1]) for p in store.own_folder.glob("shard-*"))


def test_the_rate_is_that_of_all_shards_but_the_first(tmp_path: Path) -> None:
    shards = [[entry(video) for video in IDS[i : i + 5]] for i in (0, 5, 10)]
    store = fill(tmp_path, shards, seconds=10.0)
    progress = read_progress(store, now=START + 25.0)
    (part,) = progress.parts
    assert (part.name, part.planned, part.ok, part.missing) == ("", 40, 15, 25)
    assert part.last_write == pytest.approx(5.0)
    assert progress.rate == pytest.approx(10 / 20)
    assert progress.seconds_left == pytest.approx(25 / 0.5)


def test_a_pause_before_the_last_job_is_not_in_the_rate(tmp_path: Path) -> None:
    store = fill(tmp_path, [[entry(video)] for video in IDS[:4]], seconds=10.0)
    first = sorted(store.folder.glob("shard-*"))[0]
    os.utime(first, (START - 86_400, START - 86_400))
    (part,) = read_progress(store, now=START + 40.0).parts
    assert part.rate == pytest.approx(1 / 10)


def test_without_a_new_shard_the_time_left_is_unknown(tmp_path: Path) -> None:
    store = fill(tmp_path, [[entry(video)] for video in IDS[:4]], seconds=10.0)
    progress = read_progress(store, now=START + 3600.0)
    assert (progress.rate, progress.seconds_left) == (None, None)
    assert progress.stopped_parts() == [""]


def test_a_full_store_has_no_time_left(tmp_path: Path) -> None:
    store = fill(tmp_path, [[entry(video) for video in IDS]], seconds=10.0)
    progress = read_progress(store, now=START + 3600.0)
    assert (progress.missing, progress.seconds_left) == (0, 0.0)
    assert progress.stopped_parts() == []


def test_an_empty_store_has_everything_to_do(tmp_path: Path) -> None:
    (part,) = read_progress(fill(tmp_path, [], seconds=1.0)).parts
    assert (part.missing, part.rate, part.last_write) == (40, None, None)


def test_failures_are_counted_by_their_cause(tmp_path: Path) -> None:
    reasons = {
        "video000": "media/video000.mp4: empty file. Fix: copy it again.",
        "video001": "media/video001.mp4: empty file. Fix: copy it again.",
        "video002": "gave no result within 600 s",
        "video003": "gave no result within 612.5 s",
        "video004": "no file for video004 in media",
    }
    rows = [failed(video, reason) for video, reason in reasons.items()]
    store = fill(tmp_path, [rows], seconds=1.0)
    store.add([entry("video000")])  # it was tried again
    progress = read_progress(store)
    assert progress.reasons == {
        "gave no result within N s": 2,
        "empty file": 1,
        "no file for … in media": 1,
    }
    assert progress.parts[0].failed == 4


def test_a_slow_part_and_one_without_a_job_are_named(tmp_path: Path) -> None:
    for number, seconds in ((1, 10.0), (2, 10.0), (3, 50.0)):
        part = Part(number, 4)
        shards = [[entry(video)] for video in part.select(IDS)[:5]]
        fill(tmp_path, shards, seconds=seconds, part=part)
    store = fill(tmp_path, [], seconds=1.0, part=Part(4, 4))
    progress = read_progress(store, now=START + 210.0)
    assert [part.name for part in progress.parts] == [
        f"part-{number}-of-4" for number in (1, 2, 3, 4)
    ]
    assert progress.slow_parts() == ["part-3-of-4"]
    assert progress.stopped_parts() == ["part-4-of-4"]
    assert progress.rate == pytest.approx(0.1 + 0.1 + 0.02)
    assert progress.seconds_left is None  # of part 4
    assert progress.missing == 25


def test_a_row_in_another_part_is_not_missing(tmp_path: Path) -> None:
    store = fill(tmp_path, [[entry(video) for video in IDS[:10]]], seconds=1.0)
    fill(tmp_path, [], seconds=1.0, part=Part(1, 2))
    whole, part = read_progress(store).parts
    assert (whole.missing, part.missing) == (30, 15)


@pytest.mark.parametrize(
    ("reason", "short"),
    [
        ("ValueError: bad sample", "ValueError: bad sample"),
        ("x.mp4: no audio: AAC is damaged. Fix: y.", "no audio: AAC is damaged"),
        (
            "its worker process died, signal 9 (SIGKILL)",
            "its worker process died, signal N (SIGKILL)",
        ),
        ("", ""),
    ],
)
def test_a_reason_loses_details_of_single_files(reason: str, short: str) -> None:
    assert shorten_reason(reason, "x") == short

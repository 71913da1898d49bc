"""Jobs that write parts of one store at the same time: no lock in common, and one store to read."""

from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.stages import killing
from vaplan.errors import MachineError, StoreError, UsageError
from vaplan.store import Entry, Part, Store, find_stores

NAME = "audio:x"
ABOUT = {"dimension": 2}
IDS = [f"video{number:02}" for number in range(20)]


def entry(video: str, value: float | None = None) -> Entry:
    number = float(video[-2:]) if value is None else value
    return Entry(video, np.full((3, 2), number, np.float32), np.ones(3, dtype=bool))


def fill(root: Path, part: Part | None, *, size: int = 2) -> Store:
    """Write the videos of a part in shards of some videos."""
    videos = part.select(IDS) if part else IDS
    store = Store.create(root, NAME, ABOUT, planned=videos, part=part)
    with store.open_writer() as writer:
        for start in range(0, len(videos), size):
            writer.add([entry(video) for video in videos[start : start + size]])
    return store


@given(st.integers(1, 40), st.integers(0, 30))
def test_every_video_is_in_one_part(count: int, videos: int) -> None:
    ids = [str(number) for number in range(videos)]
    parts = [Part(number, count).select(ids) for number in range(1, count + 1)]
    assert sorted(video for part in parts for video in part) == sorted(ids)
    sizes = [len(part) for part in parts]
    assert max(sizes) - min(sizes) <= 1


@pytest.mark.parametrize(
    "text", ["3", "3/", "/3", "a/3", "1/2/3", "-1/3", "²/3", "0.5/3"]
)
def test_a_text_that_is_no_part_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="is not NUMBER/COUNT"):
        Part.parse(text)


@pytest.mark.parametrize("text", ["0/3", "4/3", "1/0", "1/100001"])
def test_a_part_that_does_not_exist_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="does not exist"):
        Part.parse(text)


def test_parts_that_start_at_the_same_time_make_one_store(tmp_path: Path) -> None:
    parts = [Part(number, 3) for number in (1, 2, 3)]
    with ProcessPoolExecutor(3, mp_context=get_context("spawn")) as pool:
        list(pool.map(fill, [tmp_path / "parts"] * 3, parts))
    whole = fill(tmp_path / "whole", None)
    (store,) = find_stores(tmp_path / "parts").values()
    assert store.content_hash() == whole.content_hash()
    assert sorted(store.planned) == sorted(whole.planned) == IDS
    assert store.list_missing(IDS) == []
    assert store.verify() == []
    assert store.describe()["lacking"] == 0
    feature, mask, lengths = store.read(IDS)
    assert np.array_equal(lengths.pad(feature)[:, 0, 0], np.arange(20))
    assert mask.all()
    assert sorted(entry.video for entry in store.read_entries()) == IDS


def test_a_part_is_locked_for_itself(tmp_path: Path) -> None:
    fill(tmp_path, Part(1, 2))
    first = Store.create(tmp_path, NAME, ABOUT, planned=[], part=Part(1, 2))
    second = Store.create(tmp_path, NAME, ABOUT, planned=[IDS[1]], part=Part(2, 2))
    with first.open_writer():
        with (
            pytest.raises(MachineError, match="the store is locked by pid"),
            first.open_writer(),
        ):
            pass
        second.add([entry(IDS[1])])
    assert IDS[1] in second.read_statuses()


@pytest.mark.parametrize("later", [None, Part(1, 2), Part(2, 3)])
def test_of_two_rows_of_one_video_the_later_one_counts_in_any_part(
    tmp_path: Path, later: Part | None
) -> None:
    fill(tmp_path, Part(1, 2), size=1)
    store = Store.create(tmp_path, NAME, ABOUT, planned=["video04"], part=later)
    store.add([entry("video04", 99.0)])
    feature, _, lengths = store.read(["video04", "video06"])
    assert lengths.pad(feature)[:, 0, 0].tolist() == [99.0, 6.0]


def test_damage_in_a_part_is_found(tmp_path: Path) -> None:
    store = fill(tmp_path, Part(2, 2))
    shard = next(store.own_folder.glob("shard-*"))
    shard.write_bytes(shard.read_bytes()[:-1] + b"x")
    assert any(
        problem.startswith(f"part-2-of-2/{shard.name}") for problem in store.verify()
    )
    (store.own_folder / "plan.json").unlink()
    assert any("plan.json" in problem for problem in store.verify())


def test_a_video_of_another_part_is_refused(tmp_path: Path) -> None:
    fill(tmp_path, Part(1, 2))
    second = Store.create(tmp_path, NAME, ABOUT, planned=[IDS[1]], part=Part(2, 2))
    with pytest.raises(StoreError, match="video00 is not planned"):
        second.add([entry(IDS[0])])


def test_two_stores_of_one_encoder_are_an_error(tmp_path: Path) -> None:
    store = fill(tmp_path, Part(1, 2))
    other = Store.create(
        tmp_path / "other", NAME, {"dimension": 2, "device": "cuda"}, planned=IDS
    )
    other.folder.rename(tmp_path / other.folder.name)
    with pytest.raises(
        StoreError, match=r"two stores of audio:x.*" + store.folder.name
    ):
        find_stores(tmp_path)


def test_features_by_parts_have_the_content_of_features_in_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module, name, value in killing.PRETENCE:
        monkeypatch.setattr(module, name, value)
    whole = killing.with_media(tmp_path / "whole")
    killing.job(whole)
    root = killing.with_media(tmp_path / "parts")
    for number in (3, 1, 2):
        outcome = killing.job(root, part=Part(number, 3))
        assert (outcome.done, outcome.already) == (3 if number == 1 else 2, 0)
        assert killing.job(root, part=Part(number, 3)).done == 0
    assert killing.job(root).already == len(killing.VIDEOS)
    assert killing.held(root) == killing.held(whole)

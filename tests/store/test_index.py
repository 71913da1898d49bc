"""The index of a store never changes the content: not if it is old, damaged, or of deleted shards."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vaplan.errors import StoreError
from vaplan.store import Entry, Part, Store, index, shards
from vaplan.store.card import short_hash

IDS = [f"video{number:02}" for number in range(24)]


def entry(video: str, value: float = 1.0) -> Entry:
    if video == "video05":
        return Entry(video, None, np.zeros(0, dtype=bool), "failed", "empty file")
    feature = np.full((3, 2), value, np.float32)
    return Entry(video, feature, np.ones(3, dtype=bool))


def fill(root: Path, videos: list[str], part: Part | None = None) -> Store:
    store = Store.create(root, "audio:x", {"dimension": 2}, planned=IDS, part=part)
    with store.open_writer() as writer:
        for start in range(0, len(videos), 2):
            writer.add([entry(video) for video in videos[start : start + 2]])
    return store


@pytest.fixture(autouse=True)
def small_index(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index, "MIN_SHARDS", 4)


def view(store: Store) -> dict[str, Any]:
    return {
        "statuses": store.read_statuses(),
        "missing": store.list_missing(IDS),
        "retried": store.list_missing(IDS, retry="EMPTY"),
        "described": store.describe(),
        "problems": store.verify(),
        "features": store.read(list(store.read_statuses()))[0].tolist(),
    }


def without_index(store: Store) -> dict[str, Any]:
    for path in store.folder.rglob(index.INDEX_FILE):
        path.unlink()
    return view(store)


def test_a_few_shards_need_no_index(tmp_path: Path) -> None:
    store = fill(tmp_path, IDS[:6])
    assert not (store.folder / index.INDEX_FILE).exists()


def test_a_store_reads_alike_with_and_without_its_index(tmp_path: Path) -> None:
    store = fill(tmp_path, IDS[:10])
    assert (store.folder / index.INDEX_FILE).exists()
    store.add([entry("video03", 7.0)])  # later than the index
    store.add([entry(IDS[11])])
    with_index = view(store)
    assert with_index["statuses"]["video05"] == ("failed", "empty file")
    assert with_index["retried"] == ["video05", *with_index["missing"]]
    assert with_index == without_index(store)


def test_indexed_shards_are_not_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = fill(tmp_path, IDS[:10])
    store.add([entry(IDS[11])])
    opened = list[Path]()
    real = shards.read_columns

    def read_columns(shard: Path, columns: Any) -> Any:
        opened.append(shard)
        return real(shard, columns)

    monkeypatch.setattr(shards, "read_columns", read_columns)
    assert len(store.list_missing(IDS)) == len(IDS) - 11
    assert opened == [shards.list_shards(store.folder)[-1]]


def test_each_part_has_its_own_index(tmp_path: Path) -> None:
    for part in (Part(1, 2), Part(2, 2)):
        store = fill(tmp_path, list(part.select(IDS)), part)
    assert len(list(store.folder.glob(f"part-*/{index.INDEX_FILE}"))) == 2
    with_index = view(store)
    assert with_index["missing"] == []
    assert with_index == without_index(store)


def test_the_videos_of_a_deleted_shard_are_missing(tmp_path: Path) -> None:
    store = fill(tmp_path, IDS)
    shards.list_shards(store.folder)[1].unlink()
    assert store.list_missing(IDS) == IDS[2:4]
    with pytest.raises(StoreError, match="1 of 1 videos are not in the store"):
        store.read(["video02"])


@pytest.mark.parametrize("place", [0, 100, -1])
def test_a_damaged_index_is_ignored_and_written_again(
    tmp_path: Path, place: int
) -> None:
    store = fill(tmp_path, IDS[:10])
    path = store.folder / index.INDEX_FILE
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)
    assert index.read_index(store.folder) is index.EMPTY
    damaged = view(store)
    with store.open_writer():
        pass
    assert index.read_index(store.folder).position
    assert view(store) == damaged


def test_a_damaged_shard_is_still_found_by_verify_and_by_a_reader(
    tmp_path: Path,
) -> None:
    store = fill(tmp_path, IDS)
    shard = shards.list_shards(store.folder)[0]
    content = bytearray(shard.read_bytes())
    place = content.find(np.full(6, 1.0, np.float16).tobytes())
    content[place] ^= 1
    shard.write_bytes(content)
    assert any("video0" in problem for problem in store.verify())
    with pytest.raises(StoreError, match="changed since they were written"):
        store.read(IDS[:2])


def test_the_digest_of_the_content_is_that_of_the_checksums_in_order(
    tmp_path: Path,
) -> None:
    store = fill(tmp_path, IDS[::-1])
    paths = shards.list_shards(store.folder)
    rows = [row for path in paths for row in shards.read_shard(path)[0].to_pylist()]
    rows.sort(key=lambda row: row["video"])
    expected = short_hash(b"".join(row["checksum"] for row in rows))
    assert store.content_hash() == expected

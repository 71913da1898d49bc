"""Stores, media and tables on object storage: the same content, also if the storage fails or is slow."""

from collections.abc import Iterator, Sequence
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests import object_storage
from tests.conftest import EMBEDDED, World
from tests.object_storage import BUCKET, Server
from tests.store.test_parts import IDS, entry, fill
from vaplan import objects, stages
from vaplan.annotations.media_files import list_media_files
from vaplan.annotations.table import read_rows, write_rows
from vaplan.errors import MachineError, MissingExtra, StoreError, UsageError
from vaplan.store import Part, Store, find_stores
from vaplan.store.progress import read_progress
from vaplan.workers import Work
from vaplan.workers.faults import Guarded
from vaplan.writing import write_json

pytest.importorskip("moto", reason="its S3 server is not installed: pip install moto")
REMOTE = Path(f"s3://{BUCKET}")


@pytest.fixture(scope="module")
def storage() -> Iterator[Server]:
    objects._make_storage.cache_clear()
    with object_storage.serve() as server:
        yield server
    objects._make_storage.cache_clear()


@pytest.fixture
def server(storage: Server) -> Iterator[Server]:
    """The server without faults, before and after each test."""
    yield storage
    storage.is_failing = lambda method, path: False
    storage.wait = 0.0
    storage.failures.clear()


@pytest.fixture(params=["s3", "file"])
def folder(request: Any, server: Server, tmp_path: Path) -> Path:
    """An empty remote folder."""
    if request.param == "s3":
        return REMOTE / tmp_path.name
    return Path(f"file://{tmp_path}/remote")


def test_files_are_written_listed_and_read(folder: Path) -> None:
    contents = {folder / "a" / f"{number}.bin": b"x" * number for number in range(3)}
    for path, content in contents.items():
        assert not objects.exists(path)
        objects.write_remote(path, content)
        assert objects.read_bytes(path) == content
    objects.write_remote(folder / "b.txt", b"text")
    assert sorted(objects.glob(folder, "*/*.bin")) == sorted(contents)
    assert sorted(objects.glob(folder, "*")) == [folder / "a", folder / "b.txt"]
    assert objects.glob(folder, "none/*") == []
    assert [status.size for status in objects.stat_all([*contents])] == [0, 1, 2]
    assert set(objects.list_tree(folder)) == {*contents, folder / "b.txt"}
    with objects.local_copy(folder / "b.txt") as copy:
        assert (copy.name, copy.read_bytes()) == ("b.txt", b"text")
    assert not copy.exists()


def test_what_does_not_exist_is_not_found(folder: Path) -> None:
    with pytest.raises(FileNotFoundError):
        objects.read_bytes(folder / "none")
    with pytest.raises(FileNotFoundError), objects.local_copy(folder / "none"):
        pass
    with pytest.raises(FileNotFoundError):
        objects.list_tree(folder / "none")


def test_a_store_has_the_content_of_a_local_one(folder: Path, tmp_path: Path) -> None:
    whole = fill(tmp_path / "local", None)
    for number in (1, 2, 3):
        fill(folder, Part(number, 3))
    (store,) = find_stores(folder).values()
    assert store.content_hash() == whole.content_hash()
    assert store.verify() == []
    assert store.list_missing([*IDS, "more"]) == ["more"]
    remote, local = store.describe(), whole.describe()
    assert remote["folder"] == objects.to_uri(store.folder)
    assert remote["bytes"] > 0
    for key in ("planned", "lacking", "ok", "segments"):
        assert remote[key] == local[key]
    feature, mask, lengths = store.read(IDS)
    assert np.array_equal(lengths.pad(feature)[:, 0, 0], np.arange(len(IDS)))
    assert mask.all()
    progress = read_progress(store)
    assert [part.name for part in progress.parts] == [
        f"part-{n}-of-3" for n in (1, 2, 3)
    ]
    assert sum(part.ok for part in progress.parts) == len(IDS)


def test_a_store_with_many_shards_is_read_through_its_index(
    server: Server, tmp_path: Path
) -> None:
    store = fill(REMOTE / tmp_path.name, None, size=1)
    requests = list[str]()
    server.is_failing = lambda method, path: bool(requests.append(path))
    assert store.list_missing(IDS) == []
    assert not any(path.endswith(".parquet") for path in requests)


def test_damage_of_a_shard_is_found(folder: Path) -> None:
    store = fill(folder, None)
    (shard, *_) = sorted(objects.glob(store.folder, "shard-*"))
    objects.write_remote(shard, objects.read_bytes(shard)[:-1] + b"x")
    assert any(shard.name in problem for problem in store.verify())


def test_a_video_that_is_not_planned_is_refused(folder: Path) -> None:
    with pytest.raises(StoreError, match="video99 is not planned"):
        fill(folder, None).add([entry("video99")])


def test_one_process_at_a_time_writes_on_this_machine(folder: Path) -> None:
    store = fill(folder, None)
    with (
        store.open_writer(),
        pytest.raises(MachineError) as caught,
        store.open_writer(),
    ):
        pass
    assert "the store is locked by pid" in str(caught.value)


def test_every_third_request_may_fail_and_answers_may_be_slow(
    server: Server, tmp_path: Path
) -> None:
    numbers = count()
    server.is_failing = lambda method, path: next(numbers) % 3 == 0
    server.wait = 0.02
    store = fill(REMOTE / tmp_path.name, None, size=5)
    assert store.content_hash() == fill(tmp_path / "local", None).content_hash()
    assert {method for method, _ in server.failures} >= {"GET", "PUT"}


def test_a_storage_that_refuses_to_write_is_an_error_of_one_line_and_leaves_nothing(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(objects, "ATTEMPTS", 2)
    objects._make_storage.cache_clear()
    path = REMOTE / tmp_path.name / "shard"
    server.is_failing = lambda method, path: method in ("PUT", "POST")
    with pytest.raises(MachineError) as caught:
        objects.write_remote(path, b"x" * 1000)
    text = str(caught.value)
    assert text.startswith(f"s3://{BUCKET}/{tmp_path.name}/shard: ")
    assert "Fix: check the network, the bucket and the credentials" in text
    assert "\n" not in text
    server.is_failing = lambda method, path: False
    objects._make_storage.cache_clear()
    assert not objects.exists(path)


def test_a_large_object_arrives_whole(server: Server, tmp_path: Path) -> None:
    content = np.random.default_rng(0).bytes(12 * 1024**2)
    path = REMOTE / tmp_path.name / "large"
    objects.write_remote(path, content)
    with objects.local_copy(path) as copy:
        assert copy.read_bytes() == content


def in_this_process(
    work: Work, items: Sequence[Any], *, count: int, seconds: Any, watch: Any = None
) -> Iterator[tuple[Any, Any]]:
    """An engine that needs no environment but that of this process."""
    if work.prepare:
        work.prepare(*work.arguments)
    return ((item, Guarded(work.function)(item)) for item in items)


def test_features_from_remote_media_and_table_have_the_content_of_local_ones(
    folder: Path, world: World, tmp_path: Path
) -> None:
    videos = world.data.ids[:2]
    rows = [row for row in read_rows(world.table).rows if row.video in videos]
    for name in ("few.csv", "few.parquet"):
        table = write_rows(tmp_path / name, rows)
        objects.write_remote(folder / name, table.read_bytes())
    for video in videos:
        path = next(world.folder.rglob(f"{video}.*"))
        objects.write_remote(folder / "media" / path.name, path.read_bytes())

    data = stages.read_data(f"table:{objects.to_uri(folder)}/few.csv")
    assert (
        stages.read_data(f"table:{objects.to_uri(folder)}/few.parquet").ids == data.ids
    )
    local = tmp_path / "local"
    stages.features(
        data, world.folder, local, encoders=EMBEDDED, engine=in_this_process
    )
    media, root = folder / "media", folder / "store"
    outcome = stages.features(
        data, media, root, encoders=EMBEDDED, engine=in_this_process
    )
    assert (outcome.done, outcome.failed) == (2, ())
    for name in ("audio:embedded", "visual:embedded"):
        one, other = Store.open(local, name), Store.open(root, name)
        assert one.content_hash() == other.content_hash()
    again = stages.features(
        data, media, root, encoders=EMBEDDED, engine=in_this_process
    )
    assert (again.done, again.already) == (0, 2)


def test_the_failure_of_a_remote_file_names_it(folder: Path, tmp_path: Path) -> None:
    objects.write_remote(folder / "media" / "a.mp4", b"not a film")
    objects.write_remote(folder / "tags.csv", b"video,tags\na,Dog\n")
    data = stages.read_data(f"table:{objects.to_uri(folder)}/tags.csv")
    outcome = stages.features(
        data,
        folder / "media",
        tmp_path / "store",
        encoders=EMBEDDED,
        engine=in_this_process,
    )
    ((video, reason),) = outcome.failed
    assert video == "a"
    assert reason.startswith(f"{objects.to_uri(folder)}/media/a.mp4: ")


def test_timelines_of_remote_files_mirror_their_folder(
    folder: Path, tmp_path: Path
) -> None:
    objects.write_remote(folder / "deep" / "a.mp4", b"not a film")
    objects.write_remote(folder / ".hidden" / "b.mp4", b"not a film")
    (file,) = list_media_files([folder]).files
    assert (file.path, file.name) == (folder / "deep" / "a.mp4", "deep/a")
    with pytest.raises(UsageError, match="cannot be written beside a file on object"):
        stages.parse([folder], None, load=dict)
    with pytest.raises(UsageError, match="only feature stores are written"):
        stages.parse([folder], folder / "out", load=dict)
    local = tmp_path / "out"
    with pytest.raises(UsageError, match="no such folder"):
        stages.parse([folder / "none"], local, load=dict)


def test_other_results_are_not_written_to_object_storage() -> None:
    with pytest.raises(UsageError, match="only feature stores are written"):
        write_json(REMOTE / "run.json", {})


def test_a_build_of_pyarrow_without_the_client_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from pyarrow import fs

    monkeypatch.delattr(fs, "GcsFileSystem")
    objects._make_storage.cache_clear()
    with pytest.raises(MissingExtra, match="no client for gs://"):
        objects.exists(Path("gs://bucket/x"))

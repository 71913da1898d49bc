import errno
import json
import os
import signal
import subprocess
import sys
import textwrap
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from vaplan.errors import Exit, MachineError, StoreError, VaplanError
from vaplan.store import Entry, Store, find_stores, shards

DIMENSION = 4
ABOUT = {"dimension": DIMENSION, "weights": "a1b2"}
IDS = [f"video{i}" for i in range(6)]


def entry(video: str, segments: int = 3) -> Entry:
    generator = np.random.default_rng(IDS.index(video))
    mask = generator.random(segments) < 0.8
    feature = np.where(
        mask[:, None], generator.standard_normal((segments, DIMENSION)), 0
    ).astype(np.float32)
    return Entry(video, feature, mask, warnings=("a warning",), source="abc")


def failed(video: str, reason: str = "worker died") -> Entry:
    return Entry(video, None, np.zeros(0, dtype=bool), "failed", reason)


def filled(root: Path, *, groups: tuple[tuple[str, ...], ...] = (tuple(IDS),)) -> Store:
    store = Store.create(root, "clip:x", ABOUT, planned=IDS)
    for group in groups:
        store.add([entry(video) for video in group])
    return store


entries = st.integers(0, 7).flatmap(
    lambda segments: st.tuples(
        arrays.arrays(
            np.float32, (segments, DIMENSION), elements=st.floats(-8, 8, width=16)
        ),
        arrays.arrays(bool, segments),
    )
)


@settings(max_examples=25)
@given(st.lists(entries, min_size=1, max_size=6))
def test_features_are_read_padded_and_zero_under_the_mask(tmp_path_factory, written):
    store = Store.create(tmp_path_factory.mktemp("store"), "clip:x", ABOUT, planned=IDS)
    store.add(
        [Entry(IDS[i], feature, mask) for i, (feature, mask) in enumerate(written)]
    )
    order = list(reversed(range(len(written))))
    values, exists, lengths = store.read([IDS[i] for i in order])
    assert lengths.counts.tolist() == [len(written[i][1]) for i in order]
    assert values.shape == (lengths.total, DIMENSION)
    feature, mask = lengths.pad(values), lengths.pad(exists)
    longest = lengths.longest
    for row, i in enumerate(order):
        there = written[i][1]
        assert mask[row].tolist() == there.tolist() + [False] * (longest - len(there))
        assert (
            feature[row, : len(there)].tolist()
            == np.where(there[:, None], written[i][0], 0).tolist()
        )
        assert not feature[row, len(there) :].any()


def test_entries_come_back_whole(tmp_path):
    store = Store.create(tmp_path, "clip:x", ABOUT, planned=IDS)
    absent = Entry(
        IDS[1],
        None,
        np.zeros(3, dtype=bool),
        "absent",
        "the file has no sound",
        ("no audio",),
    )
    store.add([entry(IDS[0]), absent, failed(IDS[2])])
    first, second, third = store.read_entries()
    assert (first.video, first.status, first.warnings, first.source) == (
        IDS[0],
        "ok",
        ("a warning",),
        "abc",
    )
    assert (second.status, second.reason, second.feature, len(second.mask)) == (
        "absent",
        absent.reason,
        None,
        3,
    )
    assert (third.status, third.reason) == ("failed", "worker died")


def test_missing_videos_are_listed_and_a_failure_counts_as_done_unless_retried(
    tmp_path,
):
    store = Store.create(tmp_path, "clip:x", ABOUT, planned=IDS)
    store.add([entry(IDS[0]), failed(IDS[1]), failed(IDS[2], "Empty file")])
    assert store.list_missing(IDS) == IDS[3:]
    assert store.list_missing(IDS, retry="empty") == IDS[2:]
    store.add([entry(IDS[2])])
    assert store.list_missing(IDS, retry="empty") == IDS[3:]
    assert store.read_statuses() == {
        IDS[0]: ("ok", ""),
        IDS[1]: ("failed", "worker died"),
        IDS[2]: ("ok", ""),
    }


def test_missing_features_are_named_with_the_command_that_makes_them(
    tmp_path,
):
    store = filled(tmp_path, groups=(tuple(IDS[:2]),))
    with pytest.raises(
        StoreError, match=r"2 of 3 videos.* video4.*vaplan features"
    ) as caught:
        store.read([IDS[0], IDS[4], IDS[5]])
    assert "vaplan features" in str(caught.value)


def test_no_videos_give_no_features(tmp_path):
    feature, mask, lengths = filled(tmp_path).read([])
    assert feature.shape == (0, DIMENSION)
    assert mask.shape == (0,)
    assert not len(lengths)


@pytest.mark.parametrize(
    ("feature", "message"),
    [
        (np.zeros((3, 5), np.float32), r"shape \(3, 5\), expected \(3, 4\)"),
        (
            np.full((3, 4), np.nan, np.float32),
            "12 of the features of video0 are not finite",
        ),
        (np.full((3, 4), 1e5, np.float32), "not finite"),  # more than a float16 holds
    ],
)
def test_invalid_features_are_refused(tmp_path, feature, message):
    store = Store.create(tmp_path, "clip:x", ABOUT, planned=IDS)
    with pytest.raises(StoreError, match=message):
        store.add([Entry(IDS[0], feature, np.ones(3, dtype=bool))])
    assert store.list_missing(IDS) == IDS


def test_an_encoder_of_the_same_name_but_other_weights_is_refused(tmp_path):
    filled(tmp_path)
    other = ABOUT | {"weights": "ffff"}
    with pytest.raises(StoreError, match="store of another encoder") as caught:
        Store.create(tmp_path, "clip:x", other, planned=IDS)
    assert caught.value.exit == Exit.USAGE
    with pytest.raises(StoreError, match="had weights 'a1b2', now 'ffff'"):
        Store.open(tmp_path, "clip:x", provenance=other)
    assert Store.open(tmp_path, "clip:x", provenance=ABOUT).list_missing(IDS) == []


def test_an_encoder_without_a_store_is_named_with_those_that_have_one(tmp_path):
    filled(tmp_path)
    with pytest.raises(
        StoreError, match=r"store of another encoder: it has no clap:y, only clip:x"
    ):
        Store.open(tmp_path, "clap:y")


def test_a_store_of_another_format_is_refused(tmp_path):
    card = filled(tmp_path).folder / "provenance.json"
    card.write_text(json.dumps(json.loads(card.read_text()) | {"format": 99}))
    with pytest.raises(MachineError, match="store of format 99"):
        Store.open(tmp_path, "clip:x")
    card.write_text("{}")
    with pytest.raises(StoreError, match="changed since it was written"):
        Store.open(tmp_path, "clip:x")


def test_each_encoder_has_a_folder_of_its_own_and_no_path_is_made_from_an_id(tmp_path):
    for name in ("clip:/models/ViT/", "clap:x", "../../up"):
        videos = ["../../../etc/passwd", "-a", "b/c", "nul\0"]
        store = Store.create(tmp_path / "s", name, ABOUT, planned=videos)
        store.add(
            [Entry(video, None, np.zeros(1, dtype=bool), "absent") for video in videos]
        )
        assert store.read(videos)[2].counts.tolist() == [1, 1, 1, 1]
    assert set(find_stores(tmp_path / "s")) == {
        "clip:/models/ViT/",
        "clap:x",
        "../../up",
    }
    assert {path.name for path in tmp_path.iterdir()} == {"s"}
    assert len(list((tmp_path / "s").iterdir())) == 3


def test_planning_more_videos_keeps_the_earlier_ones(tmp_path):
    Store.create(tmp_path, "clip:x", ABOUT, planned=IDS[:3])
    assert Store.create(tmp_path, "clip:x", ABOUT, planned=IDS[2:]).planned == IDS


def test_a_video_that_is_not_planned_is_refused(tmp_path):
    store = Store.create(tmp_path, "clip:x", ABOUT, planned=IDS[:1])
    with pytest.raises(StoreError, match="video1 is not planned"):
        store.add([entry(IDS[1])])


@given(st.permutations(IDS), st.sets(st.integers(1, 5)))
@settings(max_examples=10)
def test_the_content_hash_does_not_depend_on_order_or_grouping(
    tmp_path_factory, order, cuts
):
    edges = [0, *sorted(cuts), len(order)]
    groups = tuple(tuple(order[start:stop]) for start, stop in pairwise(edges))
    once, parts = (
        filled(tmp_path_factory.mktemp("store"), groups=g)
        for g in ((tuple(IDS),), groups)
    )
    assert parts.content_hash() == once.content_hash()


def test_the_content_hash_changes_with_one_number(tmp_path):
    store = filled(tmp_path)
    before = store.content_hash()
    changed = entry(IDS[0])
    changed.feature[np.flatnonzero(changed.mask)[0], 0] += 1
    store.add([changed])
    assert store.content_hash() != before


def test_a_store_that_is_not_filled_yet_is_not_damaged(tmp_path):
    assert filled(tmp_path / "whole").verify() == []
    part = filled(tmp_path / "part", groups=(tuple(IDS[:5]),))
    assert part.verify() == []
    assert part.list_missing(part.planned) == ["video5"]


def test_a_store_can_be_verified_while_its_plan_grows(tmp_path, monkeypatch):
    store = filled(tmp_path)
    read_shard = shards.read_shard

    def grow(shard):
        store.plan(["a new video"])
        return read_shard(shard)

    monkeypatch.setattr(shards, "read_shard", grow)
    assert store.verify() == []


@pytest.mark.parametrize("part", [0.0, 0.2, 0.5, 0.8, 0.999])
def test_verify_finds_any_changed_byte(tmp_path, part):
    store = filled(tmp_path)
    (shard,) = store.folder.glob("shard-*")
    content = bytearray(shard.read_bytes())
    content[int(part * len(content))] ^= 1
    shard.write_bytes(content)
    assert any(shard.name in problem for problem in store.verify())


@pytest.mark.parametrize("name", ["provenance.json", "plan.json"])
def test_verify_finds_any_changed_byte_of_the_other_files(tmp_path, name):
    store = filled(tmp_path)
    content = (store.folder / name).read_bytes()
    for at in range(len(content)):
        (store.folder / name).write_bytes(
            content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]
        )
        try:
            problems = [
                problem
                for found in find_stores(tmp_path).values()
                for problem in found.verify()
            ]
        except VaplanError as error:
            problems = [str(error)]
        assert any(name in problem for problem in problems), (at, content[at : at + 10])


def test_a_store_without_a_plan_is_incomplete(tmp_path):
    store = filled(tmp_path)
    (store.folder / "plan.json").unlink()
    assert any(
        "plan.json: missing" in problem
        for problem in Store.open(tmp_path, "clip:x").verify()
    )


def test_an_unreadable_shard_is_a_machine_error_and_not_to_be_deleted(
    tmp_path, monkeypatch
):
    store = filled(tmp_path)

    def refused(_: Path) -> bytes:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(Path, "read_bytes", refused)
    with pytest.raises(
        MachineError, match="cannot be read: Input/output error"
    ) as caught:
        store.read(IDS)
    assert "delete" not in str(caught.value)


def test_a_changed_feature_is_named_and_not_read(tmp_path):
    store = filled(tmp_path)
    (shard,) = store.folder.glob("shard-*")
    content = shard.read_bytes()
    numbers = entry(IDS[3]).feature.astype(np.float16).tobytes()
    assert content.count(numbers) == 1
    shard.write_bytes(content.replace(numbers, bytes(len(numbers))))
    assert any(f"the row of {IDS[3]} changed" in problem for problem in store.verify())
    with pytest.raises(StoreError, match=f"the features of {IDS[3]} changed"):
        store.read([IDS[3]])
    assert store.read([IDS[0]])[1].any()


def test_a_second_writer_gets_an_error_that_names_the_first(tmp_path):
    store = filled(tmp_path)
    with (
        store.open_writer(),
        pytest.raises(
            MachineError, match=f"the store is locked by pid {os.getpid()} on .* since"
        ) as caught,
    ):
        Store.open(tmp_path, "clip:x").add([entry(IDS[0])])
    assert caught.value.exit == Exit.MACHINE
    Store.open(tmp_path, "clip:x").add([entry(IDS[0])])


WRITER = """
    import os, signal, sys
    import numpy as np
    from vaplan.store import Entry, Store

    root, stop = sys.argv[1], int(sys.argv[2])
    store = Store.create(root, "clip:x", {"dimension": 4, "weights": "a1b2"}, planned=[f"video{i}" for i in range(6)])
    calls = 0

    def die(function):
        def call(*arguments, **options):
            global calls
            calls += 1
            if calls == stop:
                os.kill(os.getpid(), signal.SIGKILL)
            return function(*arguments, **options)
        return call

    os.fsync, os.replace, os.rename, os.ftruncate = map(die, (os.fsync, os.replace, os.rename, os.ftruncate))
    for i in range(6):
        store.add([Entry(f"video{i}", np.full((2, 4), i, np.float32), np.ones(2, dtype=bool))])
        print(i, flush=True)
"""


@pytest.mark.parametrize("stop", [1, 2, 3, 6, 8])
def test_a_killed_writer_leaves_every_acknowledged_row_and_a_free_lock(tmp_path, stop):
    command = [sys.executable, "-c", textwrap.dedent(WRITER), str(tmp_path), str(stop)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL
    store = Store.open(tmp_path, "clip:x")
    acknowledged = [f"video{line}" for line in done.stdout.split()]
    assert not set(acknowledged) & set(store.list_missing(IDS))
    assert store.verify() == []
    store.add(
        [
            Entry(v, np.full((2, 4), int(v[-1]), np.float32), np.ones(2, dtype=bool))
            for v in store.list_missing(IDS)
        ]
    )
    assert store.verify() == []
    assert not list(store.folder.glob(".*.part"))
    feature, _, lengths = store.read(IDS)
    assert lengths.pad(feature)[:, 0, 0].tolist() == [0, 1, 2, 3, 4, 5]


def test_a_full_disk_is_named_with_what_is_needed_and_the_store_still_opens(
    tmp_path, monkeypatch
):
    store = filled(tmp_path, groups=(tuple(IDS[:2]),))

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(
            MachineError, match=r"No space left on device.*free [\d,]+ bytes"
        ) as caught:
            store.add([entry(IDS[2])])
        assert str(store.folder) in str(caught.value)
    assert store.list_missing(IDS) == IDS[2:]
    store.add([entry(video) for video in IDS[2:]])
    assert store.content_hash() == filled(tmp_path / "unbroken").content_hash()


def test_info_counts_the_content(tmp_path):
    store = filled(tmp_path, groups=(tuple(IDS[:2]),))
    store.add([failed(IDS[2])])
    info = json.loads(json.dumps(store.describe()))
    counts = {
        key: info[key]
        for key in (
            "planned",
            "lacking",
            "ok",
            "absent",
            "failed",
            "segments",
            "shards",
        )
    }
    assert counts == {
        "planned": 6,
        "lacking": 3,
        "ok": 2,
        "absent": 0,
        "failed": 1,
        "segments": 6,
        "shards": 2,
    }
    assert info["reasons"] == {"worker died": 1}
    assert info["encoder"] == "clip:x"


def test_blocks_hold_the_latest_features_of_every_video_once(tmp_path):
    store = filled(tmp_path, groups=(tuple(IDS), (IDS[0],), (IDS[-1],)))
    blocks = [*store.read_blocks()]
    videos = [video for names, _ in blocks for video in names]
    assert sorted(videos) == sorted(IDS)
    assert len(blocks) == 3
    for names, block in blocks:
        feature, mask, lengths = store.read(names)
        assert block.segments.tolist() == lengths.counts.tolist()
        assert np.array_equal(block.mask, mask)
        assert np.array_equal(block.feature, feature)

"""Media files to a store: resumable, with the same bytes in every order, and no file stops another."""

import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import EMBEDDED, World
from vaplan import stages
from vaplan.annotations import Annotations
from vaplan.dataset import open_features, read_inputs
from vaplan.encoders import service
from vaplan.encoders.compute import Compute
from vaplan.errors import MachineError, StoreError
from vaplan.stages.features import _load_encoders
from vaplan.store import Store


def some(world: World, count: int) -> Annotations:
    return world.data.select_videos(world.data.ids[:count])


def hashes(store: Path) -> list[str]:
    return [
        folder.content_hash()
        for group in open_features(store, EMBEDDED)
        for folder in group
    ]


def test_a_second_run_has_nothing_to_do(world: World) -> None:
    before = sorted(
        (p.name, p.stat().st_mtime_ns) for p in world.store.rglob("*.parquet")
    )
    outcome = stages.features(
        world.data, world.folder, world.store, encoders=EMBEDDED, workers=1
    )
    assert (outcome.done, outcome.already, outcome.failed) == (
        0,
        len(world.data.videos),
        (),
    )
    assert (
        sorted((p.name, p.stat().st_mtime_ns) for p in world.store.rglob("*.parquet"))
        == before
    )


def test_workers_and_interruptions_do_not_change_a_byte(
    world: World, tmp_path: Path
) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    stages.features(some(world, 4), world.folder, whole, encoders=EMBEDDED, workers=1)
    stages.features(some(world, 2), world.folder, parts, encoders=EMBEDDED, workers=1)
    stages.features(some(world, 4), world.folder, parts, encoders=EMBEDDED, workers=2)
    assert hashes(whole) == hashes(parts)


@pytest.mark.parametrize("device", ["cpu", "cpu,cpu"])
def test_encoder_processes_do_not_change_a_byte(
    world: World, tmp_path: Path, device: str
) -> None:
    encode = partial(
        stages.features, world.data, world.folder, encoders=EMBEDDED, workers=2
    )
    ours = encode(
        store=tmp_path / "ours", limit=6, pipeline=True, compute=Compute(device)
    )
    assert (ours.done, ours.failed) == (6, ())
    encode(store=tmp_path / "ours")  # without, as the store does not depend on it
    assert hashes(tmp_path / "ours") == hashes(world.store)


def test_a_job_without_a_file_to_decode_starts_no_encoder_process(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "EncoderProcess", None)
    outcome = stages.features(
        world.data, world.folder, world.store, encoders=EMBEDDED, pipeline=True
    )
    assert outcome.already == len(world.data.videos)


def test_a_bad_file_is_recorded_and_the_rest_is_done(
    world: World, tmp_path: Path
) -> None:
    media = tmp_path / "media"
    media.mkdir()
    good, bad, gone = world.data.videos[:3]
    shutil.copy(world.folder / good.path, media / f"{good.video}.mp4")
    (media / f"{bad.video}.mp4").write_text("this is no film")
    data = replace(
        world.data, videos=tuple(replace(video, path="") for video in (good, bad, gone))
    )
    outcome = stages.features(
        data, media, tmp_path / "store", encoders=EMBEDDED, workers=1
    )
    assert outcome.done == 1
    reasons = dict(outcome.failed)
    assert f"{bad.video}.mp4" in reasons[bad.video]
    assert "no file for" in reasons[gone.video]
    statuses = Store.open(tmp_path / "store", "audio:embedded").read_statuses()
    assert {video for video, (status, _) in statuses.items() if status == "failed"} == {
        bad.video,
        gone.video,
    }
    shutil.copy(world.folder / bad.path, media / f"{bad.video}.mp4")
    again = stages.features(
        data,
        media,
        tmp_path / "store",
        encoders=EMBEDDED,
        workers=1,
        retry=f"{bad.video}.mp4",
    )
    assert (again.done, again.already, [video for video, _ in again.failed]) == (
        1,
        1,
        [gone.video],
    )


def test_a_missing_file_is_looked_for_again(world: World, tmp_path: Path) -> None:
    media = tmp_path / "media"
    media.mkdir()
    (video,) = some(world, 1).videos
    data = replace(world.data, videos=(replace(video, path=""),))
    for _ in range(2):
        assert (
            stages.features(
                data, media, tmp_path / "store", encoders=EMBEDDED, workers=1
            ).done
            == 0
        )
    assert len(list((tmp_path / "store").glob("audio-*/shard-*"))) == 1
    shutil.copy(world.folder / video.path, media / f"{video.video}.mp4")
    outcome = stages.features(
        data, media, tmp_path / "store", encoders=EMBEDDED, workers=1
    )
    assert (outcome.done, outcome.failed) == (1, ())


def test_a_path_that_led_outside_is_tried_again_when_it_is_allowed(
    world: World, tmp_path: Path
) -> None:
    media = tmp_path / "media"
    media.mkdir()
    (video,) = some(world, 1).videos
    shutil.copy(world.folder / video.path, tmp_path / "outside.mp4")
    data = replace(world.data, videos=(replace(video, path="../outside.mp4"),))
    encode = partial(
        stages.features, data, media, tmp_path / "store", encoders=EMBEDDED, workers=1
    )
    for _ in range(2):
        (problem,) = encode().failed
        assert "leads out of the media folder" in problem[1]
    outcome = encode(allow_outside=True)
    assert (outcome.done, outcome.failed) == (1, ())


def test_a_limit_leaves_the_rest_for_the_next_job(world: World, tmp_path: Path) -> None:
    store = tmp_path / "store"
    first = stages.features(
        some(world, 3), world.folder, store, encoders=EMBEDDED, workers=1, limit=2
    )
    rest = stages.features(
        some(world, 3), world.folder, store, encoders=EMBEDDED, workers=1
    )
    assert (first.done, rest.done, rest.already) == (2, 1, 2)


def test_a_second_job_on_a_store_is_refused_while_the_first_one_works(
    world: World, tmp_path: Path
) -> None:
    stages.features(
        some(world, 1), world.folder, tmp_path, encoders=EMBEDDED, workers=1
    )
    with (
        Store.open(tmp_path, "audio:embedded").open_writer(),
        pytest.raises(MachineError, match="locked by pid"),
    ):
        stages.features(
            some(world, 2), world.folder, tmp_path, encoders=EMBEDDED, workers=1
        )


def test_features_are_unit_vectors_and_every_segment_of_a_whole_file_exists(
    world: World,
) -> None:
    inputs = read_inputs(world.store, EMBEDDED, world.data.ids).values
    assert inputs.mask.all()
    for streams in inputs.streams:
        assert np.allclose(streams[0].norm(dim=-1), 1, atol=2e-3)  # kept as float16


def test_a_store_of_another_encoder_is_refused(world: World) -> None:
    with pytest.raises(
        StoreError, match=r"store of another encoder: it has no audio:clap:x"
    ):
        read_inputs(world.store, (("clap:x",), ("embedded",)), world.data.ids)


def test_a_machine_without_the_media_folder_blames_no_file(tmp_path: Path) -> None:
    with pytest.raises(MachineError, match="does not exist on") as caught:
        _load_encoders({}, tmp_path / "not mounted")
    assert caught.value.file == tmp_path / "not mounted"

"""A finished run is never replaced in silence by a run on other tags."""

import json
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

import pytest

from tests.conftest import World
from vaplan import recipe, runs, stages
from vaplan.annotations import Video, read_table
from vaplan.annotations.corrections import read_corrections
from vaplan.annotations.table import event_rows, write_rows
from vaplan.annotations.tags import read_tags
from vaplan.errors import MachineError, RunError, UsageError
from vaplan.locks import lock_folder
from vaplan.runs import Run
from vaplan.stages.fit import encoders_of_run
from vaplan.workers import Progress
from vaplan.writing import write_text

EMBEDDED = (("embedded",), ("embedded",))


def test_other_tags_do_not_replace_a_finished_run(tmp_path: Path) -> None:
    before = tmp_path / "before.csv"
    before.write_text("video,tags\na,Dog\nb,Rain\nc,Dog;Rain\n")
    run = tmp_path / "run"
    write_rows(run / "annotations.csv", read_tags(before))
    (run / "run.json").write_text("{}")
    now = tmp_path / "now.csv"
    now.write_text("video,tags\na,Dog\nb,Dog\nd,Rain\n")
    message = "1 videos are new, 1 are gone and 1 have other tags"
    with pytest.raises(RunError, match=message):
        stages.fit(now, tmp_path, run, encoders=EMBEDDED)
    kept = write_rows(tmp_path / "again.csv", read_tags(before)).read_bytes()
    assert (run / "annotations.csv").read_bytes() == kept


def test_two_jobs_do_not_mix_their_tags_in_one_run_folder(tmp_path: Path) -> None:
    run = tmp_path / "run"
    tags = tmp_path / "tags.csv"
    tags.write_text("video,tags\na,Dog\nb,Rain\n")
    first = write_rows(run / "annotations.csv", read_tags(tags)).read_bytes()
    tags.write_text("video,tags\na,Rain\nb,Dog\n")
    first_job = lock_folder(run, kind="run folder")
    refused = pytest.raises(MachineError, match="the run folder is locked by pid")
    with first_job, refused:
        stages.fit(tags, tmp_path, run, encoders=EMBEDDED)
    assert (run / "annotations.csv").read_bytes() == first


@pytest.fixture
def one_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    read = recipe.read
    small = ("training.epochs=1", "model.settings.hidden=8")

    def read_small(name: str, *, changes: Sequence[str] = ()) -> recipe.Recipe:
        return read(name, changes=[*changes, *small])

    monkeypatch.setattr(recipe, "read", read_small)


def write_tags(path: Path, videos: Sequence[Video]) -> Path:
    lines = [f"{video.path},{';'.join(video.tags)}" for video in videos]
    path.write_text("\n".join(["path,tags", *lines]) + "\n")
    return path


def test_tags_that_exclude_little_are_not_learned(
    world: World, tmp_path: Path, one_epoch: None
) -> None:
    classes = world.data.taxonomy.classes
    videos = [replace(video, tags=classes) for video in world.data.videos[:6]]
    videos[0] = replace(videos[0], tags=classes[:1])
    tags = write_tags(tmp_path / "tags.csv", videos)
    texts = list[str]()
    run, _ = stages.fit(
        tags,
        world.folder,
        tmp_path / "run",
        encoders=EMBEDDED,
        workers=1,
        message=texts.append,
    )
    assert run.recipe.losses == {"segment": 1.0}
    assert run.recipe.decision.rule == "segment"
    assert Path(run.recipe.labels).name == "labels.csv"  # not refined
    assert any("the tags allow nearly every label" in text for text in texts)


@pytest.mark.slow
def test_videos_are_added_to_a_finished_run(
    world: World, tmp_path: Path, one_epoch: None
) -> None:
    run = tmp_path / "run"
    videos = world.data.videos
    first = write_tags(tmp_path / "tags.csv", videos[:6])
    more = write_tags(tmp_path / "more.csv", videos[5:8])
    messages = list[str]()
    encoded = list[tuple[int, int]]()

    def bars(name: str, _unit: str) -> Progress | None:
        def count(done: int, total: int, _problem: str) -> None:
            if name == "features":
                encoded.append((done, total))

        return count

    def fit(tags: Path, **options: bool) -> Run:
        encoded.clear()
        messages.clear()
        trained, _ = stages.fit(
            tags,
            world.folder,
            run,
            encoders=EMBEDDED,
            workers=1,
            message=messages.append,
            bars=bars,
            **options,
        )
        return trained

    fit(first)
    assert encoded[-1] == (6, 6)
    assert any(
        message.startswith("note: 6 tagged videos are few")
        and str(run / "labels.csv") in message
        for message in messages
    )
    weights = (run / "model.safetensors").read_bytes()
    fit(first)
    assert encoded == []  # nothing has changed
    assert (run / "model.safetensors").read_bytes() == weights
    with pytest.raises(RunError, match="--add"):
        fit(more)
    fit(more, add=True)
    assert "2 videos are new, 1 get new tags, 5 stay as they are" in messages
    assert any("trained again" in message for message in messages)
    assert encoded[-1] == (2, 2)
    ids = {video.path.removesuffix(".mp4") for video in videos[:8]}
    assert set(read_table(run / "annotations.csv").ids) == ids
    assert (run / "model.safetensors").read_bytes() != weights
    fit(first, overwrite=True)
    assert (run / "model.safetensors").read_bytes() == weights


def test_the_prompts_of_a_run_are_kept_when_videos_are_added(
    world: World, tmp_path: Path, one_epoch: None
) -> None:
    run = tmp_path / "run"
    videos = world.data.videos
    classes = list(world.data.taxonomy.classes)
    taxonomy = tmp_path / "classes.yaml"
    taxonomy.write_text(
        f"classes: {classes}\nprompts: {{{classes[0]}: {{visual: a bright bell}}}}\n"
    )

    def fit(name: str, selected: Sequence[Video], **options: Any) -> None:
        tags = write_tags(tmp_path / name, selected)
        stages.fit(tags, world.folder, run, workers=1, **options)

    fit("tags.csv", videos[:3], taxonomy=taxonomy)
    fit("more.csv", videos[3:4], add=True)
    data = stages.read_data(f"table:{run / 'annotations.csv'}")
    assert len(data.videos) == 4
    assert data.taxonomy.classes == tuple(classes)  # also those without a tag
    assert data.taxonomy.prompts("visual")[0] == ["a bright bell"]
    taxonomy.write_text("task: localisation\n" + taxonomy.read_text())
    with pytest.raises(UsageError, match="leave `task` out"):
        fit("more.csv", videos[3:4], add=True, taxonomy=taxonomy)


def test_the_encoders_of_a_run_are_the_default(world: World, tmp_path: Path) -> None:
    assert encoders_of_run(tmp_path) == EMBEDDED
    store = tmp_path / "store"
    shutil.copytree(world.store, store)
    [*features] = store.glob("visual-embedded-*")
    card = json.loads((features[0] / "provenance.json").read_text())
    card["encoder"] = "visual:clip:base"
    (features[0] / "provenance.json").write_text(json.dumps(card))
    assert encoders_of_run(tmp_path) == (("embedded",), ("clip:base",))
    changes = ["audio=['clap:base']", "visual=['clip:base', 'own:frames']"]
    write_text(
        tmp_path / "recipe.yaml", recipe.dump(recipe.read("default", changes=changes))
    )
    assert encoders_of_run(tmp_path) == (("clap:base",), ("clip:base", "own:frames"))


def test_folders_are_tags(world: World, tmp_path: Path) -> None:
    media = tmp_path / "videos"
    for name, video in zip(("Bell/a", "Dog/b"), world.data.videos[:2], strict=True):
        file = media / f"{name}.mp4"
        file.parent.mkdir(parents=True)
        shutil.copy(world.folder / video.path, file)
    shutil.copy(media / "Bell" / "a.mp4", media / "Dog" / "a.mp4")
    shutil.copy(media / "Bell" / "a.mp4", media / "loose.mp4")
    texts = list[str]()
    run, failed = stages.fit(
        media,
        None,
        tmp_path / "run",
        encoders=EMBEDDED,
        tags_from_folders=True,
        workers=1,
        message=texts.append,
    )
    assert failed == ()
    data = read_table(run.folder / "annotations.csv")
    assert {video.video: video.tags for video in data.videos} == {
        "Bell/a": ("Bell", "Dog"),
        "Dog/b": ("Dog",),
    }
    assert texts[:2] == [
        "note: 1 media files lie in no class folder and are left out",
        "note: 1 files are copies of others; each content is one video",
    ]


def test_a_folder_is_no_table_and_needs_no_other_folder(tmp_path: Path) -> None:
    videos = tmp_path / "videos"
    videos.mkdir()
    with pytest.raises(UsageError, match="add --tags-from-folders"):
        stages.fit(videos, None, tmp_path / "run", encoders=EMBEDDED)
    with pytest.raises(UsageError, match="leave --media out"):
        stages.fit(
            videos,
            tmp_path,
            tmp_path / "run",
            encoders=EMBEDDED,
            tags_from_folders=True,
        )
    with pytest.raises(UsageError, match="add --media FOLDER"):
        stages.fit(tmp_path / "tags.csv", None, tmp_path / "run", encoders=EMBEDDED)


@pytest.mark.slow
def test_corrected_videos_are_dense_labels_of_the_same_run(
    world: World, tmp_path: Path, one_epoch: None
) -> None:
    run = tmp_path / "run"
    videos = world.data.videos
    tags = write_tags(tmp_path / "tags.csv", videos)
    messages = list[str]()

    def fit(**options: Any) -> Run:
        messages.clear()
        fitted, _ = stages.fit(
            tags,
            world.folder,
            run,
            encoders=EMBEDDED,
            workers=1,
            message=messages.append,
            **options,
        )
        return fitted

    assert fit().metrics == {}
    dense = [video for video in videos if video.video in world.data.events]
    rows = [
        replace(row, video=PurePosixPath(video.path).with_suffix("").as_posix())
        for video in dense
        for row in event_rows(video.video, world.data.events[video.video])
    ]
    table = write_rows(tmp_path / "labels.reviewed.csv", rows)
    corrections = read_corrections(table)
    metrics = fit(corrections=corrections, test_share=0.5).metrics
    assert [*metrics] == ["test"]  # the parser was trained on the dense labels of val
    assert runs.load(run).recipe.train_on_dense_val
    of_test = metrics["test"]["videos"]
    assert 0 < of_test < len(dense)
    text = "\n".join(messages)
    assert (
        f"{len(dense)} corrected videos: {len(dense) - of_test} to fit on, {of_test} to "
        f"measure; {len(videos) - len(dense)} videos with tags alone; from 20 to fit on"
    ) in text
    shown = metrics["test"]["segment"]["type"]
    assert f"type {shown:.1f} [" in messages[-1]
    assert "trained again" in text
    fit()
    assert (
        f"the corrections of {len(dense)} videos of this run are not used"
        in messages[0]
    )

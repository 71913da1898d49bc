"""The videos of a store are parsed as their media files are."""

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Call, call
from tests.conftest import World
from vaplan import recipe as recipes
from vaplan import stages
from vaplan.errors import StoreError
from vaplan.parser import Parser
from vaplan.store import Entry, Store, find_stores

__all__ = ["call"]  # a fixture


@pytest.fixture(scope="module")
def run(world: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    changes = [*world.changes, f"labels={world.labels}", "decision.threshold=0.3"]
    folder = tmp_path_factory.mktemp("runs") / "ple"
    return stages.train(recipes.read("ple", changes=changes), folder).folder


def test_a_stored_video_is_parsed_as_its_file(
    run: Path, world: World, tmp_path: Path
) -> None:
    outcome = stages.parse_features(run, world.store, tmp_path, scores=True)
    assert (outcome.done, outcome.failed) == (len(world.data.ids), ())
    events = 0
    for video in world.data.videos[:3]:
        stored = json.loads((tmp_path / f"{video.video}.json").read_text())
        timeline = Parser.load(run)(world.folder / video.path)
        spans = [(e.modality, e.class_name, e.onset, e.offset) for e in timeline]
        assert spans == [
            (e["modality"], e["class"], e["onset"], e["offset"])
            for e in stored["events"]
        ]
        events += len(spans)
        assert (tmp_path / f"{video.video}.scores.csv").is_file()
    assert events


def test_only_known_tags_are_marked(run: Path, world: World, tmp_path: Path) -> None:
    video = world.data.videos[0]
    stages.parse_features(
        run, world.store, tmp_path, tags={video.video: ()}, formats=["csv", "srt"]
    )
    assert len((tmp_path / f"{video.video}.csv").read_text().splitlines()) <= 2


def test_a_failure_is_reported_and_the_rest_is_parsed(
    run: Path, world: World, tmp_path: Path
) -> None:
    for name, features in find_stores(world.store).items():
        copy = Store.create(
            tmp_path / "store",
            name,
            features.card.provenance,
            planned=world.data.ids[:3],
        )
        entries = {entry.video: entry for entry in features.read_entries()}
        damaged = Entry(
            world.data.ids[0],
            None,
            entries[world.data.ids[0]].mask,
            "failed",
            "damaged",
        )
        copy.add([damaged, *(entries[video] for video in world.data.ids[1:3])])
    problems = list[str]()
    outcome = stages.parse_features(
        run,
        tmp_path / "store",
        tmp_path / "out",
        progress=lambda done, total, problem: problems.append(problem),
    )
    assert outcome.done == 2
    assert outcome.failed == ((world.data.ids[0], "damaged"),)
    assert problems == [f"{world.data.ids[0]}: damaged", "", ""]
    assert len([*(tmp_path / "out").iterdir()]) == 2


def test_features_of_other_weights_are_refused(
    run: Path, world: World, tmp_path: Path
) -> None:
    for name, features in find_stores(world.store).items():
        provenance = {**features.card.provenance, "weights_sha256": "0" * 64}
        Store.create(tmp_path / "store", name, provenance, planned=world.data.ids)
    with pytest.raises(StoreError, match="the weights of audio:embedded differ"):
        stages.parse_features(run, tmp_path / "store", tmp_path / "out")


def test_the_command_needs_one_source_of_videos_and_a_run(
    call: Call, run: Path, world: World, tmp_path: Path
) -> None:
    out = ["--out", tmp_path / "out"]
    stored = ["--store", world.store]
    assert call("parse", *stored, "--run", run, *out)[0] == 0
    assert len([*(tmp_path / "out").glob("*.json")]) == len(world.data.ids)
    for arguments, message in (
        (["--run", run, *out], "one source of videos is needed"),
        ([world.folder, *stored, "--run", run, *out], "one source of videos is needed"),
        ([*stored, *out], "with a trained run"),
        ([*stored, "--run", run, "--beside"], "with a trained run"),
    ):
        code, _, err = call("parse", *arguments)
        assert (code, message in err) == (2, True), err

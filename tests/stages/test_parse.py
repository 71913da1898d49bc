"""Whole trees are parsed; the results mirror them, whatever the names of the files are."""

import json
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import World
from tests.media.films import Film, make
from vaplan import encoders, stages
from vaplan.encoders import checkpoints
from vaplan.encoders.encoded import Encoded
from vaplan.errors import MachineError, UsageError
from vaplan.exports import FORMATS, import_events
from vaplan.media import Segments
from vaplan.modalities import MODALITIES
from vaplan.workers import TimeLimit, Watch, processes
from vaplan.workers.processes import Work
from vaplan.zero_shot import ZeroShotClassifier

Load = Callable[[], ZeroShotClassifier]


@pytest.fixture
def load(world: World) -> Load:
    return partial(
        ZeroShotClassifier.load, world.data.taxonomy, ("embedded", "embedded")
    )


def copy_media(world: World, *paths: Path) -> None:
    source = next(iter(sorted(world.folder.rglob("*.mp4"))))
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, path)


def test_the_timelines_mirror_the_tree(
    world: World, tmp_path: Path, load: Load
) -> None:
    media = tmp_path / "media"
    copy_media(world, media / "a" / "1.mp4", media / "b" / "1.mp4", media / "2.mp4")
    out = tmp_path / "out"
    outcome = stages.parse([media], out, load=load, workers=1)
    assert (outcome.done, outcome.failed) == (3, ())
    written = sorted(path.relative_to(out).as_posix() for path in out.rglob("*.json"))
    assert written == ["2.json", "a/1.json", "b/1.json"]
    assert json.loads((out / "a" / "1.json").read_text())["video"] == "a/1"


def test_encoder_processes_do_not_change_a_timeline(
    world: World, tmp_path: Path, load: Load
) -> None:
    media = tmp_path / "media"
    copy_media(world, media / "a.mp4", media / "b.mp4")
    for name, pipeline in (("plain", None), ("served", True)):
        out = tmp_path / name
        outcome = stages.parse(
            [media], out, load=load, scores=True, workers=1, pipeline=pipeline
        )
        assert outcome.done == 2
    for path in (tmp_path / "plain").iterdir():
        assert path.read_bytes() == (tmp_path / "served" / path.name).read_bytes()


def test_timelines_lie_beside_the_media_and_only_lacking_formats_are_written(
    world: World, tmp_path: Path, load: Load
) -> None:
    copy_media(world, tmp_path / "a" / "1.mp4")
    parse = partial(stages.parse, [tmp_path], load=load, workers=1, skip_existing=True)
    assert parse().done == 1
    json_file = tmp_path / "a" / "1.json"
    json_file.write_text("kept")
    assert parse().already == 1
    assert parse(formats=("json", "csv")).done == 1
    assert json_file.read_text() == "kept"
    assert (tmp_path / "a" / "1.csv").is_file()


def test_any_name_that_the_file_system_has_can_be_parsed(
    world: World, tmp_path: Path, load: Load
) -> None:
    names = [os.fsdecode(b"\xe9t.mp4"), "x" * 251 + ".mp4", "-a b;c'.mp4"]
    copy_media(world, *(tmp_path / "media" / name for name in names))
    out = tmp_path / "out"
    outcome = stages.parse([tmp_path / "media"], out, load=load, workers=1)
    assert (outcome.done, outcome.failed) == (3, ())
    videos = {json.loads(path.read_text())["video"] for path in out.iterdir()}
    assert videos == {"\\xe9t", "x" * 251, "-a b;c'"}


def test_a_folder_that_cannot_be_written_stops_the_job_before_the_first_file(
    world: World, tmp_path: Path, load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy_media(world, tmp_path / "media" / "1.mp4")
    (tmp_path / "file").touch()
    calls = list[int]()
    with pytest.raises(MachineError, match="cannot write: Not a directory"):
        stages.parse(
            [tmp_path / "media"],
            tmp_path / "file" / "out",
            load=load,
            progress=lambda *_: calls.append(1),
        )
    assert not calls


def test_every_format_is_written_and_joint_ones_hold_all_videos(
    world: World, tmp_path: Path, load: Load
) -> None:
    media, out = tmp_path / "media", tmp_path / "out"
    copy_media(world, media / "a" / "1.mp4", media / "2.mp4")
    formats = [name for name, one in FORMATS.items() if not one.needs_scores]
    outcome = stages.parse([media], out, load=load, formats=formats, workers=1)
    assert (outcome.done, outcome.failed) == (2, ())
    timelines = {t.video: t for t in import_events(out / "2.json", format="json")}
    timelines |= {
        t.video: t for t in import_events(out / "a" / "1.json", format="json")
    }
    assert sorted(timelines) == ["2", "a/1"]
    for name in ("csv", "parquet", "rttm"):
        back = {t.video: t.events for t in import_events(out, format=name)}
        assert back == {video: one.events for video, one in timelines.items()}
    (net,) = out.glob("activitynet.json")
    assert {t.video for t in import_events(net, format="activitynet")} == {*timelines}
    lines = (out / "metadata.jsonl").read_text().splitlines()
    assert [json.loads(line)["file_name"] for line in lines] == ["2.mp4", "a/1.mp4"]
    paths = json.loads((out / "data.json").read_text())
    assert paths == {"2": str(media / "2.mp4"), "a/1": str(media / "a" / "1.mp4")}
    assert (media / "a" / "1.mp4").as_uri().encode() in (
        (out / "a" / "1.eaf").read_bytes()
    )


def test_scores_that_a_format_cannot_hold_are_an_error_of_each_file(
    world: World, tmp_path: Path, load: Load
) -> None:
    copy_media(world, tmp_path / "1.mp4")
    out = tmp_path / "out"
    outcome = stages.parse(
        [tmp_path], out, load=load, formats=["json", "sed-scores"], workers=1
    )
    assert outcome.done == 0
    assert "scores of '1' are no probabilities" in outcome.failed[0][1]
    assert not list(out.iterdir())


def test_a_joint_format_needs_a_folder_and_all_videos(
    world: World, tmp_path: Path, load: Load
) -> None:
    copy_media(world, tmp_path / "1.mp4")
    parse = partial(stages.parse, [tmp_path], load=load, formats=["json", "dcase"])
    with pytest.raises(UsageError, match=r"format dcase holds all videos.*--out"):
        parse()
    with pytest.raises(UsageError, match=r"vaplan export .* --format dcase"):
        parse(tmp_path / "out", skip_existing=True)


@dataclass
class ReportingEngine:
    """Runs items in this process and hands reports on; it may stop after some timelines."""

    stop_after: int = 10**6

    def __call__(
        self,
        work: Work,
        items: Sequence[Any],
        *,
        count: int,
        seconds: TimeLimit,
        watch: Watch | None = None,
    ) -> Iterator[tuple[Any, Any]]:
        assert watch
        assert work.prepare
        work.prepare(*work.arguments)
        for item in items:
            pipe = _Pipe(partial(watch, item), self.stop_after)
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(processes, "_PIPES", [pipe])
                yield item, work.function(item)


@dataclass
class _Pipe:
    watch: Callable[[Any], None]
    timelines_left: int

    def send(self, message: processes.Report) -> None:
        self.watch(message.value)
        is_progress = isinstance(message.value, tuple)  # sent at any time
        self.timelines_left -= not is_progress
        if not self.timelines_left:
            raise KeyboardInterrupt


@pytest.fixture(autouse=True)
def no_part_by_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out the parts that a slow machine would write."""
    monkeypatch.setattr(checkpoints, "PART_SECONDS", 1e6)


def test_an_interrupted_long_file_leaves_a_timeline_and_is_continued(
    tmp_path: Path, load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoints, "PART_SEGMENTS", 20)
    media = tmp_path / "media"
    media.mkdir()
    make(media / "film.mp4", Film(seconds=75))
    out = tmp_path / "out"
    parse = partial(stages.parse, [media], load=load, scores=True)
    with pytest.raises(KeyboardInterrupt):
        parse(out, engine=ReportingEngine(stop_after=2))
    document = json.loads((out / "film.partial.json").read_text())
    assert document["video"] == "film"
    assert document["seconds"] == 75
    rest = [
        {"modality": modality, "onset": 40.0, "offset": 75.0} for modality in MODALITIES
    ]
    assert document["missing"] == rest
    assert "parsed 40 s of 75 s" in document["warnings"][-1]
    assert sorted(path.name for path in out.iterdir()) == [
        checkpoints.FOLDER,
        "film.partial.json",
        "film.partial.scores.csv",
    ]
    segments = list[int]()
    encode_chunk = encoders.encode_chunk

    def count(chunk: Segments, models: Sequence[encoders.Encoder]) -> Encoded:
        segments.append(len(chunk))
        return encode_chunk(chunk, models)

    monkeypatch.setattr(encoders, "encode_chunk", count)
    files = list[tuple[str, int, int]]()
    outcome = parse(
        out, engine=ReportingEngine(), file_progress=lambda *step: files.append(step)
    )
    assert outcome.done == 1
    assert sum(segments) == 75 - 40
    assert files[-1] == ("film", 1, 1)
    whole = tmp_path / "whole"
    parse(whole, workers=1)
    assert sorted(path.name for path in out.iterdir()) == [
        "film.json",
        "film.scores.csv",
    ]
    for name in ("film.json", "film.scores.csv"):
        assert (out / name).read_bytes() == (whole / name).read_bytes()

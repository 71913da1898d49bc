"""Zero-shot parsing of media files."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.conftest import EMBEDDED, World
from vaplan import encoders, stages
from vaplan.annotations import Annotations, read_table
from vaplan.arrays import AUDIO, VISUAL
from vaplan.dataset import read_inputs
from vaplan.encoders import Encoder
from vaplan.errors import RecipeError
from vaplan.stages.label import fit_store_background
from vaplan.taxonomy import Taxonomy
from vaplan.timeline import Event, merge
from vaplan.zero_shot import ZeroShotClassifier

NAMES = ("embedded", "embedded")


def path_of(world: World, index: int) -> Path:
    return world.folder / world.data.select("test").videos[index].path


def spans(events: tuple[Event, ...]) -> set[tuple[str, str, float, float]]:
    return {
        (event.modality, event.class_name, event.onset, event.offset)
        for event in events
    }


def test_events_of_a_class_are_found_also_in_a_taxonomy_of_one_class(
    world: World,
) -> None:
    path, whole = (
        path_of(world, 0),
        ZeroShotClassifier.load(world.data.taxonomy, NAMES)(path_of(world, 0)),
    )
    name = whole.events[0].class_name
    alone = ZeroShotClassifier.load(Taxonomy((name,)), NAMES)(path)
    assert alone.video == path.stem
    assert alone.seconds == 10
    assert spans(alone.events) == {
        span for span in spans(whole.events) if span[1] == name
    }


def test_the_score_of_an_event_is_its_margin_and_lies_above_the_threshold(
    world: World,
) -> None:
    timeline = ZeroShotClassifier.load(
        world.data.taxonomy, NAMES, thresholds={"audio": 4.0}
    )(path_of(world, 1))
    least = {"audio": 4.0, "visual": 5.0}
    assert timeline.events
    assert all(
        event.score is not None and event.score > least[event.modality]
        for event in timeline
    )


def test_known_tags_leave_out_every_other_class_and_change_nothing_else(
    world: World,
) -> None:
    parser, path = (
        ZeroShotClassifier.load(world.data.taxonomy, NAMES),
        path_of(world, 2),
    )
    free = parser(path)
    tags = world.data.select("test").videos[2].tags
    assert parser(path, tags=tags).events == tuple(
        event for event in free if event.class_name in tags
    )
    assert parser(path, tags=()).events == ()


def test_a_file_and_its_stored_features_have_the_same_timeline(
    world: World, tmp_path: Path
) -> None:
    """`label` of a table without tags is zero-shot parsing of the stored features."""
    videos = world.data.select("test").videos
    table, classes = tmp_path / "untagged.csv", tmp_path / "classes.csv"
    table.write_text(
        "video,modality,class,onset,offset,score\n"
        + "".join(f"{v.video},,,,,\n" for v in videos)
    )
    classes.write_text("class\n" + "\n".join(world.data.taxonomy.classes))
    data = stages.read_data(f"table:{table}", taxonomy=classes)
    labelled = stages.label(
        data, world.store, tmp_path / "labels.csv", encoders=EMBEDDED
    )
    assert labelled.f == {}
    assert labelled.thresholds == {"audio": 5.0, "visual": 5.0}
    labels = read_table(labelled.table, taxonomy=data.taxonomy)
    parser = ZeroShotClassifier.load(data.taxonomy, NAMES)
    for video in videos[:3]:
        timeline = parser(world.folder / video.path)
        assert spans(timeline.events) == spans(merge(labels.events[video.video]))


@dataclass(frozen=True)
class Scaled:
    """An encoder with another logit scale."""

    encoder: Encoder
    factor: float

    def __getattr__(self, name: str) -> Any:
        return getattr(self.encoder, name)

    @property
    def logit_scale(self) -> float:
        return self.factor * self.encoder.logit_scale


def untagged(world: World, folder: Path) -> Annotations:
    """All videos of the world without tags."""
    table = folder / "untagged.csv"
    header = "video,modality,class,onset,offset,score\n"
    table.write_text(header + "".join(f"{video},,,,,\n" for video in world.data.ids))
    classes = folder / "classes.csv"
    classes.write_text("class\n" + "\n".join(world.data.taxonomy.classes))
    return stages.read_data(f"table:{table}", taxonomy=classes)


@pytest.mark.parametrize("factor", [0.5, 8.0])
def test_with_a_background_deviations_do_not_depend_on_the_logit_scale(
    world: World, factor: float
) -> None:
    inputs = read_inputs(world.store, EMBEDDED, world.data.ids).rows()
    models = [encoders.load("embedded", modality) for modality in (AUDIO, VISUAL)]
    scaled: list[Any] = [Scaled(model, factor) for model in models]
    usual, other = (
        ZeroShotClassifier(world.data.taxonomy, kind) for kind in (models, scaled)
    )
    assert torch.allclose(
        other.evidence(inputs), factor * usual.evidence(inputs), atol=1e-3
    )
    for classifier in (usual, other):
        classifier.background = classifier.fit_background(inputs)
        assert classifier.background
    assert torch.allclose(other.evidence(inputs), usual.evidence(inputs), atol=1e-3)


def test_untagged_videos_and_files_parsed_with_their_background_have_equal_events(
    world: World, tmp_path: Path
) -> None:
    data = untagged(world, tmp_path)
    out = tmp_path / "labels.csv"
    labelled = stages.label(data, world.store, out, encoders=EMBEDDED)
    assert labelled.thresholds == {"audio": 3.0, "visual": 3.0}
    labels = read_table(labelled.table, taxonomy=data.taxonomy)
    background = fit_store_background(data.taxonomy, world.store, NAMES)
    parser = ZeroShotClassifier.load(data.taxonomy, NAMES, background=background)
    for video in world.data.select("test").videos[:2]:
        timeline = parser(world.folder / video.path)
        assert spans(timeline.events) == spans(merge(labels.events[video.video]))
        assert all((event.score or 0) > 3 for event in timeline)


def test_too_few_segments_for_a_background_are_an_error(
    world: World, tmp_path: Path
) -> None:
    data = untagged(world, tmp_path).select_videos(world.data.ids[:2])
    out = tmp_path / "labels.csv"
    with pytest.raises(RecipeError, match="fewer than 100 segments"):
        stages.label(data, world.store, out, encoders=EMBEDDED, strategy="deviation")
    assert stages.label(data, world.store, out, encoders=EMBEDDED).thresholds == {
        "audio": 5.0,
        "visual": 5.0,
    }


def test_an_audio_file_is_parsed_and_its_missing_frames_are_reported(
    world: World, tmp_path: Path
) -> None:
    import wave

    path = tmp_path / "silence.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8_000)
        file.writeframes(bytes(2 * 8_000 * 3))
    timeline = ZeroShotClassifier.load(world.data.taxonomy, NAMES)(path)
    assert timeline.of("visual") == ()
    assert ("visual", 0.0, 3.0) in timeline.missing


@pytest.mark.parametrize("threshold", [0.0, 1e3])
def test_a_low_threshold_marks_more_and_a_high_one_nothing(
    world: World, threshold: float
) -> None:
    usual, other = (
        ZeroShotClassifier.load(world.data.taxonomy, NAMES, thresholds=given)(
            path_of(world, 0)
        )
        for given in (None, {"audio": threshold, "visual": threshold})
    )
    marked, usually = (
        sum(e.offset - e.onset for e in timeline) for timeline in (other, usual)
    )
    assert marked > usually if threshold == 0 else marked == 0

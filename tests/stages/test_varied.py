"""All stages on videos of unequal length, some without audio or frames."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import EMBEDDED, SMALL
from vaplan import recipe as recipes
from vaplan import stages, synthetic
from vaplan.annotations import read_table
from vaplan.arrays import AUDIO, VISUAL
from vaplan.dataset import read_inputs
from vaplan.evaluation import evaluate
from vaplan.parser import Parser


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("varied")
    clips = synthetic.plan_clips(
        {"train": 14, "val": 3, "test": 3}, seed=84, varied=True
    )
    assert not all(clip.has_audio for clip in clips)
    assert not all(clip.has_video for clip in clips)
    data = stages.read_data(f"table:{synthetic.render(clips, folder, workers=1)}")
    outcome = stages.features(
        data, folder, folder / "store", encoders=EMBEDDED, workers=1
    )
    assert outcome.failed == ()
    return folder


def test_masks_are_as_long_as_the_videos_and_absent_tracks_are_masked(
    folder: Path,
) -> None:
    clips = synthetic.plan_clips(
        {"train": 14, "val": 3, "test": 3}, seed=84, varied=True
    )
    inputs = read_inputs(folder / "store", EMBEDDED, [clip.video for clip in clips])
    for index, clip in enumerate(clips):
        video = inputs.batch([index])
        mask = video.mask[0]
        streams = [group[0][0] for group in video.streams]
        length = max(1, int(np.floor(clip.seconds + 0.5)))
        assert inputs.lengths.counts[index] == length
        assert mask.any(dim=1).all()
        assert bool(mask[:, AUDIO].any()) == clip.has_audio
        assert bool(mask[:, VISUAL].any()) == clip.has_video
        for modality, stream in enumerate(streams):
            assert not stream[~mask[:, modality]].any()


@pytest.mark.parametrize("name", ["han", "ple"])
def test_labels_training_denoising_predictions_and_parsing_work(
    folder: Path, tmp_path: Path, name: str
) -> None:
    table = folder / "annotations.csv"
    data = stages.read_data(f"table:{table}")
    labels = stages.label(
        data, folder / "store", tmp_path / "labels.csv", encoders=EMBEDDED
    ).table
    recipe = recipes.read(
        name, changes=[*SMALL, f"data=table:{table}", f"store={folder / 'store'}"]
    )
    run = stages.train(
        replace(recipe, labels="" if name == "han" else str(labels)), tmp_path / "run"
    )
    assert all(np.isfinite(value) for epoch in run.history for value in epoch.values())
    denoised = read_table(
        stages.denoise(run.folder, labels, tmp_path / "d.csv", other_labels=True).table,
        taxonomy=data.taxonomy,
    )
    absent = {
        video.video for video in data.videos if not events_possible(folder, video.video)
    }
    assert absent
    assert not any(
        event.modality == "visual"
        for video in absent
        for event in denoised.events[video]
    )
    stages.predict(run.folder, data, folder / "store", tmp_path / "p.csv", split="test")
    estimate = read_table(tmp_path / "p.csv", taxonomy=data.taxonomy)
    assert len(evaluate(data, estimate, split="test").scores) == 3
    for video in data.videos[:4]:
        timeline = Parser.load(run.folder)(folder / video.path)
        assert all(
            0 <= event.onset < event.offset <= timeline.seconds for event in timeline
        )


def events_possible(folder: Path, video: str) -> bool:
    """Return whether a file has a video track."""
    return bool(
        read_inputs(folder / "store", EMBEDDED, [video]).values.mask[:, VISUAL].any()
    )

"""PLG on files."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.conftest import EMBEDDED, World
from vaplan import encoders, stages
from vaplan.annotations import Annotations, read_rows, read_table
from vaplan.arrays import AUDIO, VISUAL
from vaplan.dataset import read_inputs
from vaplan.errors import RecipeError, StoreError, UsageError
from vaplan.stages.label import doubtful_tags_path
from vaplan.zero_shot import ZeroShotClassifier

LOADED = [encoders.load("embedded", modality) for modality in (AUDIO, VISUAL)]


def test_pseudo_labels_never_leave_the_tags_and_cover_every_video(world: World) -> None:
    labels = read_table(world.labels, taxonomy=world.data.taxonomy)
    tags = {video.video: set(video.tags) for video in world.data.videos}
    assert labels.ids == world.data.ids
    for video, events in labels.events.items():
        assert {event.class_name for event in events} <= tags[video]


def test_the_score_of_a_label_is_its_confidence_and_lies_above_the_threshold(
    world: World,
) -> None:
    inputs = read_inputs(world.store, EMBEDDED, world.data.ids)
    confidence = ZeroShotClassifier(
        world.data.taxonomy, LOADED, strategy="confidence"
    ).evidence(inputs.batch())
    assert torch.allclose(confidence.sum(dim=-1), torch.ones(()), atol=1e-5)
    about = json.loads(world.labels.with_suffix(".json").read_text())
    position = {video: index for index, video in enumerate(world.data.ids)}
    for row in read_rows(world.labels).rows:
        if row.modality:
            m, c = (
                ("audio", "visual").index(row.modality),
                world.data.taxonomy.index(row.class_name),
            )
            assert row.score == pytest.approx(
                float(confidence[position[row.video], int(row.onset), m, c]), abs=1e-6
            )
            assert row.score > about["thresholds"][row.modality] - 1e-6
            assert row.offset == row.onset + 1


def with_nearly_all_tags(data: Annotations) -> Annotations:
    """Tag every video with all classes but one, and remove the dense labels."""
    tags = data.taxonomy.classes[1:]
    videos = tuple(replace(video, tags=tags) for video in data.videos)
    return replace(data, videos=videos, events={})


def test_where_tags_exclude_little_labels_exceed_the_background(
    world: World, tmp_path: Path
) -> None:
    data = with_nearly_all_tags(world.data)
    store, out = world.store, tmp_path / "labels.csv"
    made = stages.label(data, store, out, encoders=EMBEDDED, diagnose=True)
    details = json.loads(out.with_suffix(".json").read_text())
    assert (details["strategy"], details["rule"]) == ("deviation", "chance")
    assert made.thresholds == {"audio": 3.0, "visual": 3.0}
    assert "tags exclude too little" in made.reason
    scores = [row.score for row in read_rows(out).rows if row.modality]
    assert scores
    assert min(scores) > 3 - 1e-6


@pytest.mark.parametrize(
    "given", [{"rule": "hmm"}, {"thresholds": {"audio": 0.1, "visual": 0.1}}]
)
def test_a_given_rule_or_threshold_keeps_the_unit_of_its_evidence(
    world: World, tmp_path: Path, given: dict[str, Any]
) -> None:
    data = with_nearly_all_tags(world.data)
    out = tmp_path / "labels.csv"
    stages.label(data, world.store, out, encoders=EMBEDDED, **given)
    details = json.loads(out.with_suffix(".json").read_text())
    assert details["strategy"] == "confidence"


def test_labels_are_made_again_to_the_byte(world: World, tmp_path: Path) -> None:
    again = stages.label(
        world.data, world.store, tmp_path / "again.csv", encoders=EMBEDDED
    )
    assert again.table.read_bytes() == world.labels.read_bytes()
    assert "fitted on 4 densely labelled videos" in again.reason


def test_given_thresholds_are_used_and_a_high_one_gives_no_label(
    world: World, tmp_path: Path
) -> None:
    made = stages.label(
        world.data,
        world.store,
        tmp_path / "none.csv",
        encoders=EMBEDDED,
        thresholds={"audio": 1.0, "visual": 1.0},
    )
    assert made.reason == "given"
    assert set(
        read_table(made.table, taxonomy=world.data.taxonomy).events.values()
    ) == {()}


def test_without_dense_labels_thresholds_come_from_classes_outside_the_tags(
    world: World, tmp_path: Path
) -> None:
    train = world.data.select("train")
    made = stages.label(
        train,
        world.store,
        tmp_path / "train.csv",
        encoders=EMBEDDED,
        rule="false_positive_rate",
    )
    assert made.reason == "by the false positive rate of classes outside the tags"
    inputs = read_inputs(world.store, EMBEDDED, train.ids)
    confidence = (
        ZeroShotClassifier(train.taxonomy, LOADED, strategy="confidence")
        .evidence(inputs.batch())
        .numpy()
    )
    untagged = np.broadcast_to(~train.weak_label()[:, None], confidence[:, :, 0].shape)
    for m, modality in enumerate(("audio", "visual")):
        share = (confidence[:, :, m][untagged] > made.thresholds[modality]).mean()
        assert share == pytest.approx(0.05, abs=0.005)


def test_features_of_other_weights_are_refused(world: World, tmp_path: Path) -> None:
    store = tmp_path / "store"
    shutil.copytree(world.store, store)
    path = next(store.glob("visual-embedded-*/provenance.json"))
    card = json.loads(path.read_text())
    card["provenance"]["weights_sha256"] = "0" * 64
    path.write_text(json.dumps(card))
    with pytest.raises(
        StoreError,
        match="store of another encoder: the weights of visual:embedded have changed",
    ):
        stages.label(world.data, store, tmp_path / "l.csv", encoders=EMBEDDED)


def test_the_rule_is_named_and_needs_no_dense_label(
    world: World, tmp_path: Path
) -> None:
    train = world.data.select("train")
    made = {
        name: stages.label(
            train,
            world.store,
            tmp_path / f"{name}.csv",
            encoders=EMBEDDED,
            rule=name,
        )
        for name in ("hmm", "mixture", "false_positive_rate", "chance")
    }
    assert len({path.table.read_bytes() for path in made.values()}) == 4
    default = stages.label(
        train, world.store, tmp_path / "default.csv", encoders=EMBEDDED
    )
    assert default.table.read_bytes() == made["hmm"].table.read_bytes()
    with pytest.raises(RecipeError, match="needs densely labelled videos in split val"):
        stages.label(
            train,
            world.store,
            tmp_path / "val.csv",
            encoders=EMBEDDED,
            rule="val",
        )
    with pytest.raises(
        RecipeError,
        match="unknown label rule 'mixtur'; did you mean 'mixture'",
    ):
        stages.label(
            train,
            world.store,
            tmp_path / "val.csv",
            encoders=EMBEDDED,
            rule="mixtur",
        )


def test_smoothed_evidence_makes_fewer_and_longer_events(
    world: World, tmp_path: Path
) -> None:
    def events(smooth: float) -> int:
        table = tmp_path / f"{smooth}.csv"
        stages.label(
            world.data,
            world.store,
            table,
            encoders=EMBEDDED,
            rule="mixture",
            smooth=smooth,
        )
        return sum(
            map(len, read_table(table, taxonomy=world.data.taxonomy).events.values())
        )

    assert events(1.0) < events(0.0)


def test_labels_are_diagnosed_class_by_class_and_drawn(
    world: World, tmp_path: Path
) -> None:
    made = stages.label(
        world.data, world.store, tmp_path / "l.csv", encoders=EMBEDDED, diagnose=True
    )
    assert made.diagnostics is not None
    assert {m: tuple(row) for m, row in made.diagnostics.items()} == dict.fromkeys(
        ("audio", "visual"), world.data.taxonomy.classes
    )
    few = sum(
        sum(name in video.tags for video in world.data.videos) < 5
        for name in world.data.taxonomy.classes
    )
    assert (
        sum(one.verdict == "unknown" for one in made.diagnostics["audio"].values())
        >= few
    )
    assert (tmp_path / "l.png").read_bytes().startswith(b"\x89PNG")


def test_prompts_that_mean_another_class_have_a_low_agreement(
    world: World, tmp_path: Path
) -> None:
    classes = world.data.taxonomy.classes
    own = {
        "audio": {
            name: (f"This sound contains the {name.lower()}.",) * 2 for name in classes
        }
    }
    own["audio"]["Rain"] = (
        "This sound contains the rain.",
        "This sound contains the dog.",
    )
    data = replace(world.data, taxonomy=replace(world.data.taxonomy, own_prompts=own))
    made = stages.label(
        data, world.store, tmp_path / "l.csv", encoders=EMBEDDED, diagnose=True
    )
    assert made.diagnostics is not None
    assert (
        made.diagnostics["audio"]["Dog"].prompt_agreement
        > made.diagnostics["audio"]["Rain"].prompt_agreement
    )


def test_labels_without_tags_cannot_be_diagnosed(world: World, tmp_path: Path) -> None:
    untagged = replace(
        world.data,
        videos=tuple(replace(video, tags=()) for video in world.data.videos),
        events={},
    )
    with pytest.raises(
        UsageError, match="label probabilities and diagnostics need tags"
    ):
        stages.label(
            untagged, world.store, tmp_path / "l.csv", encoders=EMBEDDED, diagnose=True
        )
    assert not (tmp_path / "l.csv").exists()


def test_a_given_threshold_of_one_modality_does_not_change_the_other(
    world: World, tmp_path: Path
) -> None:
    chosen = stages.label(
        world.data, world.store, tmp_path / "a.csv", encoders=EMBEDDED
    )
    half = stages.label(
        world.data,
        world.store,
        tmp_path / "b.csv",
        encoders=EMBEDDED,
        thresholds={"audio": 0.5},
    )
    assert half.thresholds == {"audio": 0.5, "visual": chosen.thresholds["visual"]}
    assert half.reason == f"audio given, else {chosen.reason}"


def test_tags_whose_class_occurs_nowhere_are_listed(
    world: World, tmp_path: Path
) -> None:
    """A fifth of the videos gets a wrong tag; most of the listed tags are among them."""
    wrong = {
        video.video: name
        for video in world.data.videos[::5]
        for name in [
            next(c for c in world.data.taxonomy.classes if c not in video.tags)
        ]
    }
    videos = tuple(
        replace(video, tags=(*video.tags, wrong[video.video]))
        if video.video in wrong
        else video
        for video in world.data.videos
    )
    data = replace(world.data, videos=videos)
    out = tmp_path / "labels.csv"
    labelling = stages.label(data, world.store, out, encoders=EMBEDDED, rule="hmm")
    tags = labelling.doubtful_tags
    assert [tag.probability for tag in tags] == sorted(
        (tag.probability for tag in tags), reverse=True
    )
    hits = [wrong.get(tag.video) == tag.class_name for tag in tags]
    assert sum(hits) > len(hits) / 2
    assert sum(hits) > len(wrong) / 2
    lines = doubtful_tags_path(out).read_text().splitlines()
    assert lines[0] == "video,class,probability_of_wrong_tag"
    assert len(lines) == len(tags) + 1
    assert f"{tags[0].class_name!r} of {tags[0].video!r}" in labelling.describe()[1]
    stages.label(data, world.store, out, encoders=EMBEDDED, rule="val")
    assert not doubtful_tags_path(out).exists()

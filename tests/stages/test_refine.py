"""Refinement of labels by the encoder and a parser, on files."""

import json
from functools import partial
from importlib import import_module
from pathlib import Path

import pytest
import torch

from tests.cli.conftest import Call, call  # noqa: F401 - a fixture
from tests.conftest import EMBEDDED, SMALL, World
from vaplan import pseudo_labels, runs, stages
from vaplan import recipe as recipes
from vaplan.arrays import Target
from vaplan.dataset import Dataset, read_inputs
from vaplan.errors import RecipeError
from vaplan.ragged import Ragged
from vaplan.training.cross_fitting import predict_out_of_fold, split_folds


@pytest.fixture(scope="module")
def made(world: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Train a run on the labels `l.csv`, and write their probabilities."""
    folder = tmp_path_factory.mktemp("refined")
    stages.label(
        world.data,
        world.store,
        folder / "l.csv",
        encoders=EMBEDDED,
        rule="mixture",
        out_probability=folder / "soft.csv",
    )
    stages.train(
        recipes.read("ple", changes=[*world.changes, f"labels={folder / 'l.csv'}"]),
        folder / "run",
    )
    return folder


def test_refined_labels_and_probabilities_are_those_of_the_fused_log_odds(
    world: World, made: Path
) -> None:
    arguments = made / "run", made / "l.csv", made / "out.csv"
    stages.refine(
        *arguments,
        label_probability=made / "soft.csv",
        out_probability=made / "out_soft.csv",
        parser_weight=1.0,
        folds=0,
    )
    dataset = Dataset.with_features(world.data, world.store, EMBEDDED)
    first = dataset.label_probability(made / "soft.csv").batch()
    prediction = pseudo_labels.condition_on_tags(
        runs.load(made / "run").predict(dataset.inputs).batch()
    )
    expected = pseudo_labels.fuse_log_odds(
        first, prediction, dataset.weak_label, dataset.mask.batch()
    )
    written = dataset.label_probability(made / "out_soft.csv").batch()
    assert torch.allclose(written, expected, atol=1e-5)
    labels = dataset.labels(made / "out.csv").batch()
    assert torch.equal(labels, expected > 0.5)


def test_without_label_probabilities_the_labels_are_the_first_source(
    world: World, made: Path
) -> None:
    arguments = made / "run", made / "l.csv", made / "refined.csv"
    stages.refine(*arguments, parser_weight=1.0, folds=0)
    dataset = Dataset.with_features(world.data, world.store, EMBEDDED)
    before, after = (
        dataset.labels(made / name).batch() for name in ("l.csv", "refined.csv")
    )
    prediction = pseudo_labels.condition_on_tags(
        runs.load(made / "run").predict(dataset.inputs).batch()
    )
    expected = pseudo_labels.fuse_log_odds(
        torch.where(before, 0.8, 0.2),
        prediction,
        dataset.weak_label,
        dataset.mask.batch(),
    )
    assert torch.equal(after, expected > 0.5)
    assert stages.refine(
        *arguments, rule="fusion", parser_weight=0.0
    ).table.read_bytes()
    assert torch.equal(dataset.labels(made / "refined.csv").batch(), before)


def test_a_parser_with_weight_zero_changes_nothing(made: Path) -> None:
    arguments = made / "run", made / "l.csv", made / "same.csv"
    found = stages.refine(
        *arguments,
        label_probability=made / "soft.csv",
        rule="fusion",
        parser_weight=0.0,
    )
    assert not any(
        sum(counts.values()) for row in found.flips.values() for counts in row.values()
    )


def test_out_of_fold_predictions_differ_from_those_of_the_run(made: Path) -> None:
    tables = []
    for folds in (0, 2, 2):
        found = stages.refine(
            *(made / "run", made / "l.csv", made / f"{len(tables)}.csv"),
            label_probability=made / "soft.csv",
            folds=folds,
        )
        tables.append(found.table.read_bytes())
    assert tables[0] != tables[1] == tables[2]


def cross_predict(recipe, inputs, tags, is_training_video=None):
    """Predict out of fold with two parsers that a recipe trains on tags."""
    make_model = partial(
        runs.make_model,
        recipe,
        feature_sizes=inputs.values.feature_sizes,
        classes=tags.shape[1],
    )
    return predict_out_of_fold(
        make_model,
        inputs,
        Ragged(Target(tags), inputs.lengths),
        settings=recipe.training,
        losses=recipe.losses,
        folds=2,
        is_training_video=is_training_video,
    )


def test_every_video_is_in_one_fold_and_its_labels_do_not_reach_the_parser_that_predicts_it(
    world: World,
) -> None:
    folds = split_folds(11, 3, seed=5)
    assert sorted(torch.cat(folds).tolist()) == list(range(11))
    assert {len(fold) for fold in folds} == {3, 4}
    with pytest.raises(RecipeError, match="12 folds of 11 videos"):
        split_folds(11, 12, seed=5)
    inputs = read_inputs(world.store, EMBEDDED, world.data.ids)
    tags, recipe = (
        torch.from_numpy(world.data.weak_label()),
        recipes.read("han", changes=world.changes),
    )
    fold = split_folds(len(inputs), 2, seed=recipe.training.seed)[0]
    turned = tags.clone()
    turned[fold] = ~tags[fold]
    one, other = (cross_predict(recipe, inputs, labels) for labels in (tags, turned))
    assert torch.equal(one.values.video[fold], other.values.video[fold])
    assert one.values.video.shape == tags.shape


def test_videos_outside_the_folds_are_predicted_and_not_trained_on(
    world: World,
) -> None:
    inputs = read_inputs(world.store, EMBEDDED, world.data.ids)
    is_training = torch.tensor([video.split == "train" for video in world.data.videos])
    tags, recipe = (
        torch.from_numpy(world.data.weak_label()),
        recipes.read("han", changes=world.changes),
    )
    turned = torch.where(is_training[:, None], tags, ~tags)
    one, other = (
        cross_predict(recipe, inputs, labels, is_training) for labels in (tags, turned)
    )
    alone = cross_predict(recipe, inputs[is_training], tags[is_training])
    assert torch.equal(one.values.segment, other.values.segment)
    assert torch.allclose(
        one[is_training].values.segment, alone.values.segment, atol=1e-6
    )


def test_stacking_is_the_default_if_val_has_enough_dense_labels(
    world: World, made: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments, evidence = (made / "run", made / "l.csv"), made / "soft.csv"
    with pytest.raises(
        RecipeError, match="needs 20 densely labelled videos in split val, not 4"
    ):
        stages.refine(
            *arguments, made / "s.csv", label_probability=evidence, rule="stacking"
        )
    stages.refine(*arguments, made / "auto.csv", label_probability=evidence)
    assert json.loads((made / "auto.json").read_text())["rule"] == "fusion"
    monkeypatch.setattr(import_module("vaplan.stages.refine"), "MIN_DENSE_VIDEOS", 4)
    with pytest.raises(RecipeError, match="needs folds"):
        stages.refine(
            *arguments,
            made / "s.csv",
            label_probability=evidence,
            rule="stacking",
            folds=0,
        )
    tables = [
        stages.refine(
            *arguments, made / f"{rule}.csv", label_probability=evidence, rule=rule
        )
        for rule in ("auto", "stacking")
    ]
    assert tables[0].table.read_bytes() == tables[1].table.read_bytes()
    assert json.loads((made / "auto.json").read_text())["rule"] == "stacking"
    dataset = Dataset.with_features(world.data, world.store, EMBEDDED)
    rows = dataset.labels(made / "stacking.csv").batch()
    assert not (rows & ~dataset.weak_label[:, None, None]).any()
    assert rows.any()


def test_the_command_writes_labels_and_probabilities(call: Call, made: Path) -> None:  # noqa: F811
    command = (
        "refine",
        made / "run",
        "--labels",
        made / "l.csv",
        "--out",
        made / "c.csv",
    )
    code, _, err = call(*command, "--rule", "fusion", "--folds", 0)
    assert code == 0
    assert "rule fusion" in err
    options = ("--out-probability", made / "c_probability.csv", "--parser-weight", 1)
    probability = ("--label-probability", made / "soft.csv")
    code, _, err = call(*command, *probability, *options, "--folds", 0)
    assert code == 0
    assert "audio: " in err
    assert (made / "c_probability.csv").is_file()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--out-probability", "c.csv"), "--out and --out-probability name one file"),
        (("--label-probability", "c.csv"), "--label-probability and --out name one"),
        (("--out-probability", "noext"), "a table cannot end with ''"),
    ],
)
def test_the_command_refuses_a_wrong_table(
    call: Call,  # noqa: F811
    made: Path,
    options: tuple[str, str],
    message: str,
) -> None:
    option, name = options
    command = (
        "refine",
        made / "run",
        "--labels",
        made / "l.csv",
        "--out",
        made / "c.csv",
    )
    code, _, err = call(*command, option, made / name)
    assert code == 2
    assert message in err


def test_a_localisation_data_set_cannot_be_refined(
    ave_world: World, tmp_path: Path
) -> None:
    changes = [
        f"data=table:{ave_world.table}",
        f"store={ave_world.store}",
        *SMALL[1:],
    ]
    recipe = recipes.read("cmbs_weak", changes=changes)
    stages.train(recipe, tmp_path / "run")
    with pytest.raises(RecipeError, match="use `vaplan denoise`"):
        stages.refine(tmp_path / "run", ave_world.labels, tmp_path / "out.csv")

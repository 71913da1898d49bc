"""Labels from the encoder's evidence and a parser together, on files."""

import json
from importlib import import_module
from pathlib import Path

import pytest
import torch

from tests.cli.conftest import Call, call  # noqa: F401 - a fixture
from tests.conftest import EMBEDDED, SMALL, World
from vaplan import pseudo_labels, runs, stages, training
from vaplan import recipe as recipes
from vaplan.arrays import Target
from vaplan.errors import RecipeError
from vaplan.stages.data import read_inputs
from vaplan.stages.folds import cross_predict, folds_of
from vaplan.stages.soft import read_soft
from vaplan.stages.train import read_labels


@pytest.fixture(scope="module")
def made(world: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on the labels `l.csv`, with the soft ones beside it."""
    folder = tmp_path_factory.mktemp("refined")
    stages.label(
        world.data,
        world.store,
        folder / "l.csv",
        names=EMBEDDED,
        choose="mixture",
        soft=folder / "soft.csv",
    )
    stages.train(
        recipes.read("ple", changes=[*world.changes, f"labels={folder / 'l.csv'}"]),
        folder / "run",
    )
    return folder


def test_labels_are_where_both_together_say_so_and_soft_ones_say_how_sure(
    world: World, made: Path
) -> None:
    about = made / "run", made / "l.csv", made / "out.csv"
    stages.refine(
        *about,
        evidence=made / "soft.csv",
        soft=made / "out_soft.csv",
        trust=1.0,
        folds=0,
    )
    inputs = read_inputs(world.store, EMBEDDED, world.data.ids)
    first = read_soft(made / "soft.csv", world.data, inputs.mask)
    said = pseudo_labels.given_tags(
        training.predict(runs.load(made / "run").model, inputs)
    )
    tags = torch.from_numpy(world.data.weak_label())
    expected = pseudo_labels.fuse(first, said, tags, inputs.mask)
    assert torch.allclose(
        read_soft(made / "out_soft.csv", world.data, inputs.mask), expected, atol=1e-5
    )
    labels = read_labels(made / "out.csv", world.data, inputs)
    assert torch.equal(labels, expected > 0.5)


def test_without_evidence_the_labels_are_the_first_witness(
    world: World, made: Path
) -> None:
    about = made / "run", made / "l.csv", made / "told.csv"
    stages.refine(*about, trust=1.0, folds=0)
    inputs = read_inputs(world.store, EMBEDDED, world.data.ids)
    given, found = (
        read_labels(made / name, world.data, inputs) for name in ("l.csv", "told.csv")
    )
    said = pseudo_labels.given_tags(
        training.predict(runs.load(made / "run").model, inputs)
    )
    tags = torch.from_numpy(world.data.weak_label())
    assert torch.equal(
        found,
        pseudo_labels.fuse(torch.where(given, 0.8, 0.2), said, tags, inputs.mask) > 0.5,
    )
    assert stages.refine(*about, rule="posterior", trust=0.0).table.read_bytes()
    assert torch.equal(read_labels(made / "told.csv", world.data, inputs), given)


def test_a_parser_that_does_not_count_changes_nothing(made: Path) -> None:
    about = made / "run", made / "l.csv", made / "same.csv"
    found = stages.refine(
        *about, evidence=made / "soft.csv", rule="posterior", trust=0.0
    )
    assert not any(
        sum(counts.values()) for row in found.flips.values() for counts in row.values()
    )


def test_parsers_of_other_folds_judge_otherwise_than_the_run_itself(made: Path) -> None:
    tables = []
    for folds in (0, 2, 2):
        found = stages.refine(
            *(made / "run", made / "l.csv", made / f"{len(tables)}.csv"),
            evidence=made / "soft.csv",
            folds=folds,
        )
        tables.append(found.table.read_bytes())
    assert tables[0] != tables[1] == tables[2]


def test_every_video_is_in_one_fold_and_no_label_of_it_reaches_the_parser_that_judges_it(
    world: World,
) -> None:
    folds = folds_of(11, 3, seed=5)
    assert sorted(torch.cat(folds).tolist()) == list(range(11))
    assert {len(fold) for fold in folds} == {3, 4}
    with pytest.raises(RecipeError, match="12 folds of 11 videos"):
        folds_of(11, 12, seed=5)
    inputs = read_inputs(world.store, EMBEDDED, world.data.ids)
    tags, recipe = (
        torch.from_numpy(world.data.weak_label()),
        recipes.read("han", changes=world.changes),
    )
    fold = folds_of(len(inputs), 2, seed=recipe.training.seed)[0]
    turned = tags.clone()
    turned[fold] = ~tags[fold]
    one, other = (
        cross_predict(recipe, inputs, Target(labels), folds=2)
        for labels in (tags, turned)
    )
    assert torch.equal(one.video[fold], other.video[fold])
    assert one.video.shape == tags.shape


def test_videos_outside_the_folds_are_judged_too_and_teach_nobody(world: World) -> None:
    inputs = read_inputs(world.store, EMBEDDED, world.data.ids)
    learned = torch.tensor([video.split == "train" for video in world.data.videos])
    tags, recipe = (
        torch.from_numpy(world.data.weak_label()),
        recipes.read("han", changes=world.changes),
    )
    turned = torch.where(learned[:, None], tags, ~tags)
    one, other = (
        cross_predict(recipe, inputs, Target(labels), learned, folds=2)
        for labels in (tags, turned)
    )
    alone = cross_predict(recipe, inputs[learned], Target(tags[learned]), folds=2)
    assert torch.equal(one.segment, other.segment)
    assert torch.allclose(one.segment[learned], alone.segment, atol=1e-6)


def test_dense_labels_of_val_weigh_the_witnesses_where_there_are_enough(
    world: World, made: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    about, evidence = (made / "run", made / "l.csv"), made / "soft.csv"
    with pytest.raises(
        RecipeError, match="needs 20 densely labelled videos in split val, not 4"
    ):
        stages.refine(*about, made / "s.csv", evidence=evidence, rule="stacked")
    stages.refine(*about, made / "auto.csv", evidence=evidence)
    assert json.loads((made / "auto.json").read_text())["rule"] == "posterior"
    monkeypatch.setattr(import_module("vaplan.stages.refine"), "FEWEST", 4)
    with pytest.raises(RecipeError, match="needs folds"):
        stages.refine(
            *about, made / "s.csv", evidence=evidence, rule="stacked", folds=0
        )
    tables = [
        stages.refine(*about, made / f"{rule}.csv", evidence=evidence, rule=rule)
        for rule in ("auto", "stacked")
    ]
    assert tables[0].table.read_bytes() == tables[1].table.read_bytes()
    assert json.loads((made / "auto.json").read_text())["rule"] == "stacked"
    rows = read_labels(
        made / "stacked.csv",
        world.data,
        read_inputs(world.store, EMBEDDED, world.data.ids),
    )
    assert not (rows & ~torch.from_numpy(world.data.weak_label())[:, None, None]).any()
    assert rows.any()


def test_it_is_a_rule_of_denoise(call: Call, made: Path) -> None:  # noqa: F811
    about = (
        "denoise",
        made / "run",
        "--labels",
        made / "l.csv",
        "--out",
        made / "c.csv",
        "--rule",
        "posterior",
    )
    code, _, err = call(*about, "--folds", 0)  # by the labels themselves
    assert code == 0
    assert "rule posterior" in err
    for wrong, said in (
        (("--soft", made / "c.csv"), "--out and --soft name one file"),
        (("--evidence", made / "c.csv"), "--evidence and --out name one file"),
        (("--soft", made / "noext"), "a table cannot end with ''"),
        (("--modality", "visual"), "go with --rule pld"),
    ):
        code, _, err = call(*about, "--folds", 0, *wrong)
        assert code == 2
        assert said in err
    how = ("--soft", made / "c_soft.csv", "--trust", 1, "--folds", 0)
    code, _, err = call(*about, "--evidence", made / "soft.csv", *how)
    assert code == 0
    assert "audio: " in err
    assert (made / "c_soft.csv").is_file()


def test_events_of_localisation_are_no_matter_for_it(
    ave_world: World, tmp_path: Path
) -> None:
    recipe = recipes.read(
        "cmbs_weak",
        changes=[
            f"data=table:{ave_world.table}",
            f"store={ave_world.store}",
            *SMALL[1:],
        ],
    )
    stages.train(recipe, tmp_path / "run")
    with pytest.raises(RecipeError, match="heard and seen at once"):
        stages.refine(
            tmp_path / "run",
            ave_world.labels,
            tmp_path / "o.csv",
            evidence=tmp_path / "soft.csv",
        )

"""Audio-visual event localisation: from tags to one label per second."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.conftest import EMBEDDED, World
from tests.official import REAL, write_ave
from tests.trainings import LOCALISING
from vaplan import recipe as recipes
from vaplan import runs, stages
from vaplan.annotations import read_table
from vaplan.annotations.rows import BOTH
from vaplan.annotations.table import read_rows
from vaplan.arrays import Inputs
from vaplan.dataset import Dataset, read_inputs
from vaplan.decisions import decide, keep_one_label
from vaplan.errors import AnnotationError, RecipeError
from vaplan.evaluation import align, evaluate
from vaplan.metrics.ave import label_accuracy
from vaplan.modalities import audio_visual
from vaplan.ragged import Lengths, Ragged
from vaplan.recipe import Recipe
from vaplan.stages.train import make_validation

SIZES = {
    "cmbs": "{hidden: 16, map_hidden: 16, feedforward: 16, decoder_feedforward: 16}",
    "ave_attention": "{hidden: 16}",
    "han": "{hidden: 16, feedforward: 16}",
}


def small(world: World, name: str = "cmbs_vaplan") -> Recipe:
    """Read a shipped recipe for small data, with dense labels for full supervision."""
    size = SIZES[recipes.read(name).model.name.removesuffix("_full")]
    recipe = recipes.read(name, changes=[*world.changes, f"model.settings={size}"])
    labels = {"dense": world.folder / "train_truth.csv", "": world.labels}[
        recipe.labels
    ]
    needs_labels = bool(
        {"segment_label", "event_and_class", "modality"} & set(recipe.losses)
    )
    return replace(recipe, labels=str(labels) if needs_labels else "")


@pytest.fixture(scope="session")
def run(ave_world: World, tmp_path_factory: pytest.TempPathFactory) -> runs.Run:
    return stages.train(small(ave_world), tmp_path_factory.mktemp("runs") / "cmbs")


@pytest.mark.parametrize("name", LOCALISING)
def test_every_recipe_trains_and_its_run_has_accuracies(
    ave_world: World, tmp_path: Path, name: str
) -> None:
    trained = stages.train(small(ave_world, name), tmp_path / name)
    assert all(np.isfinite(epoch["loss"]) for epoch in trained.history)
    metrics = json.loads((tmp_path / name / "metrics.json").read_text())
    assert 0 <= metrics["test"]["accuracy"] <= 100
    best = max(epoch["validation"] for epoch in trained.history)
    assert (
        metrics[trained.recipe.training.select_on]["accuracy"] >= best - 1e-9
    )  # more where a threshold is fitted


@pytest.mark.parametrize(
    "switch", ["losses={segment_label: 1}", "model={name: cmbs_full}"]
)
def test_pseudo_labels_can_stand_in_for_tags_and_for_dense_labels(
    ave_world: World, tmp_path: Path, switch: str
) -> None:
    name = "cmbs_full" if "full" in switch else "cmbs_vaplan"
    recipe = recipes.parse(
        recipes.dump(small(ave_world, name)),
        changes=[f"labels={ave_world.labels}", switch],
    )
    recipe = replace(recipe, model=small(ave_world, name).model)
    assert stages.train(recipe, tmp_path / "run").history


def test_the_taxonomy_file_of_a_table_sets_the_task(
    ave_world: World, tmp_path: Path
) -> None:
    assert ave_world.data.localisation
    text = ave_world.table.read_text()
    (tmp_path / "plain.csv").write_text(text)
    assert not read_table(tmp_path / "plain.csv").localisation
    beside = tmp_path / "plain.taxonomy.yaml"
    beside.write_text(
        ave_world.table.with_suffix(".taxonomy.yaml")
        .read_text()
        .replace("localisation", "localization")
    )
    with pytest.raises(
        AnnotationError,
        match=r"plain\.taxonomy\.yaml:2: unknown task 'localization'; did you mean",
    ):
        read_table(tmp_path / "plain.csv")


def test_predictions_are_one_label_a_second_in_rows_of_both(
    ave_world: World, run: runs.Run, tmp_path: Path
) -> None:
    table = tmp_path / "predictions.csv"
    stages.predict(run.folder, ave_world.data, ave_world.store, table, split="test")
    assert {
        row.modality for row in read_rows(table, taxonomy=ave_world.data.taxonomy).rows
    } <= {"", BOTH}
    found = evaluate(
        ave_world.data,
        read_table(table, taxonomy=ave_world.data.taxonomy),
        split="test",
    )
    assert (audio_visual(found.estimate.batch()).sum(axis=2) <= 1).all()
    assert run.metrics["test"]["accuracy"] == pytest.approx(found.numbers()["accuracy"])
    assert run.metrics["test"]["per_class"] == found.per_class()


def test_the_label_is_the_most_probable_class_of_both_modalities() -> None:
    probability = torch.tensor([[[[0.9, 0.6, 0.9], [0.2, 0.6, 0.9]]]])
    marked = torch.tensor([[[[True, True, True], [True, True, False]]]])
    assert (
        keep_one_label(marked, probability)[0, 0].tolist() == [[False, True, False]] * 2
    )
    nothing = torch.zeros_like(marked)
    assert not keep_one_label(nothing, probability).any()


def test_a_run_records_that_its_epoch_was_chosen_on_test(
    ave_world: World, tmp_path: Path
) -> None:
    for name, split in (("cmbs_weak_official", "test"), ("cmbs_weak", "val")):
        stages.train(small(ave_world, name), tmp_path / name)
        selection = json.loads((tmp_path / name / "run.json").read_text())["selection"]
        assert (selection["by"], selection["on"]) == ("accuracy", split)


def test_accuracy_selects_only_where_a_segment_has_one_label(world: World) -> None:
    recipe = replace(small(world, "cmbs_weak"), data=f"table:{world.table}")
    with pytest.raises(
        RecipeError, match="select_by: accuracy needs a localisation data set"
    ):
        make_validation(world.data, recipe)


def test_the_threshold_that_is_fitted_is_the_most_accurate_and_is_used(
    ave_world: World, tmp_path: Path
) -> None:
    trained = stages.train(small(ave_world, "cmbs_weak"), tmp_path / "run")
    again = runs.load(tmp_path / "run")
    val = ave_world.data.select("val")
    inputs = read_inputs(ave_world.store, EMBEDDED, val.ids)
    prediction = trained.predict(inputs).batch()
    reference = val.reference(10)

    def accuracy(threshold: float) -> float:
        return label_accuracy(
            reference,
            decide(prediction, rule="segment_label", threshold=threshold).numpy(),
        )

    assert label_accuracy(reference, again.decide(prediction).numpy()) >= max(
        map(accuracy, (0.1, 0.5, 0.9))
    )
    named = json.loads((tmp_path / "run" / "run.json").read_text())["decision"][
        "segments"
    ]
    assert label_accuracy(reference, again.decide(prediction).numpy()) == accuracy(
        named["audio"][0]
    )


def test_the_accuracy_of_labels_is_that_of_both_modalities_together(
    ave_world: World, tmp_path: Path
) -> None:
    made = stages.label(
        ave_world.data, ave_world.store, tmp_path / "labels.csv", encoders=EMBEDDED
    )
    val = ave_world.data.select("val")
    labels = read_table(made.table, taxonomy=val.taxonomy)
    expected = label_accuracy(*align(val, labels, list(val.ids)))
    assert made.f["val"] == {"audio_visual": {"accuracy": pytest.approx(expected)}}
    assert set(made.f) == {
        "val",
        "test",
    }  # a split without events has no score


def test_denoising_changes_the_labels_of_both_modalities_together(
    ave_world: World, run: runs.Run, tmp_path: Path
) -> None:
    made = stages.denoise(run.folder, ave_world.labels, tmp_path / "denoised.csv")
    after = read_table(made.table, taxonomy=ave_world.data.taxonomy)
    grid = after.reference(10)
    assert (grid[:, :, 0] == grid[:, :, 1]).all()
    before = audio_visual(
        read_table(ave_world.labels, taxonomy=after.taxonomy)
        .select_videos(after.ids)
        .reference(10)
    )
    flips = made.flips["audio"]
    assert flips == made.flips["visual"]
    assert (
        sum(counts["set"] for counts in flips.values())
        == (audio_visual(grid) & ~before).sum()
    )
    recipe = replace(run.recipe, labels=str(made.table))
    assert stages.train(recipe, tmp_path / "again").history


def test_dense_labels_are_those_of_the_data_set(tmp_path: Path) -> None:
    data = stages.read_data(f"ave:{write_ave(tmp_path / 'ave')}").select("train")
    dataset = Dataset(data, tmp_path, ((), ()))
    mask = torch.ones(20, 2, dtype=torch.bool)
    inputs = Inputs(((), ()), mask)
    dataset.__dict__["inputs"] = Ragged(inputs, Lengths.equal(2, 10))
    labels = dataset.labels(Path("dense")).numpy().batch()
    assert (labels == data.reference(10)).all()


def test_missing_dense_labels_are_an_error(ave_world: World, tmp_path: Path) -> None:
    with pytest.raises(AnnotationError, match="no dense labels for"):
        stages.train(
            replace(small(ave_world, "cmbs_full"), labels="dense"), tmp_path / "run"
        )


@pytest.mark.skipif(
    not (REAL / "ave").is_dir(), reason="AVE's annotation files are not here"
)
def test_the_real_annotations_have_the_published_sizes_and_ceilings() -> None:
    data = stages.read_data(f"ave:{REAL / 'ave'}")
    assert data.localisation
    assert {split: len(videos.ids) for split, videos in data.by_split().items()} == {
        "train": 3339,
        "val": 402,
        "test": 402,
    }
    test = data.select("test")
    reference = test.reference(10)
    everywhere = np.broadcast_to(test.weak_label()[:, None, None], reference.shape)
    assert label_accuracy(reference, everywhere) == pytest.approx(82.21, abs=0.005)

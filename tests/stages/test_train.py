"""Training by recipes; denoising and predictions by runs."""

import json
import signal
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from tests.conftest import EMBEDDED, World
from tests.trainings import LOCALISING, PARSING, torchrun
from vaplan import recipe as recipes
from vaplan import runs, stages, training
from vaplan.annotations import read_table
from vaplan.arrays import MODALITIES, Inputs, Prediction, Target
from vaplan.dataset import Dataset, read_inputs
from vaplan.decisions import decide
from vaplan.errors import AnnotationError, RecipeError, RunError
from vaplan.evaluation import align, evaluate
from vaplan.exports.sed_scores import read_scores
from vaplan.losses import total
from vaplan.metrics.llp import llp_scores
from vaplan.models import MODELS
from vaplan.parser import Parser
from vaplan.pseudo_labels import Denoising
from vaplan.recipe import Decision, Recipe
from vaplan.stages.evaluate import select_training_videos
from vaplan.stages.train import make_validation
from vaplan.store import mapped
from vaplan.writing import sha256, write_json


def small(world: World, name: str = "ple") -> Recipe:
    changes = [
        change for change in world.changes if not change.startswith("model.settings")
    ]
    recipe = recipes.read(
        name,
        changes=[*changes, "model.settings.hidden=16", "model.settings.feedforward=16"],
    )
    needs_labels = any(
        loss in recipe.losses for loss in ("modality", "segment", "segment_logit")
    )
    if recipe.removal:
        return replace(
            recipe, removal=replace(recipe.removal, ratios=str(even_ratios(world)))
        )
    return replace(recipe, labels=str(world.labels) if needs_labels else "")


def even_ratios(world: World) -> Path:
    """Write noise ratios that remove half of the tags."""
    by_class = dict.fromkeys(world.data.taxonomy.classes, 0.5)
    return write_json(
        world.folder / "ratios.json",
        {"ratios": {"audio": by_class, "visual": by_class}},
    )


@pytest.fixture(scope="session")
def run(world: World, tmp_path_factory: pytest.TempPathFactory) -> runs.Run:
    return stages.train(small(world), tmp_path_factory.mktemp("runs") / "ple")


@pytest.mark.parametrize("name", PARSING)
def test_every_recipe_trains(world: World, tmp_path: Path, name: str) -> None:
    trained = stages.train(small(world, name), tmp_path / name)
    assert [epoch["epoch"] for epoch in trained.history] == [1, 2]
    assert all(np.isfinite(epoch["loss"]) for epoch in trained.history)


def test_a_run_has_classes_input_hashes_versions_log_and_recipe(
    world: World, run: runs.Run
) -> None:
    about = json.loads((run.folder / "run.json").read_text())
    assert about["classes"] == list(world.data.taxonomy.classes)
    assert about["inputs"][str(world.labels)] == sha256(world.labels)
    assert {"torch", "transformers", "python", "vaplan"} <= set(about["versions"])
    assert (
        len((run.folder / "log.jsonl").read_text().splitlines())
        == run.recipe.training.epochs
    )
    assert recipes.read(run.folder / "recipe.yaml") == run.recipe


def test_the_same_seed_gives_the_same_bytes_and_another_seed_does_not(
    world: World, run: runs.Run, tmp_path: Path
) -> None:
    again = stages.train(small(world), tmp_path / "again")
    other = stages.train(
        replace(small(world), training=replace(run.recipe.training, seed=1)),
        tmp_path / "other",
    )
    first, second, third = (
        sha256(r.folder / "model.safetensors") for r in (run, again, other)
    )
    assert first == second != third


def test_a_finished_training_is_read_and_a_changed_one_made_again(
    world: World, tmp_path: Path
) -> None:
    epochs = list[int]()
    folder = tmp_path / "run"
    for epochs_wanted in (2, 2, 1):
        recipe = small(world)
        recipe = replace(
            recipe, training=replace(recipe.training, epochs=epochs_wanted)
        )
        stages.train(recipe, folder, progress=lambda done, *_: epochs.append(done))
    assert epochs == [1, 2, 1]


def test_selection_by_validation_keeps_the_best_epoch(
    world: World, tmp_path: Path
) -> None:
    recipe = small(world)
    trained = stages.train(
        replace(recipe, training=replace(recipe.training, select="best")),
        tmp_path / "best",
    )
    best = max(epoch["validation"] for epoch in trained.history)
    assert stages.train(trained.recipe, tmp_path / "best").history == trained.history
    assert make_validation(world.data, trained.recipe)(trained.model) == pytest.approx(
        best
    )


def test_pseudo_labels_of_other_videos_are_refused(
    world: World, tmp_path: Path
) -> None:
    lines = world.labels.read_text().splitlines(keepends=True)
    first = lines[1].split(",")[0]
    fewer = tmp_path / "fewer.csv"
    fewer.write_text("".join(line for line in lines if not line.startswith(first)))
    with pytest.raises(
        AnnotationError,
        match=f"no pseudo labels for 1 of 16 videos, the first is '{first}'",
    ):
        stages.train(replace(small(world), labels=str(fewer)), tmp_path / "r")


def test_a_recipe_without_data_or_store_is_an_error_with_a_fix(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="the recipe names no data"):
        stages.train(recipes.read("han"), tmp_path / "run")


def test_the_reported_flips_are_those_of_the_table(
    world: World, run: runs.Run, tmp_path: Path
) -> None:
    made = stages.denoise(run.folder, world.labels, tmp_path / "denoised.csv")
    before, after = (
        read_table(t, taxonomy=world.data.taxonomy) for t in (world.labels, made.table)
    )
    old, new = (grid.batch() for grid in align(before, after, list(before.ids)))
    assert made.flips["audio"] == {
        c: {"set": 0, "removed": 0} for c in world.data.taxonomy.classes
    }
    assert (old[:, :, 0] == new[:, :, 0]).all()
    for c, name in enumerate(world.data.taxonomy.classes):
        assert made.flips["visual"][name]["set"] == (new & ~old)[:, :, 1, c].sum()
        assert made.flips["visual"][name]["removed"] == (old & ~new)[:, :, 1, c].sum()
    tags = world.data.weak_label()
    assert not (new.any(axis=(1, 2)) & ~tags).any()


def test_a_further_round_denoises_by_a_run_that_was_trained_on_the_last_one(
    world: World, run: runs.Run, tmp_path: Path
) -> None:
    settings = Denoising(
        ratio=1.5, modalities=MODALITIES, floor=False, keep_presence=False
    )
    first = stages.denoise(
        run.folder, world.labels, tmp_path / "one.csv", settings=settings
    )
    again = stages.train(
        replace(run.recipe, labels=str(first.table)), tmp_path / "again"
    )
    second = stages.denoise(
        again.folder, first.table, tmp_path / "two.csv", settings=settings
    )
    both = stages.denoise(
        run.folder, world.labels, tmp_path / "both.csv", settings=settings, rounds=2
    )
    assert (
        both.table.read_bytes() == second.table.read_bytes() != first.table.read_bytes()
    )
    assert both.flips == second.flips
    assert (tmp_path / "both" / "labels_1.csv").read_bytes() == first.table.read_bytes()


def test_predictions_scored_from_the_table_equal_those_scored_in_memory(
    world: World, run: runs.Run, tmp_path: Path
) -> None:
    table = tmp_path / "predictions.csv"
    assert (
        stages.predict(run.folder, world.data, world.store, table, split="test") == []
    )
    scored = evaluate(
        world.data, read_table(table, taxonomy=world.data.taxonomy), split="test"
    ).scores.percent()
    test = world.data.select("test")
    inputs = read_inputs(world.store, EMBEDDED, test.ids)
    marked = decide(run.predict(inputs).batch()).numpy()
    assert scored == llp_scores(test.reference(marked.shape[1]), marked).percent()


def test_a_file_has_the_timeline_of_its_stored_features(
    world: World, run: runs.Run, tmp_path: Path
) -> None:
    parser = Parser.load(run.folder)
    video = world.data.select("test").videos[0]
    table = tmp_path / "predictions.csv"
    loose = replace(run.recipe, decision=recipes.Decision("segment", 0.3))
    run_loose = runs.save(replace(run, folder=tmp_path / "loose", recipe=loose))
    stages.predict(run_loose.folder, world.data, world.store, table, split="test")
    timeline = Parser.load(run_loose.folder)(world.folder / video.path)
    stored = read_table(table, taxonomy=world.data.taxonomy).events[video.video]
    assert [(e.modality, e.class_name, e.onset, e.offset) for e in timeline] == [
        (e.modality, e.class_name, e.onset, e.offset) for e in stored
    ]
    assert timeline.seconds == 10.0
    assert parser.run.taxonomy == world.data.taxonomy


def test_a_long_video_is_parsed_in_windows_that_agree_with_one_window(
    world: World, run: runs.Run
) -> None:
    parser = Parser.load(run.folder)
    inputs = read_inputs(world.store, EMBEDDED, world.data.ids[:1]).batch()
    twice = inputs.map(lambda tensor: torch.cat([tensor, tensor], dim=1))
    one, long = parser.predict(inputs), parser.predict(twice)
    assert long.segment.shape[1] == 2 * one.segment.shape[1]
    half = run.recipe.training.window // 2
    assert torch.allclose(
        long.segment[:, :half], one.segment[:, :half]
    )  # seen by the first window alone
    assert torch.allclose(long.video, one.video, atol=0.2)


@pytest.mark.parametrize("missing", ["run.json", "recipe.yaml", "model.safetensors"])
def test_a_run_without_one_of_its_files_is_refused(
    run: runs.Run, tmp_path: Path, missing: str
) -> None:
    for name in {"run.json", "recipe.yaml", "model.safetensors"} - {missing}:
        (tmp_path / name).write_bytes((run.folder / name).read_bytes())
    with pytest.raises(
        RunError, match=f"{missing} is missing: this is not a finished run"
    ):
        runs.load(tmp_path)


def test_changed_weights_are_refused(run: runs.Run, tmp_path: Path) -> None:
    for name in ("run.json", "recipe.yaml", "model.safetensors"):
        (tmp_path / name).write_bytes((run.folder / name).read_bytes())
    weights = bytearray((tmp_path / "model.safetensors").read_bytes())
    weights[-1] ^= 1
    (tmp_path / "model.safetensors").write_bytes(weights)
    with pytest.raises(RunError, match="the weights have changed since the training"):
        runs.load(tmp_path)


def test_an_encoder_with_other_weights_is_refused(
    world: World, run: runs.Run, tmp_path: Path
) -> None:
    other = replace(
        run,
        folder=tmp_path / "run",
        inputs={**run.inputs, "weights of visual:embedded": "0" * 64},
    )
    runs.save(other)
    with pytest.raises(
        RunError,
        match="the weights of visual:embedded have changed since this run was trained",
    ):
        Parser.load(tmp_path / "run")


def test_a_run_has_the_scores_that_evaluating_its_predictions_gives(
    world: World, run: runs.Run, tmp_path: Path
) -> None:
    for split in ("val", "test"):
        stages.predict(
            run.folder, world.data, world.store, tmp_path / "p.csv", split=split
        )
        table = read_table(tmp_path / "p.csv", taxonomy=world.data.taxonomy)
        numbers = evaluate(world.data, table, split=split).numbers()
        metrics = json.loads((run.folder / "metrics.json").read_text())[split]
        assert {level: metrics[level] for level in numbers} == numbers
        assert metrics["videos"] == len(world.data.select(split).labelled_ids())


def test_fitted_thresholds_are_named_in_the_run_and_used_by_it(
    world: World, tmp_path: Path
) -> None:
    recipe = replace(small(world), decision=Decision(segments="fitted"))
    trained = stages.train(recipe, tmp_path / "fitted")
    again = runs.load(tmp_path / "fitted")
    named = json.loads((tmp_path / "fitted" / "run.json").read_text())["decision"][
        "segments"
    ]
    assert torch.equal(trained.thresholds, again.thresholds)
    assert torch.allclose(
        torch.tensor([named["audio"], named["visual"]]), trained.thresholds
    )


def test_matched_thresholds_mark_as_many_segments_as_are_labelled(
    world: World, tmp_path: Path
) -> None:
    recipe = replace(small(world, "ple"), decision=Decision(segments="matched"))
    with pytest.raises(RecipeError, match="needs the table of labels"):
        stages.train(replace(recipe, labels=""), tmp_path / "none")
    table = stages.label(
        world.data, world.store, tmp_path / "labels.csv", encoders=EMBEDDED
    ).table
    recipe = replace(recipe, labels=str(table))
    trained = stages.train(recipe, tmp_path / "matched")
    assert trained.thresholds is not None
    assert (trained.thresholds == trained.thresholds[:, :1]).all()
    data = world.data.select("train")
    dataset = Dataset.with_features(data, world.store, EMBEDDED)
    prediction = trained.predict(dataset.inputs).rows()
    labels = dataset.labels(table).rows()
    marked = trained.decide(prediction).sum(dim=(0, 1, 3))
    before = replace(trained, thresholds=None).decide(prediction).sum(dim=(0, 1, 3))
    expected = labels.sum(dim=(0, 1, 3))
    assert ((marked - expected).abs() <= (before - expected).abs()).all()


def test_exchange_only_removes_tags_and_its_table_is_trained_on(
    world: World, run: runs.Run, tmp_path: Path
) -> None:
    made = stages.exchange(run.folder, tmp_path / "kept.csv", seed=2)
    again = stages.exchange(run.folder, tmp_path / "again.csv", seed=2)
    assert made.table.read_text() == again.table.read_text()
    data = world.data.select("train")
    kept = (
        read_table(made.table, taxonomy=data.taxonomy)
        .select_videos(data.ids)
        .reference(10)
    )
    assert not (kept.any(axis=(1, 2)) & ~data.weak_label()).any()
    stages.train(replace(small(world, "ma"), labels=str(made.table)), tmp_path / "ma")


def test_noise_ratios_of_an_estimator_are_used_by_the_removal(
    world: World, tmp_path: Path
) -> None:
    estimator = stages.train(small(world, "jomold_estimator"), tmp_path / "estimator")
    ratios = stages.noise_ratios(estimator.folder, tmp_path / "ratios.json")
    assert all(
        0 <= share <= 1 for by_class in ratios.values() for share in by_class.values()
    )
    recipe = small(world, "jomold")
    recipe = replace(
        recipe, removal=replace(recipe.removal, ratios=str(tmp_path / "ratios.json"))
    )
    assert stages.train(recipe, tmp_path / "jomold").history
    (tmp_path / "ratios.json").write_text("{}")
    with pytest.raises(RecipeError, match="no noise ratios of these classes"):
        stages.train(recipe, tmp_path / "other")


def test_a_recipe_without_encoders_uses_those_of_the_store(run: runs.Run) -> None:
    assert run.recipe.encoders == EMBEDDED


KILLED = """
import os, signal, sys
from pathlib import Path
import torch
from vaplan import recipe, stages, training

class Mortal(torch.optim.Adam):
    steps = 0
    def step(self, *args, **kwargs):
        Mortal.steps += 1
        if Mortal.steps == 3:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().step(*args, **kwargs)

training.OPTIMISERS["adam"] = Mortal
stages.train(recipe.read(Path(sys.argv[1])), Path(sys.argv[2]), checkpoint_seconds=0.0)
"""


@pytest.mark.slow
def test_a_killed_training_resumes_to_the_same_bytes(
    world: World, run: runs.Run, tmp_path: Path
) -> None:
    (tmp_path / "recipe.yaml").write_text(recipes.dump(run.recipe))
    command = [
        sys.executable,
        "-c",
        KILLED,
        str(tmp_path / "recipe.yaml"),
        str(tmp_path / "run"),
    ]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    assert {path.name for path in (tmp_path / "run").iterdir()} - {"tensorboard"} == {
        "checkpoint.safetensors",
        "lock",
    }
    stages.train(run.recipe, tmp_path / "run", resume=True)
    for name in ("model.safetensors", "log.jsonl", "metrics.json"):
        assert (tmp_path / "run" / name).read_bytes() == (
            run.folder / name
        ).read_bytes()
    assert not (tmp_path / "run" / "checkpoint.safetensors").exists()


@dataclass(frozen=True)
class ForeignSettings:
    """Of a network that vaplan does not know."""

    hidden: int = 8


class Foreign(nn.Module):
    """One linear map a modality; a video is as likely as its likeliest segment."""

    def __init__(
        self,
        settings: ForeignSettings,
        *,
        feature_sizes: runs.FeatureSizes,
        classes: int,
    ) -> None:
        super().__init__()
        self.maps = nn.ModuleList(
            nn.Linear(sum(sizes), classes) for sizes in feature_sizes
        )

    def forward(self, inputs: Inputs) -> Prediction:
        joined = [torch.cat(streams, dim=-1) for streams in inputs.streams]
        logit = torch.stack(
            [linear(x) for linear, x in zip(self.maps, joined, strict=True)], dim=2
        )
        segment = logit.sigmoid().masked_fill(~inputs.mask[..., None], 0)
        modality = segment.amax(dim=1)
        return Prediction(segment, modality, modality.amax(dim=1), inputs.mask)


def test_a_network_of_the_user_is_trained_with_plg_ple_and_pld(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(MODELS, "foreign", (ForeignSettings, Foreign))
    recipe = recipes.read(
        "vaplan",
        changes=[*world.changes, "model={name: foreign}", f"labels={world.labels}"],
    )
    first = stages.train(recipe, tmp_path / "before")
    refined = stages.denoise(first.folder, world.labels, tmp_path / "denoised.csv")
    trained = stages.train(
        replace(recipe, labels=str(refined.table)), tmp_path / "after"
    )
    assert (
        stages.predict(
            trained.folder, world.data, world.store, tmp_path / "p.csv", split="test"
        )
        == []
    )


@pytest.mark.slow
def test_torchrun_trains_a_recipe_in_two_processes_of_which_one_writes(
    world: World, tmp_path: Path
) -> None:
    recipe = recipes.read(
        "ple",
        changes=[
            *world.changes,
            f"labels={world.labels}",
            "model.settings.dropout=0.0",
        ],
    )
    (tmp_path / "recipe.yaml").write_text(recipes.dump(recipe))
    alone = stages.train(recipe, tmp_path / "alone")
    torchrun(
        "-m",
        "--",
        "vaplan",
        "train",
        tmp_path / "recipe.yaml",
        "--run",
        tmp_path / "both",
    )
    both = runs.load(tmp_path / "both")
    for ours, theirs in zip(both.history, alone.history, strict=True):
        assert ours == pytest.approx(theirs, rel=1e-4)
    assert (
        alone.environment["compute"]["processes"],
        both.environment["compute"]["processes"],
    ) == (
        1,
        2,
    )
    files = {path.name for path in (tmp_path / "both").iterdir()}
    assert files == {path.name for path in (tmp_path / "alone").iterdir()}


@pytest.mark.parametrize("name", recipes.shipped())
def test_every_parameter_of_a_recipe_s_network_learns(name: str) -> None:
    recipe = recipes.read(name, changes=["model.settings.hidden=16"])
    sizes = (3,) if name in LOCALISING else (3, 2)  # of the visual streams
    model = runs.make_model(recipe, feature_sizes=((4,), sizes), classes=5)
    streams = torch.rand(6, 10, 4), *(torch.rand(6, 10, size) for size in sizes)
    weak = torch.arange(30).reshape(6, 5) % 2 == 0
    pseudo = weak[:, None, None] & (torch.arange(20).reshape(10, 2, 1) % 3 == 0)
    inputs = Inputs((streams[:1], streams[1:]), torch.ones(6, 10, 2, dtype=torch.bool))
    total(model(inputs), Target(weak, pseudo), recipe.losses)[0].backward()
    assert [
        name for name, parameter in model.named_parameters() if parameter.grad is None
    ] == []


def test_predict_also_writes_probabilities(
    world: World, run: runs.Run, tmp_path: Path
) -> None:
    stages.predict(
        run.folder,
        world.data,
        world.store,
        tmp_path / "p.csv",
        split="test",
        scores=tmp_path / "scores",
    )
    ids, probability, mask = read_scores(tmp_path / "scores", world.data.taxonomy)
    inputs = read_inputs(world.store, EMBEDDED, ids)
    predicted = run.predict(inputs).batch()
    assert sorted(world.data.select("test").ids) == ids
    assert np.array_equal(mask, predicted.mask.numpy())
    assert np.allclose(probability[mask], predicted.segment.numpy()[mask], atol=1e-6)


def test_a_run_names_its_annotations_and_where_it_was_trained(run: runs.Run) -> None:
    made = json.loads((run.folder / "run.json").read_text())["environment"]
    assert made["annotations"]
    assert made["compute"] == {
        "device": "cpu",
        "precision": "fp32",
        "threads": 1,
        "processes": 1,
    }
    assert runs.load(run.folder).environment == made


def test_curves_are_written_for_tensorboard_and_continued_by_a_resumed_training(
    tmp_path: Path,
) -> None:
    accumulator = pytest.importorskip(
        "tensorboard.backend.event_processing.event_accumulator"
    )
    for first in (1, 2):  # killed after the second epoch, whose checkpoint was lost
        with training.tensorboard_logger(tmp_path) as log_epoch:
            for epoch in range(first, first + 2):
                log_epoch({"epoch": epoch, "loss": 10.0 * first + epoch})
    events = accumulator.EventAccumulator(str(tmp_path)).Reload()
    assert [(event.step, event.value) for event in events.Scalars("loss")] == [
        (1, 11.0),
        (2, 22.0),
        (3, 23.0),
    ]


def test_training_works_without_tensorboard(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vaplan.training.tensorboard.find_spec", lambda name: None)
    history: list[training.Epoch] = []
    with training.tensorboard_logger(tmp_path, history.append) as log_epoch:
        assert log_epoch is not None
        log_epoch({"epoch": 1, "loss": 0.5})
    assert history == [{"epoch": 1, "loss": 0.5}]
    assert not list(tmp_path.iterdir())


def test_features_larger_than_the_memory_train_to_the_same_bytes(
    world: World, run: runs.Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mapped, "MEMORY_SHARE", 0.0)
    inputs = read_inputs(
        world.store, EMBEDDED, world.data.ids, overflow=tmp_path / "held"
    )
    assert (
        read_inputs(world.store, EMBEDDED, world.data.ids)
        .values.streams[0][0]
        .equal(inputs.values.streams[0][0])
    )
    stages.train(run.recipe, tmp_path / "run")
    assert (tmp_path / "run" / "model.safetensors").read_bytes() == (
        run.folder / "model.safetensors"
    ).read_bytes()
    assert not list((tmp_path / "held").iterdir())


def test_dense_videos_of_val_are_trained_on_with_their_dense_labels(
    world: World, tmp_path: Path
) -> None:
    data = select_training_videos(world.data, with_dense_val=True)
    splits = [video.split for video in data.videos]
    assert splits == ["train"] * 16 + ["val"] * 4
    dataset = Dataset.with_features(data, world.store, EMBEDDED)
    labels = dataset.labels(world.labels, dense_val=True)
    pseudo, dense = dataset.labels(world.labels), dataset.reference()
    sources = [pseudo if split == "train" else dense for split in splits]
    for index, source in enumerate(sources):
        assert torch.equal(labels[[index]].values, source[[index]].values)
    changes = [
        *world.changes,
        f"labels={world.labels}",
        "training.select=last",
        "train_on_dense_val=true",
    ]
    run = stages.train(recipes.read("ple", changes=changes), tmp_path / "run")
    assert runs.load(run.folder).recipe.train_on_dense_val


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (["training.select=best"], "on which an epoch would be chosen"),
        (["decision.segments=fitted"], "segment thresholds would be chosen"),
        (["labels=''"], "adds dense labels to pseudo labels"),
        (["label_probability=p.csv"], "adds dense labels to pseudo labels"),
    ],
)
def test_nothing_is_chosen_on_dense_videos_that_are_trained_on(
    changes: list[str], message: str
) -> None:
    common = ["labels=l.csv", "training.select=last", "train_on_dense_val=true"]
    with pytest.raises(RecipeError, match=message):
        recipes.read("ple", changes=[*common, *changes])

"""Run folders are foreign input: a torn file is one clear error that names it."""

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.conftest import World
from vaplan import recipe as recipes
from vaplan import runs, stages
from vaplan.dataset import Dataset
from vaplan.errors import Exit, VaplanError
from vaplan.parser import Parser


@pytest.fixture(scope="module")
def trained(world: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    recipe = recipes.read("han", changes=world.changes)
    return stages.train(recipe, tmp_path_factory.mktemp("runs") / "han").folder


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        (
            "log.jsonl",
            '{"epoch": 1}\n{"epo',
            r"log\.jsonl:2: this line is not the JSON",
        ),
        ("metrics.json", '{"val": ', r"metrics\.json:1: not a JSON file of scores"),
        ("run.json", '{"classes": ', r"run\.json:1: not the description of a run"),
        ("run.json", "[]", r"run\.json: not the description of a run"),
        ("run.json", '{"classes": []}', "lacks 'feature_sizes'"),
        ("log.jsonl", "[" * 100_000, r"log\.jsonl:1: this line is not the JSON"),
        ("log.jsonl", '{"epoch": "one"}', r"log\.jsonl:1: this line is not the JSON"),
        ("metrics.json", "[1]", r"metrics\.json: not a JSON file of scores"),
        ("metrics.json", '{"val": {"segment": null}}', "'segment' of 'val' must hold"),
        (
            "metrics.json",
            '{"val": {"event": {"audio": {}}}}',
            "'event' of 'val' must hold",
        ),
        (
            "metrics.json",
            '{"val": {"per_class": {"segment": {"audio": {"Dog": {}}}}}}',
            "'per_class' of 'val' must hold",
        ),
        ("recipe.yaml", "", r"recipe\.yaml: the recipe is empty"),
    ],
)
def test_a_torn_file_is_one_error_with_its_name(
    trained: Path, tmp_path: Path, name: str, text: str, message: str
) -> None:
    folder = Path(shutil.copytree(trained, tmp_path / "run"))
    (folder / name).write_text(text)
    with pytest.raises(VaplanError, match=message) as caught:
        runs.load(folder)
    assert caught.value.exit == Exit.USAGE
    assert "\n" not in str(caught.value)


def test_a_run_is_loaded_as_it_was_saved(trained: Path) -> None:
    first, second = runs.load(trained), runs.load(trained)
    assert [epoch["epoch"] for epoch in first.history] == [1, 2]
    assert first.metrics == second.metrics
    assert set(first.metrics) == {"val", "test"}


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("feature_sizes", [[1_000_000_000], [512]]),
        ("feature_sizes", [[-1], [512]]),
        ("feature_sizes", [[], []]),
        ("feature_sizes", 3),
        ("classes", ["Dog", "Dog"]),
        ("classes", [1, 2]),
        ("classes", [f"class {i}" for i in range(100_000)]),
        ("weights_sha256", "0" * 64),
        ("weights_sha256", None),
        ("decision", {"segments": {"audio": [0.5]}}),
        ("decision", {"segments": {"audio": "high", "visual": [2.0]}}),
        ("inputs", [1]),
    ],
)
def test_an_invalid_description_is_one_error_before_any_memory_is_allocated(
    trained: Path, tmp_path: Path, key: str, value: Any
) -> None:
    folder = Path(shutil.copytree(trained, tmp_path / "run"))
    description = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps(description | {key: value}))
    with pytest.raises(VaplanError) as caught:
        runs.load(folder)
    assert caught.value.exit == Exit.USAGE
    assert "\n" not in str(caught.value)


def test_two_trainings_into_one_folder_are_not_mixed(
    world: World, tmp_path: Path
) -> None:
    recipe = recipes.read("han", changes=world.changes)
    (tmp_path / "recipe.yaml").write_text(recipes.dump(recipe))
    other = "import sys; from vaplan.cli import main; main()"
    command = [sys.executable, "-c", other, "train", str(tmp_path / "recipe.yaml")]
    seen = list[subprocess.CompletedProcess[str]]()

    def race(*_: object) -> None:
        if not seen:
            arguments = [*command, "--run", str(tmp_path / "run")]
            seen.append(
                subprocess.run(arguments, capture_output=True, text=True, check=False)
            )

    stages.train(recipe, tmp_path / "run", progress=race)
    assert seen[0].returncode == Exit.MACHINE
    assert "the run folder is locked by pid" in seen[0].stderr
    assert runs.load(tmp_path / "run").recipe.model == recipe.model


def test_a_decision_is_changed_without_training(world: World, trained: Path) -> None:
    run = runs.load(trained)
    dataset = Dataset.with_features(world.data, world.store, run.recipe.encoders)
    prediction = run.predict(dataset.inputs).rows()
    lower = run.with_decision(gate=0.0, segments={"visual": 0.1})
    marked = lower.decide(prediction)
    segment = prediction.segment
    expected = torch.stack([segment[:, :, 0] >= 0.5, segment[:, :, 1] >= 0.1], dim=2)
    assert torch.equal(marked, expected & prediction.mask[..., None])
    assert run.thresholds is None
    assert torch.equal(run.with_decision().decide(prediction), run.decide(prediction))


def test_a_localisation_rule_has_one_threshold(trained: Path) -> None:
    run = replace(runs.load(trained), thresholds=torch.full((2, 3), 0.7))
    kept = run.with_decision(rule="segment_label")
    assert kept.thresholds is run.thresholds
    changed = run.with_decision(rule="segment_label", gate=0.2)
    assert changed.thresholds is None
    assert changed.recipe.decision.threshold == 0.2
    with pytest.raises(VaplanError, match="'event_gate' has one threshold"):
        run.with_decision(rule="event_gate", segments={"audio": 0.3})


def test_an_invalid_decision_is_an_error(trained: Path) -> None:
    run = runs.load(trained)
    with pytest.raises(VaplanError, match="audio threshold 4, expected a probability"):
        run.with_decision(segments={"audio": 4.0})
    with pytest.raises(VaplanError, match="decision rule 'gat'"):
        run.with_decision(rule="gat")


def test_a_parser_and_predict_take_another_decision(
    world: World, trained: Path, tmp_path: Path
) -> None:
    counts = list[int]()
    for number, gate in enumerate((0.99, 0.0)):
        table = tmp_path / f"{number}.csv"
        stages.predict(
            trained,
            world.data,
            world.store,
            table,
            gate=gate,
            thresholds={"audio": gate, "visual": gate},
        )
        counts.append(len(table.read_text().splitlines()))
    assert counts[0] < counts[1]
    video = world.folder / world.data.videos[0].path
    everything = Parser.load(
        trained, gate=0.0, thresholds={"audio": 0.0, "visual": 0.0}
    )
    timeline = everything(video)
    classes = len(world.data.taxonomy)
    assert len(timeline.events) == 2 * classes

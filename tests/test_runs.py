"""Run folders are foreign input: a torn file is one clear error that names it."""

import shutil
from pathlib import Path

import pytest

from tests.conftest import World
from vaplan import recipe as recipes
from vaplan import runs, stages
from vaplan.errors import Exit, RunError


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
        ("metrics.json", '{"val": ', r"metrics\.json: not a JSON file of scores"),
        ("run.json", '{"classes": ', r"run\.json: not the description of a run"),
        ("run.json", "[]", r"run\.json: not the description of a run"),
        ("run.json", '{"classes": []}', "'feature_sizes' is missing"),
    ],
)
def test_a_torn_file_is_one_error_with_its_name(
    trained: Path, tmp_path: Path, name: str, text: str, message: str
) -> None:
    folder = Path(shutil.copytree(trained, tmp_path / "run"))
    (folder / name).write_text(text)
    with pytest.raises(RunError, match=message) as caught:
        runs.load(folder)
    assert caught.value.exit == Exit.USAGE
    assert "\n" not in str(caught.value)


def test_a_run_is_loaded_as_it_was_saved(trained: Path) -> None:
    first, second = runs.load(trained), runs.load(trained)
    assert [epoch["epoch"] for epoch in first.history] == [1, 2]
    assert first.metrics == second.metrics
    assert set(first.metrics) == {"val", "test"}

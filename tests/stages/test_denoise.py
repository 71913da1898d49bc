"""Labels are denoised by a parser that was trained on them."""

from pathlib import Path

import pytest

from tests.conftest import World
from vaplan import recipe as recipes
from vaplan import stages
from vaplan.errors import RunError


def test_labels_that_the_run_was_not_trained_on_are_refused(
    world: World, tmp_path: Path
) -> None:
    recipe = recipes.read(
        "plg", changes=[*world.changes, f"labels={world.labels}", "training.epochs=1"]
    )
    run = stages.train(recipe, tmp_path / "run").folder
    copy = tmp_path / "copy.csv"
    copy.write_bytes(world.labels.read_bytes())
    assert stages.denoise(run, copy, tmp_path / "same.csv").table.is_file()
    header, *lines = world.labels.read_text().splitlines(keepends=True)
    other = tmp_path / "other.csv"
    other.write_text("".join([header, *lines[1:]]))
    with pytest.raises(RunError, match=r"was trained on .*, not on the labels in"):
        stages.denoise(run, other, tmp_path / "out.csv")
    assert not (tmp_path / "out.csv").exists()
    denoised = stages.denoise(run, other, tmp_path / "out.csv", other_labels=True)
    assert denoised.table.is_file()

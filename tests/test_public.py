"""The public names of the package."""

import subprocess
import sys
from pathlib import Path

import pytest

import vaplan
from tests.conftest import EMBEDDED, SMALL, World


def test_public_names_resolve_and_are_listed_once() -> None:
    assert sorted(vaplan.__all__) == sorted(vaplan.MODULE_OF)
    for name in vaplan.__all__:
        assert getattr(vaplan, name).__doc__
        assert name in dir(vaplan)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = vaplan.nothing


def test_importing_the_package_imports_no_heavy_library() -> None:
    code = (
        "import sys, vaplan; "
        "print([m for m in ('torch', 'numpy', 'transformers', 'av') if m in sys.modules])"
    )
    printed = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert printed.stdout.strip() == "[]"


def test_all_stages_can_be_called_from_python(world: World, tmp_path: Path) -> None:
    from vaplan import recipe as recipes

    source = f"table:{world.table}"
    data = vaplan.read_data(source)
    store = world.store
    outcome = vaplan.features(
        data, world.folder, store, encoders=EMBEDDED, workers=1, progress=print
    )
    assert outcome.already == len(data.videos)
    labelling = vaplan.label(data, store, tmp_path / "labels.csv", encoders=EMBEDDED)
    changes = [*SMALL, f"data={source}", f"store={store}"]
    recipe = recipes.read("ple", changes=[*changes, f"labels={labelling.table}"])
    run = vaplan.train(recipe, tmp_path / "run")
    denoised = vaplan.denoise(run.folder, labelling.table, tmp_path / "denoised.csv")
    refined = vaplan.refine(run.folder, denoised.table, tmp_path / "refined.csv")
    assert refined.rule == "fusion"
    tables = [tmp_path / "first.csv", tmp_path / "second.csv"]
    for table in tables:
        vaplan.predict(run.folder, data, store, table, split="test")
    first, second = (
        vaplan.read_table(table, taxonomy=data.taxonomy) for table in tables
    )
    scores = vaplan.evaluate(data, first, split="test")
    assert vaplan.llp_scores(scores.reference, scores.estimate).percent() == (
        scores.numbers()
    )
    difference = vaplan.compare(data, first, second, split="test")
    assert difference["segment"]["type"] == {"value": 0.0, "low": 0.0, "high": 0.0}
    dataset = vaplan.Dataset.with_features(data, store, EMBEDDED)
    assert dataset.labels(refined.table).shape == dataset.reference().shape
    assert len(dataset) == len(data.videos)

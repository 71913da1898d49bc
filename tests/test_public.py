"""The public names of the package."""

import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

import vaplan
from tests.conftest import EMBEDDED, World


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


Step = tuple[int, int, str]


def counted(total: int) -> list[Step]:
    """The steps of a progress without a problem."""
    return [(done, total, "") for done in range(1, total + 1)]


@pytest.mark.slow
def test_every_long_function_reports_each_item_in_one_shape(
    world: World, tmp_path: Path
) -> None:
    from vaplan import recipe as recipes
    from vaplan import synthetic

    steps = list[Step]()

    def progress(done: int, total: int, problem: str) -> None:
        steps.append((done, total, problem))

    def taken() -> list[Step]:
        """The steps since the last call."""
        new = [*steps]
        steps.clear()
        return new

    assert isinstance(progress, vaplan.Progress)
    clips = synthetic.plan_clips({"train": 2}, seed=1)
    synthetic.render(clips, tmp_path / "world", workers=1, progress=progress)
    assert taken() == counted(2)
    rendered = vaplan.read_data(f"table:{tmp_path / 'world' / 'annotations.csv'}")
    vaplan.features(
        rendered,
        tmp_path / "world",
        tmp_path / "store",
        encoders=EMBEDDED,
        workers=1,
        progress=progress,
    )
    assert taken() == counted(2)
    run = vaplan.train(
        recipes.read("ple", changes=[*world.changes, f"labels={world.labels}"]),
        tmp_path / "run",
        progress=progress,
    ).folder
    assert taken() == counted(2)
    out = tmp_path / "labels.csv"
    vaplan.denoise(run, world.labels, out, rounds=3, progress=progress)
    assert taken() == counted(7)  # three rounds and twice two epochs
    vaplan.refine(run, world.labels, out, folds=2, progress=progress)
    assert taken() == counted(2)  # half of two epochs in two folds
    vaplan.predict(run, world.data, world.store, out, progress=progress)
    assert taken() == counted(len(world.data.videos))
    paths = [world.folder / video.path for video in world.data.videos[:2]]
    load = partial(vaplan.Parser.load, run)
    vaplan.parse(paths, tmp_path / "parsed", load=load, workers=1, progress=progress)
    assert taken() == counted(2)
    for _ in load().parse_many(paths, progress=progress):
        pass
    assert taken() == counted(2)


@pytest.mark.slow
def test_fit_reports_the_items_of_every_step(world: World, tmp_path: Path) -> None:
    tags = tmp_path / "tags.csv"
    videos = world.data.videos[:6]
    lines = [f"{video.path},{';'.join(video.tags)}\n" for video in videos]
    tags.write_text("path,tags\n" + "".join(lines))
    steps = list[Step]()
    vaplan.fit(
        tags=str(tags),
        media=str(world.folder),
        run=str(tmp_path / "run"),
        encoders=EMBEDDED,
        workers=1,
        progress=lambda *step: steps.append(step),
    )
    starts = [number for number, step in enumerate(steps) if step[0] == 1]
    totals = [steps[start][1] for start in starts]
    assert steps == [step for total in totals for step in counted(total)]
    assert totals[0] == 6
    assert len(totals) == 4  # features, train, refine, train


def test_all_stages_can_be_called_from_python_with_paths_as_text(
    world: World,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    source = f"table:{world.table}"
    data = vaplan.read_data(source)
    media = str(world.folder)
    store = str(world.store)
    outcome = vaplan.features(
        data=data,
        media=media,
        store=store,
        encoders=EMBEDDED,
        workers=1,
        progress=print,
    )
    assert outcome.already == len(data.videos)
    labelling = vaplan.label(
        data=data,
        store=store,
        out="labels.csv",
        encoders=EMBEDDED,
        out_probability="probability.csv",
    )
    changes = [*world.changes, f"labels={labelling.table}"]
    run = vaplan.train(recipe="ple", run="run", changes=changes)
    assert vaplan.train(run.recipe, "run").history == run.history
    denoised = vaplan.denoise(run="run", labels="labels.csv", out="denoised.csv")
    refined = vaplan.refine(
        run="run",
        labels=str(denoised.table),
        out="refined.csv",
        label_probability="probability.csv",
        out_probability="refined_probability.csv",
    )
    assert refined.rule == "fusion"
    for table in ("first.csv", "second.csv"):
        vaplan.predict(
            run="run", data=data, store=store, out=table, split="test", scores="scores"
        )
    first, second = (
        vaplan.read_table(table, taxonomy=data.taxonomy)
        for table in ("first.csv", "second.csv")
    )
    scores = vaplan.evaluate(data, first, split="test")
    assert vaplan.llp_scores(scores.reference, scores.estimate).percent() == (
        scores.numbers()
    )
    difference = vaplan.compare(data, first, second, split="test")
    assert difference["segment"]["type"] == {"value": 0.0, "low": 0.0, "high": 0.0}
    dataset = vaplan.Dataset.with_features(data, store, EMBEDDED)
    labels, reference = dataset.labels(refined.table), dataset.reference()
    assert labels.values.shape == reference.values.shape
    assert len(dataset) == len(data.videos)
    path = f"{media}/{data.videos[0].path}"
    load = partial(vaplan.Parser.load, "run")
    assert vaplan.parse(paths=[path], out="parsed", load=load, workers=1).done == 1
    assert capfd.readouterr().out == ""


def test_changes_need_a_recipe_by_name(world: World, tmp_path: Path) -> None:
    from vaplan import recipe as recipes

    recipe = recipes.read("ple", changes=world.changes)
    with pytest.raises(vaplan.VaplanError, match="changes are for a recipe that is"):
        vaplan.train(recipe, tmp_path / "run", changes=["training.epochs=1"])

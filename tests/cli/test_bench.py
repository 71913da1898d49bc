"""`vaplan bench` and `vaplan report` as commands: output, files and exit codes."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from tests.cli.conftest import Call
from tests.conftest import World
from vaplan import recipe as recipes
from vaplan import runs, stages
from vaplan.bench.compare_runs import shorten_paths
from vaplan.errors import UsageError

SUITE = """
about: Two parsers.
steps:
  labels: {label: fitted}
  han: {train: han}
  plg: {train: plg, labels: labels}
  hot: {train: plg, labels: labels, set: {training.learning_rate: 1e30, training.batch_size: 2}}
rows: {HAN: han, PLG: plg}
"""


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bench")
    (folder / "mine.yaml").write_text(SUITE)
    (folder / "hot.yaml").write_text(SUITE.replace("PLG: plg", "hot: hot"))
    (folder / "none.yaml").write_text(SUITE.replace("HAN: han, PLG: plg", "hot: hot"))
    return folder


@pytest.fixture
def given(workspace: Path, world: World) -> list[object]:
    small = [
        "model.settings.hidden=8",
        "model.settings.feedforward=8",
        "training.epochs=1",
    ]
    changes = [part for change in small for part in ("--set", change)]
    data = ["--data", f"table:{world.table}", "--store", world.store]
    return [*data, "--seeds", 1, "--work", workspace / "work", *changes]


def test_the_suites_are_listed(call: Call) -> None:
    code, out, err = call("bench", "--list")
    assert (code, err) == (0, "")
    for name in "backbones components keep lambda methods ratio smoke theta".split():
        assert re.search(rf"^{name}  \w", out, flags=re.MULTILINE)


@pytest.mark.usefixtures("no_figures")
def test_a_suite_of_the_user_is_run_and_printed(
    call: Call, workspace: Path, given: list[object]
) -> None:
    code, out, err = call(
        "bench", workspace / "mine.yaml", *given, "--out", workspace / "out"
    )
    assert code == 0, err
    assert "segment-level F" in out
    assert re.search(r"PLG − HAN +[+-]\d+\.\d \[", out)
    code, out, _ = call(
        "bench", workspace / "mine.yaml", *given, "--out", workspace / "out", "--json"
    )
    assert code == 0
    assert json.loads(out) == json.loads(
        (workspace / "out" / "results.json").read_text()
    )


@pytest.mark.usefixtures("no_figures")
def test_each_failure_is_one_line_and_sets_the_exit_code(
    call: Call, workspace: Path, given: list[object]
) -> None:
    code, out, err = call(
        "bench", workspace / "hot.yaml", *given, "--out", workspace / "hot"
    )
    assert code == 3
    assert (
        len([line for line in err.splitlines() if line.startswith("error: plg-0-")])
        == 1
    )
    assert re.search(r"hot +–", out)
    assert (
        call("bench", workspace / "none.yaml", *given, "--out", workspace / "none")[0]
        == 4
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "error: no suite. Fix: name one of"),
        (["method"], "did you mean 'methods'"),
        (["methods", "--data", "table:x.csv"], "data and a store belong together"),
        (["methods", "--data", "x.csv", "--store", "store"], "is not a data set"),
    ],
)
def test_invalid_arguments_are_exit_code_2(
    call: Call, arguments: list[str], message: str
) -> None:
    code, out, err = call("bench", *arguments)
    assert (code, out) == (2, "")
    assert message in err
    assert len([line for line in err.splitlines() if line.startswith("error: ")]) == 1


@pytest.mark.usefixtures("no_figures")
def test_an_interruption_is_exit_code_130(
    call: Call, workspace: Path, given: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(stages, "train", interrupted)
    code, _, err = call(
        "bench",
        workspace / "mine.yaml",
        *given,
        "--set",
        "training.seed=9",
        "--work",
        workspace / "other",
    )
    assert code == 130
    assert "the same command continues where it stopped" in err


# ---- runs on one page


@pytest.fixture(scope="module")
def trained(world: World, workspace: Path) -> list[Path]:
    """Two runs."""
    made = {name: recipes.read(name, changes=world.changes) for name in ("han", "plg")}
    made["plg"] = replace(made["plg"], labels=str(world.labels))
    return [
        stages.train(recipe, workspace / "runs" / name).folder
        for name, recipe in made.items()
    ]


def test_runs_are_compared_on_one_page_that_loads_nothing(
    call: Call, trained: list[Path], tmp_path: Path
) -> None:
    code, out, _ = call("report", *trained, "--out", tmp_path / "page.html")
    assert (code, out) == (0, "")
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    first, second = (run.name for run in trained)
    assert f"{second} − {first}" in page
    assert not re.search(r'(src|href)="(?!#|data:)', page)
    for text in (
        "Where the recipes differ",
        "losses.modality_weak.weight",
        "Split test",
        "Training",
        "by class, visual",
    ):
        assert text in page
    numbers = runs.load(trained[1]).metrics["test"]["segment"]
    (row,) = re.findall(
        rf'row">{second}</th>(.*?)</tr>',
        page.split(">Split test<")[1].split(">Differences")[0],
    )
    assert [float(cell) for cell in re.findall(r">([\d.]+)<", row)][:5] == [
        round(f, 1) for f in numbers.values()
    ]


def test_one_run_has_a_page_too(
    call: Call, trained: list[Path], tmp_path: Path
) -> None:
    assert call("report", trained[0], "--out", tmp_path / "page.html")[0] == 0
    assert "Where the recipes differ" not in (tmp_path / "page.html").read_text(
        encoding="utf-8"
    )


def test_a_folder_without_a_run_is_an_error(
    call: Call, trained: list[Path], tmp_path: Path
) -> None:
    code, _, err = call(
        "report", trained[0], tmp_path / "nowhere", "--out", tmp_path / "page.html"
    )
    assert code == 2
    assert "nowhere: no such folder" in err
    code, _, err = call(
        "report", trained[0], trained[0], "--out", tmp_path / "page.html"
    )
    assert code == 2
    assert "this run is given twice" in err
    assert not (tmp_path / "page.html").exists()


def test_runs_are_named_by_their_differences(tmp_path: Path) -> None:
    assert shorten_paths([tmp_path / "han" / "0", tmp_path / "han" / "1"]) == ["0", "1"]
    assert shorten_paths([tmp_path / "han"]) == ["han"]
    with pytest.raises(UsageError):
        shorten_paths([tmp_path / "a", tmp_path / "a"])

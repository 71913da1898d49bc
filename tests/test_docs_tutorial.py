"""Every command and example of the tutorial is run, on a small data set, in its order."""

import importlib
import re
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.conftest import EMBEDDED
from tests.test_readme import commands as readme_commands
from vaplan import cli, recipe, stages, synthetic
from vaplan.bench.demo import CHANGES

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", PAGE, flags=re.DOTALL)
COUNTS = {"train": 16, "val": 4, "test": 6}
SMALL = (
    "training.epochs=2",
    "model.settings.hidden=16",
    "model.settings.feedforward=16",
)
FILES = {"yaml": "classes.yaml", "csv": "corrections.csv"}


def commands(code: str) -> list[list[str]]:
    lines = code.replace("\\\n", " ").splitlines()
    return [shlex.split(line, comments=True) for line in lines if line]


def run(command: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    words = list[str]()
    for word in command:
        matches = sorted(map(str, Path().glob(word))) if "*" in word else []
        words += matches or [word]
    monkeypatch.setattr(sys, "argv", words)
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert (command, end.value.code or 0) == (command, 0)


@pytest.fixture
def small_recipes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make every training short and every network small, also those of `vaplan fit`."""
    read = recipe.read

    def read_small(name: str | Path, *, changes: Sequence[str] = ()) -> recipe.Recipe:
        return read(name, changes=[*changes, *SMALL])

    monkeypatch.setattr(recipe, "read", read_small)


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small_recipes: None) -> Path:
    """Make the files of the demo that the tutorial uses, with fewer videos of the same seed."""
    world, store = tmp_path / "demo" / "data", tmp_path / "demo" / "store"
    clips = synthetic.plan_clips(COUNTS, seed=1)
    table = synthetic.render(clips, world, workers=1)
    data = stages.read_data(f"table:{table}")
    stages.features(data, world, store, encoders=EMBEDDED, workers=1)
    monkeypatch.chdir(tmp_path)
    source = ["--data", f"table:{table}", "--store", str(store)]
    run(
        ["vaplan", "train", "han", *source, "--run", "demo/runs/han-0-1a2b3c4d5e"],
        monkeypatch,
    )
    return tmp_path


def test_every_command_and_example_of_the_tutorial_runs(
    desk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The demo itself is not run here: test_readme runs the same command."""
    demo, *others = [block for block in BLOCKS if block[0] != "text"]
    assert commands(demo[1])[0] in readme_commands()
    for language, code in others:
        if language == "python":
            exec(compile(code, "tutorial.md", "exec"), {})  # noqa: S102 - our own page
        elif language in FILES:
            (desk / FILES[language]).write_text(code, encoding="utf-8")
        else:
            for command in commands(code):
                run(command, monkeypatch)
    corrected = (desk / "corrected.csv").read_text(encoding="utf-8").splitlines()
    (corrections,) = (code for language, code in others if language == "csv")
    assert corrected[-6:] == corrections.splitlines()[1:]
    for name in ("parsed.png", "labels.png", "corrected.png", "methods.png"):
        assert (desk / name).stat().st_size > 1000


def test_every_output_of_the_tutorial_is_there() -> None:
    assert all(code.strip() for _, code in BLOCKS)
    assert {language for language, _ in BLOCKS} == {"bash", "text", "python", *FILES}


def test_the_trainings_of_the_tutorial_have_the_size_of_the_demo() -> None:
    trainings = [
        command
        for language, code in BLOCKS
        if language == "bash"
        for command in commands(code)
        if command[1] == "train"
    ]
    assert len(trainings) == 2
    for training in trainings:
        assert set(CHANGES) <= set(training)


def test_pictures_are_small() -> None:
    pictures = [p for p in (ROOT / "docs" / "images").rglob("*") if p.is_file()]
    assert len(pictures) > 5
    assert [p.name for p in pictures if p.stat().st_size > 100_000] == []


def test_outputs_of_a_page_are_written_into_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(ROOT / "docs")
    make_tutorial = importlib.import_module("make_tutorial")
    page = (
        "# Page\n```csv\na,b\n```\n"
        "```python\nprint(open('corrections.csv').read() * 2)\n```\n"
        "between\n```text\nold\n```\nend\n"
    )
    written = make_tutorial.run_page(page, tmp_path)
    assert written == page.replace("old\n", "a,b\na,b\n")
    with pytest.raises(SystemExit, match="exit code 1"):
        make_tutorial.run_page("```python\n1 / 0\n```\n", tmp_path)

"""Every command of the README runs on small data, in the order of the page."""

import re
import shlex
import shutil
import sys
from pathlib import Path

import pytest

import vaplan
from tests.conftest import World
from vaplan import cli
from vaplan.bench import demo
from vaplan.encoders.embedded import WEIGHTS

pytestmark = pytest.mark.slow

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
HUB = {  # in place of models that cannot be fetched, the embedded ones of the same class
    "clip:base": f"clip:{WEIGHTS / 'clip'}",
    "clap:base": f"clap:{WEIGHTS / 'clap'}",
}
QUICK = {
    "demo": ["--videos", "40", "--jobs", "1"],
    "train": [
        "--set",
        "training.epochs=2",
        "--set",
        "model.settings={hidden: 16, feedforward: 16}",
    ],
}


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


def commands() -> list[list[str]]:
    lines = "".join(blocks("bash")).replace("\\\n", " ").splitlines()
    return [
        shlex.split(line, comments=True) for line in lines if line.startswith("vaplan ")
    ]


@pytest.fixture(scope="module")
def desk(world: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a folder with the files that the README uses."""
    folder = tmp_path_factory.mktemp("readme")
    shutil.copy(world.table, folder / "annotations.csv")
    shutil.copytree(world.folder / "media", folder / "media")
    shutil.copytree(world.folder / "media", folder / "videos")
    videos = world.data.videos
    (folder / "tags.csv").write_text(
        "path,tags\n"
        + "".join(f"{v.video}.mp4,{';'.join(v.tags)}\n" for v in videos[:12])
    )
    (folder / "classes.yaml").write_text(blocks("yaml")[0])
    shutil.copy(world.folder / videos[-1].path, folder / "new.mp4")
    return folder


def test_the_readme_has_commands() -> None:
    assert {command[1] for command in commands()} >= {
        "demo",
        "fit",
        "parse",
        "features",
        "label",
        "train",
        "denoise",
    }


def test_every_command_of_the_readme_runs_and_then_its_python(
    desk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One test, because each command reads what those before it wrote."""
    monkeypatch.chdir(desk)
    short = tuple(c.replace("epochs=20", "epochs=2") for c in demo.CHANGES)
    monkeypatch.setattr(demo, "CHANGES", short)
    for command in commands():
        arguments = [HUB.get(argument, argument) for argument in command[1:]]
        monkeypatch.setattr(
            sys, "argv", ["vaplan", *arguments, *QUICK.get(arguments[0], [])]
        )
        with pytest.raises(SystemExit) as left:
            cli.main()
        assert (left.value.code or 0) == 0, " ".join(command)
    code = "".join(blocks("python"))
    exec(compile(code, "README.md", "exec"), {})  # noqa: S102 - our own README
    assert (desk / "new.png").stat().st_size > 1000
    assert vaplan.read_table(desk / "new.csv").ids == ("new",)
    assert {path.suffix for path in (desk / "videos").iterdir()} == {".mp4", ".json"}

"""The examples of docs/encoders.md: the taxonomy is valid, and the commands run with the embedded encoders."""

import re
import shlex
import shutil
import sys
from pathlib import Path

import pytest

from tests.conftest import World
from vaplan import cli
from vaplan.taxonomy import read_taxonomy

PAGE = (Path(__file__).parents[2] / "docs" / "encoders.md").read_text(encoding="utf-8")
REAL = r"--(visual|audio) cl[ia]p:\S+"


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, flags=re.DOTALL)


def commands() -> list[str]:
    lines = "".join(blocks("bash")).replace("\\\n", " ").splitlines()
    return [re.sub(REAL, "", line) for line in lines if "llp:" not in line]


@pytest.mark.parametrize("command", commands())
def test_every_command_of_the_page_runs(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    (tmp_path / "classes.yaml").write_text(*blocks("yaml"))
    assert read_taxonomy(tmp_path / "classes.yaml").classes == ("Dog", "Rain")
    video = world.data.videos[0]
    (tmp_path / "videos").mkdir()
    shutil.copy(world.folder / video.path, tmp_path / "videos")
    (tmp_path / "tags.csv").write_text(f"video,tags\n{video.video},Rain\n")
    (tmp_path / "untagged.csv").write_text(
        f"video,modality,class,onset,offset,score\n{video.video},,,,,\n"
    )
    (tmp_path / "store").symlink_to(world.store)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", shlex.split(command))
    with pytest.raises(SystemExit) as left:
        cli.main()
    assert (left.value.code or 0) == 0

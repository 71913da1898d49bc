"""The examples of docs/data.md are files that can be read and commands that run."""

import re
import shlex
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import World
from tests.official import write_ave, write_llp
from vaplan import cli
from vaplan.annotations import READERS, llp, merge_rows, read_table

PAGE = (Path(__file__).parents[1] / "docs" / "data.md").read_text(encoding="utf-8")

EXAMPLE = r"`(examples/\S+)`:\n\n```\w+\n(.*?)```"  # a name of a file, and its text


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, flags=re.DOTALL)


@pytest.fixture
def desk(world: World, tmp_path: Path) -> Path:
    """Write the files that the page uses: its examples, small official data, a pack of features, predictions."""
    (tmp_path / "events.csv").write_text(*blocks("csv"))
    (tmp_path / "events.taxonomy.yaml").write_text(*blocks("yaml"))
    video = world.folder / world.data.videos[0].path
    for path in ("beach_01", "beach_02"):
        (tmp_path / "videos" / "2019").mkdir(parents=True, exist_ok=True)
        shutil.copy(video, tmp_path / "videos" / "2019" / f"{path}.mp4")
    for name, text in re.findall(EXAMPLE, PAGE, flags=re.DOTALL):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    data = merge_rows(llp.read(write_llp(tmp_path / "data" / "llp")))
    write_ave(tmp_path / "data" / "ave")
    (tmp_path / "feats" / "vggish").mkdir(parents=True)
    for name in data.ids:
        np.save(
            tmp_path / "feats" / "vggish" / f"{name[:11]}.npy",
            np.ones((10, 128), dtype=np.float32),
        )
    for name in ("predictions", "ours", "theirs"):
        (tmp_path / f"{name}.csv").write_text(
            "video,modality,class,onset,offset,score\n"
        )
    return tmp_path


def test_the_example_table_has_the_content_that_the_page_describes(desk: Path) -> None:
    data = read_table(desk / "events.csv")
    assert data.taxonomy.classes == ("Dog", "Waves")
    assert data.taxonomy.prompts("audio") == [
        ["The sound of dog."],
        ["waves breaking on a beach", "surf"],
    ]
    assert data.labelled_ids() == ["beach_02", "quiet"]
    assert {video.video: video.tags for video in data.videos} == {
        "beach_01": ("Dog", "Waves"),
        "beach_02": ("Dog",),
        "quiet": (),
    }


def commands() -> list[str]:
    lines = "".join(blocks("bash")).splitlines()
    return [
        line for line in lines if line.startswith("vaplan ") and "fetch" not in line
    ]


@pytest.mark.parametrize("kind", READERS)
def test_every_kind_of_data_set_is_checked_on_the_page(kind: str) -> None:
    assert any(line.startswith(f"vaplan data check {kind}:") for line in commands())


@pytest.mark.parametrize("command", commands())
def test_every_command_of_the_page_runs(
    desk: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.chdir(desk)
    monkeypatch.setattr(sys, "argv", shlex.split(command, comments=True))
    with pytest.raises(SystemExit) as left:
        cli.main()
    assert (left.value.code or 0) == 0

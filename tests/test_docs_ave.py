"""The commands of docs/ave.md run from top to bottom, on a few clips in AVE's official form."""

import re
import shlex
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import World
from tests.official import write_ave
from vaplan import cli
from vaplan.taxonomy.files import read_task, read_taxonomy

pytestmark = pytest.mark.slow

PAGE = (Path(__file__).parents[1] / "docs" / "ave.md").read_text(encoding="utf-8")
CLIPS, SEGMENTS = 8, 10
SMALL = ("--set", "training.epochs=1", "--set", "model.settings.hidden=16")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, flags=re.DOTALL)


@pytest.fixture
def desk(ave_world: World, tmp_path: Path) -> Path:
    """Clips of two classes, their annotations, and features as they are published."""
    h5py = pytest.importorskip("h5py")
    ids = [f"clip_{number:06d}" for number in range(CLIPS)]
    names = ("Bark", "Church bell")
    text = "".join(
        f"{names[n % 2]}&{clip}&good&{n % 3}&{7 + n % 3}\n"
        for n, clip in enumerate(ids)
    )
    write_ave(
        tmp_path / "data" / "ave",
        text,
        train="0\n1\n2\n3\n",
        val="4\n5\n",
        test="6\n7\n",
    )
    (tmp_path / "clips").mkdir()
    for clip, video in zip(ids, ave_world.data.videos, strict=False):
        shutil.copy(ave_world.folder / video.path, tmp_path / "clips" / f"{clip}.mp4")
    (tmp_path / "downloads").mkdir()
    random = np.random.default_rng(0)
    for name, size in {"audio": (128,), "visual": (7, 7, 512)}.items():
        with h5py.File(tmp_path / "downloads" / f"{name}_feature.h5", "w") as file:
            file["avadataset"] = random.random(
                (CLIPS, SEGMENTS, *size), dtype=np.float32
            )
    return tmp_path


def commands() -> list[str]:
    lines = "".join(blocks("bash")).splitlines()
    return [line for line in lines if "fetch" not in line]


def test_every_command_of_the_page_runs(
    desk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(desk)
    for command in commands():
        arguments = shlex.split(command, comments=True)
        small = {"train": SMALL, "bench": (*SMALL, "--seeds", "1")}.get(
            arguments[1], ()
        )
        monkeypatch.setattr(sys, "argv", [*arguments, *small])
        with pytest.raises(SystemExit) as left:
            cli.main()
        assert (command, left.value.code or 0) == (command, 0)
    assert "AVE's attention network" in (desk / "bench" / "ave" / "table.md").read_text(
        encoding="utf-8"
    )


def test_the_taxonomy_file_of_the_page_sets_the_task(tmp_path: Path) -> None:
    (tmp_path / "events.taxonomy.yaml").write_text(*blocks("yaml"))
    assert read_taxonomy(tmp_path / "events.taxonomy.yaml").classes == ("Dog", "Waves")
    assert read_task(tmp_path / "events.taxonomy.yaml") == "localisation"

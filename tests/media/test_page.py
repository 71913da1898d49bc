"""The commands of docs/media.md run, and the names on the page exist."""

import re
import shlex
import sys
from pathlib import Path

import pytest

from tests.media.films import make
from vaplan import cli, media
from vaplan.media import sampling

PAGE = (Path(__file__).parents[2] / "docs" / "media.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```bash\n(.*?)```", PAGE, flags=re.DOTALL)


@pytest.mark.parametrize("command", "".join(BLOCKS).splitlines())
def test_every_command_of_the_page_runs(tmp_path, monkeypatch, command):
    (tmp_path / "videos").mkdir()
    make(tmp_path / "videos" / "a.mp4")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(
        sys, "argv", shlex.split(command.replace("*", "a"), comments=True)
    )
    with pytest.raises(SystemExit) as left:
        cli.main()
    assert (left.value.code or 0) == 0


def test_the_page_names_existing_functions_and_samplings():
    assert set(re.findall(r"`media\.(\w+)`", PAGE)) <= set(media.__all__)
    assert set(re.findall(r"^\| `(\w+)`", PAGE, flags=re.MULTILINE)) == {
        sampling.CENTRE,
        *sampling.PUBLISHED,
    }


def test_the_page_states_the_limits():
    limits = media.Limits()
    assert "8192 x 4320 pixels" in PAGE
    assert limits.max_pixels == 8192 * 4320
    assert "4 hours" in PAGE
    assert limits.max_seconds == 4 * 3600
    assert "2 GiB" in PAGE
    assert limits.max_bytes == 2 * 2**30

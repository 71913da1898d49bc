"""The commands of docs/formats.md run, and its table describes every format."""

import re
import shlex
import sys
from pathlib import Path

import pytest

from tests.exports.timelines import EXAMPLE, write
from vaplan import cli
from vaplan.exports import FORMATS

PAGE = (Path(__file__).parents[2] / "docs" / "formats.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| `([\w-]+)` \| (.*?) \| .*? \| (.*?) \| (.*?) \|$", PAGE, re.M)


def test_the_commands_of_the_page_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(EXAMPLE, "json", tmp_path / "timelines")
    media = tmp_path / "videos" / "beach" / "dog.mp4"
    media.parent.mkdir(parents=True)
    media.touch()
    monkeypatch.chdir(tmp_path)
    (block,) = re.findall(r"```bash\n(.*?)```", PAGE, re.DOTALL)
    commands = [line for line in block.splitlines() if "vaplan parse" not in line]
    assert len(commands) == 2
    for command in commands:
        monkeypatch.setattr(sys, "argv", shlex.split(command))
        with pytest.raises(SystemExit) as left:
            cli.main()
        assert (left.value.code or 0) == 0
    assert media.as_uri().encode() in (tmp_path / "elan/beach/dog.eaf").read_bytes()
    assert (tmp_path / "corrected.csv").read_text().count("beach/dog") == 3


def test_the_table_names_every_format_its_ending_and_whether_it_is_read() -> None:
    assert sorted(name for name, *_ in ROWS) == sorted(FORMATS)
    for name, files, _, read in ROWS:
        assert f".{FORMATS[name].ending}`" in files
        assert (read == "yes") == (FORMATS[name].read is not None)

"""The progress on the command line."""

import io
import os
import pty
import re
import sys
from contextlib import suppress

import pytest
from rich.console import Console

from vaplan import cli
from vaplan.cli import console
from vaplan.errors import MachineError


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0.25, "4.0 videos/s"), (50.0, "50.0 s/video")]
)
def test_progress_shows_the_rate_and_the_time_left(
    monkeypatch: pytest.MonkeyPatch, seconds: float, shown: str
) -> None:
    stream, clock = io.StringIO(), [0.0]
    screen = Console(
        file=stream,
        width=100,
        get_time=lambda: clock[0],
        force_terminal=True,
        color_system=None,
    )
    monkeypatch.setattr(console, "stderr", screen)
    with console.progress_bars() as bars:
        progress = bars("features", "videos")
        for done in range(4):
            progress(done + 1, 40, "")
            clock[0] += seconds
        progress(5, 40, "a.mp4: empty file")
    text = stream.getvalue()
    assert "error: a.mp4: empty file\n" in text
    left = round(35 * seconds)
    assert f"5/40 {shown} {left // 3600}:{left // 60 % 60:02}:{left % 60:02}" in text


@pytest.mark.parametrize("problem", ["", "a.mp4: empty file"])
def test_an_error_follows_a_progress_bar_without_an_empty_line(
    monkeypatch: pytest.MonkeyPatch, problem: str
) -> None:
    terminal, screen = pty.openpty()  # elsewhere no bar is drawn
    monkeypatch.setenv("TERM", "xterm")

    def fail(**_: object) -> None:
        with console.progress_bars() as bars:
            bars("features", "videos")(1, 3, problem)
            raise MachineError("no space", file="store")

    with os.fdopen(screen, "w") as file:
        monkeypatch.setattr(sys, "stderr", file)
        monkeypatch.setattr(console, "stderr", Console(stderr=True, width=80))
        monkeypatch.setattr(cli, "app", fail)
        with pytest.raises(SystemExit):
            cli.main()
    content = bytearray()
    with suppress(OSError):  # the end of a closed terminal
        while part := os.read(terminal, 4096):
            content += part
    os.close(terminal)
    shown = re.sub(r"\x1b\[[?\d;]*[a-zA-Z]", "", content.decode())
    *lines, error, end = shown.replace("\r\n", "\n").split("\n")
    assert "features" in lines[-1]
    assert "1/3" in lines[-1]
    assert (error, end) == ("error: store: no space.", "")
    assert all(lines)

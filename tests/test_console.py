"""The progress on the command line."""

import io

import pytest
from rich.console import Console

from vaplan.cli import console


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

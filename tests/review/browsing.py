"""A review as a process, its page in a real browser, and waits without fixed times."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vaplan.annotations.table import read_rows

CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-sync "
    "--disable-background-networking --disable-component-update"
).split()
SECONDS = 120.0  # until a wait fails; a busy machine needs many of them
HEADER = "video,modality,class,onset,offset,score,path,split\n"
TABLE = (
    HEADER
    + """dogs,audio,Dog,0,2,0.75,media/dogs.mp4,test
dogs,visual,Cat,1,3,0.5,media/dogs.mp4,test
birds,audio,Bird,1,2,0.9,media/birds.mp4,test
silent,visual,Cat,0,1,0.9,media/silent.mp4,test
"""
)


@dataclass
class Review:
    """A running review and its files."""

    address: str
    table: Path
    problems: list[str] = field(default_factory=list)

    def saved(self) -> set[tuple[str, str, str, float, float]]:
        """Return the events of the reviewed table."""
        rows = read_rows(self.table.with_suffix(".reviewed.csv")).rows
        return {
            (row.video, modality, row.class_name, *row.span)
            for row in rows
            if row.marks
            for modality in row.modalities
        }


@contextmanager
def serve(table: Path, *options: str) -> Iterator[Review]:
    """Run the command and read the address that it prints."""
    command = [sys.executable, "-m", "vaplan", "review", str(table)]
    with subprocess.Popen(
        [*command, "--media", str(table.parent), "--no-browser", *options],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    ) as process:
        try:
            assert process.stdout
            yield Review(process.stdout.readline().strip(), table)
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(timeout=30)


@contextmanager
def serve_copy(
    folder: Path, media: Path, table: str, *options: str
) -> Iterator[Review]:
    (folder / "media").symlink_to(media)
    path = folder / "labels.csv"
    path.write_text(table)
    with serve(path, "--allow-outside", *options) as running:
        yield running
        assert running.problems == []


def open_page(browser: Any, review: Review, **options: Any) -> Any:
    """Open the page and wait for the first video; collect what the console reports."""
    context = browser.new_context(**options)
    page = context.new_page()
    page.set_default_timeout(1000 * SECONDS)
    page.on("pageerror", lambda error: review.problems.append(str(error)))
    page.on("console", lambda message: note_problem(review, message))
    page.goto(review.address)
    page.wait_for_selector("#rows .row")
    wait_until(page, "document.getElementById('title').textContent !== 'No video'")
    return page


def note_problem(review: Review, message: Any) -> None:
    expected = ("409", "ERR_CONNECTION_REFUSED")  # answers that the tests provoke
    if message.type == "error" and not any(text in message.text for text in expected):
        review.problems.append(message.text)


def open_video(page: Any, name: str) -> None:
    names = page.locator(".row-name")
    names.nth(names.all_text_contents().index(name)).click()
    wait_until(
        page, "name => document.getElementById('title').textContent === name", arg=name
    )


def wait_until(page: Any, expression: str, arg: Any = None) -> None:
    """Wait for an expression; Playwright's own wait needs `eval`, which the page forbids."""
    end = time.monotonic() + SECONDS
    while not page.evaluate(expression, arg):
        assert time.monotonic() < end, expression
        page.wait_for_timeout(20)


def wait_saved(page: Any) -> None:
    wait_until(page, "document.getElementById('saved').textContent === 'Saved'")


def focus_main(page: Any) -> None:
    page.locator("#next").focus()


def event_names(page: Any) -> set[str]:
    labels = page.locator(".event").evaluate_all(
        "elements => elements.map(element => element.getAttribute('aria-label'))"
    )
    return {*labels}

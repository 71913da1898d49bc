"""Hostile names on the page: text everywhere, in their own direction, in a whole layout."""

import csv
import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.review.browsing import (
    Review,
    focus_main,
    open_page,
    open_video,
    serve,
    wait_saved,
    wait_until,
)

pytestmark = pytest.mark.slow

SCRIPT = "<img src=x onerror=alert(1)>"
QUOTES = "\"'`><script>alert(2)</script>"
HEBREW = "כלב (1), נובח"
ARABIC = "نباح <b>كلب</b> 12"
LONG = "é" * 127 + "x"  # 255 bytes
ENTITY = "&lt;i&gt; {{7*7}} ${7*7} %3Cb%3E"
NAMES = (SCRIPT, QUOTES, HEBREW, ARABIC, LONG, ENTITY)
OVERRIDE = (
    "\u202egnp.\u2066\t<img src=x onerror=alert(3)>"  # from the right, with a tab
)
WIDE = {"width": 1440, "height": 900}
NARROW = {"width": 480, "height": 900}


def write_source(folder: Path, film: Path) -> Path:
    """A table in which ids, tags, classes and files have hostile names."""
    (folder / "media").mkdir()
    lines = [["video", "modality", "class", "onset", "offset", "score", "path"]]
    for place, name in enumerate(NAMES):
        file = f"media/{shorten(name.replace('/', '-'))}.mp4"
        shutil.copyfile(film, folder / file)
        tag, label = NAMES[place - 1], NAMES[place - 2]
        lines.append([name, "", tag, "", "", "", file])
        lines.append([name, "audio", label, "0", "2", "0.5", file])
        lines.append([name, "visual", label, "1", "3", "0.75", file])
    table = folder / "labels.csv"
    with table.open("w", newline="") as file_of_rows:
        csv.writer(file_of_rows).writerows(lines)
    other = folder / f"{OVERRIDE}.csv"
    shutil.copyfile(table, other)
    return table


def shorten(name: str) -> str:
    """Return a name that has at most 255 bytes with an ending such as `.json`."""
    return name.encode()[:250].decode(errors="ignore")


def check_page(page: Any) -> None:
    """No name became an element, and nothing is wider than the window."""
    assert page.locator("img, .row script, b, i, body script").count() == 0
    extent = page.evaluate(
        "[document.documentElement.scrollWidth, document.documentElement.clientWidth]"
    )
    assert extent[0] <= extent[1]
    heights = page.locator(".row").evaluate_all(
        "rows => rows.map(row => row.scrollHeight)"
    )
    assert set(heights) == {58 - 1}  # without its border


@pytest.mark.parametrize("viewport", [WIDE, NARROW], ids=["wide", "narrow"])
def test_videos_with_hostile_names_are_opened_edited_and_saved(
    browser: Any, tmp_path: Path, media: Path, viewport: dict[str, int]
) -> None:
    table = write_source(tmp_path, media / "dogs.mp4")
    with serve(table, "--compare", str(tmp_path / f"{OVERRIDE}.csv")) as review:
        page = open_page(browser, review, viewport=viewport)
        opened = list[str]()
        page.on("dialog", lambda dialog: opened.append(dialog.message))
        for name, label in zip(NAMES, NAMES[-2:] + NAMES[:-2], strict=True):
            edit_video(page, name, label)
        assert opened == []
        assert review.problems == []
        expected = set[tuple[str, str, str, float, float]]()
        for place, name in enumerate(NAMES):
            expected |= {
                (name, "audio", NAMES[place - 2], 0.0, 2.1),
                (name, "visual", NAMES[place - 2], 1.0, 3.0),
                (name, "audio", f"new {name}", 0.0, 1.0),
            }
        assert review.saved() == expected
        assert f"{OVERRIDE}.csv" in page.text_content("#methods")


def edit_video(page: Any, name: str, label: str) -> None:
    """Open a video, move an event, and add one of a class with a hostile name."""
    open_video(page, name)
    wait_until(page, "document.getElementById('player').readyState >= 2")
    check_page(page)
    labels = page.locator(".label.lane").evaluate_all(
        "labels => labels.map(label => label.textContent)"
    )
    assert label in labels
    focus_main(page)
    page.keyboard.press("n")
    assert page.input_value("#event-class") == label
    page.keyboard.press("=")
    page.keyboard.press("a")
    page.locator("#new-class").fill(f"new {name}")
    page.keyboard.press("Enter")
    wait_saved(page)
    check_page(page)
    for button in ("#help", "#commands"):
        page.click(button)
        wait_until(page, "document.querySelector('dialog[open]') !== null")
        check_page(page)
        page.keyboard.press("Escape")
        wait_until(page, "document.querySelector('dialog[open]') === null")


def test_a_name_from_the_right_does_not_reorder_the_text_around_it(
    browser: Any, tmp_path: Path, media: Path
) -> None:
    table = write_source(tmp_path, media / "dogs.mp4")
    with serve(table) as review:
        page = open_page(browser, review, viewport=WIDE)
        open_video(page, HEBREW)
        for line in page.locator("#about, .row-about").all():
            lefts = line.locator("bdi").evaluate_all(
                "parts => parts.map(part => part.getBoundingClientRect().left)"
            )
            assert lefts == sorted(lefts)
        assert len({*page.locator(".row-name").evaluate_all(TEXT_LEFTS)}) == 1
        open_video(page, LONG)  # its events are of a class in Arabic or Hebrew
        titles = page.locator(".event").evaluate_all(
            "events => events.map(event => event.title)"
        )
        pattern = re.compile("(audio|visual) \u2068.*\u2069, [0-9.]+ to .*")
        assert len(titles) == 2
        assert all(map(pattern.fullmatch, titles))


TEXT_LEFTS = """names => names.map(name => {
  const range = document.createRange();
  range.selectNodeContents(name);
  return Math.round(Math.max(0, range.getBoundingClientRect().left));
})"""  # where the texts of names begin on the screen


def test_warnings_and_files_that_cannot_be_read_are_text(
    browser: Any, tmp_path: Path
) -> None:
    folder = tmp_path / "timelines"
    folder.mkdir()
    warnings = [SCRIPT, QUOTES, OVERRIDE, LONG * 8, "line\nbreak\0"]
    event = {"modality": "audio", "class": HEBREW, "onset": 0, "offset": 1}
    film = {"video": HEBREW, "events": [event], "warnings": warnings}
    (folder / "film.json").write_text(json.dumps(film))
    (folder / f"{OVERRIDE}.json").write_text("{")
    (folder / f"{shorten(SCRIPT + LONG)}.json").write_text("[]")
    with serve(folder) as review:
        page = open_page(browser, review, viewport=NARROW)
        check_page(page)
        shown = page.locator("#warnings p").evaluate_all(
            "lines => lines.map(line => line.textContent)"
        )
        assert shown == warnings
        assert "2 files of the source cannot be read" in page.inner_text("#problems")
        assert SCRIPT in page.inner_text("#problems")
        assert page.locator("#warnings img, #problems img").count() == 0
        assert review.problems == []


def test_a_class_that_cannot_be_saved_is_refused_and_named(
    browser: Any, review: Review
) -> None:
    page = open_page(browser, review)
    open_video(page, "dogs")
    page.wait_for_selector(".event")
    focus_main(page)
    page.keyboard.press("a")
    page.locator("#new-class").fill(OVERRIDE)
    page.keyboard.press("Enter")
    wait_until(
        page, "document.getElementById('saved').textContent.startsWith('Not saved')"
    )
    assert page.locator("img").count() == 0
    review.problems.clear()  # the console reports the answer 422
    page.keyboard.press("Control+z")
    wait_saved(page)

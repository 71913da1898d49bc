"""The page of a review in a real browser: look, edit, save, conflicts, long films."""

import json
import re
import socket
import time
from pathlib import Path
from typing import Any

import pytest

from tests.media.films import Film, make
from tests.media.test_spectrogram import tone, write_wave
from tests.review.browsing import (
    HEADER,
    SECONDS,
    TABLE,
    Review,
    event_names,
    focus_main,
    open_page,
    open_video,
    serve,
    serve_copy,
    wait_saved,
    wait_until,
)
from vaplan.media.spectrogram import BANDS

pytestmark = pytest.mark.slow

DOG = "audio Dog, 0.00 to 2.00 seconds, score 0.75"
CAT = "visual Cat, 1.00 to 3.00 seconds, score 0.50"


def test_the_video_plays_beside_its_lanes(browser: Any, review: Review) -> None:
    page = open_page(browser, review)
    ranges = list[str]()
    page.on(
        "response",
        lambda answer: ranges.append(f"{answer.status} {answer.url.split('/')[-1]}"),
    )
    for name in ("birds", "silent", "dogs"):
        open_video(page, name)
        wait_until(page, "document.getElementById('player').readyState >= 2")
    assert event_names(page) == {DOG, CAT}
    assert "206 media" in ranges
    focus_main(page)
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    wait_until(page, "document.getElementById('player').currentTime === 2")
    assert page.inner_text("#time") == "2.00 s"
    page.keyboard.press("<")
    assert page.eval_on_selector("#player", "player => player.playbackRate") == 0.75
    page.locator("body").click(position={"x": 2, "y": 2})
    page.keyboard.press(" ")
    wait_until(page, "document.getElementById('player').currentTime > 2.2")
    page.keyboard.press(" ")
    assert page.eval_on_selector("#player", "player => player.paused")
    lanes = page.locator(".label").all_inner_texts()
    assert lanes == ["", "Audio", "waveform", "Cat", "Dog", "Visual", "Cat", "Dog"]


def test_an_event_is_drawn_moved_and_undone_by_the_mouse(
    browser: Any, review: Review
) -> None:
    page = open_page(browser, review)
    open_video(page, "dogs")
    page.wait_for_selector(".event.audio")
    dog = page.locator(".event.audio").bounding_box()
    second = dog["width"] / 2
    middle = dog["y"] + dog["height"] / 2
    page.mouse.move(dog["x"] + 3.1 * second, middle)
    page.mouse.down()
    page.mouse.move(dog["x"] + 3.9 * second, middle, steps=4)
    page.mouse.up()
    drawn = "audio Dog, 3.00 to 4.00 seconds"
    assert event_names(page) == {DOG, CAT, drawn}
    page.mouse.move(dog["x"] + 2 * second - 3, middle)
    page.mouse.down()
    page.mouse.move(dog["x"] + 1.02 * second, middle, steps=4)
    page.mouse.up()
    shorter = "audio Dog, 0.00 to 1.00 seconds"
    assert event_names(page) == {shorter, CAT, drawn}
    wait_saved(page)
    assert ("dogs", "audio", "Dog", 3.0, 4.0) in review.saved()
    assert ("dogs", "audio", "Dog", 0.0, 1.0) in review.saved()
    page.click("#undo")
    page.click("#undo")
    assert event_names(page) == {DOG, CAT}
    wait_saved(page)
    assert review.saved() == {
        ("dogs", "audio", "Dog", 0.0, 2.0),
        ("dogs", "visual", "Cat", 1.0, 3.0),
    }
    page.click("#redo")
    wait_saved(page)
    page.reload()
    page.wait_for_selector(".event")
    assert event_names(page) == {DOG, CAT, drawn}
    assert review.table.read_text() == TABLE


def test_a_video_is_corrected_and_finished_by_the_keyboard_alone(
    browser: Any, review: Review
) -> None:
    page = open_page(browser, review)
    page.locator("#search").focus()
    page.keyboard.type("dogs")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "rows"
    page.keyboard.press("ArrowDown")
    wait_until(page, "document.getElementById('title').textContent === 'dogs'")
    page.wait_for_selector(".event")
    page.keyboard.press("Tab")
    page.keyboard.press("n")
    page.keyboard.press("]")
    page.keyboard.press("}")
    page.keyboard.press("-")
    assert "audio Dog, 1.10 to 1.90 seconds" in event_names(page)
    page.keyboard.press("p")
    page.keyboard.press("r")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("a")
    page.keyboard.type("Horse")
    page.keyboard.press("Tab")
    page.keyboard.type("visual")
    page.keyboard.press("Enter")
    names = event_names(page)
    assert "visual Horse, 2.00 to 3.00 seconds" in names
    assert not any("Cat" in name for name in names)
    page.keyboard.press("d")
    wait_until(page, "document.getElementById('counts').textContent.includes('1 done')")
    assert review.saved() == {
        ("dogs", "audio", "Dog", 1.1, 1.9),
        ("dogs", "visual", "Horse", 2.0, 3.0),
    }


def test_accept_and_reject_go_to_the_next_unchecked_event(
    browser: Any, tmp_path: Path, media: Path
) -> None:
    """Also if the event that was corrected now begins after the others."""
    rows = [
        f"film,audio,{name},{onset},4,0.5,media/dogs.mp4,"
        for name, onset in (("Bird", 0), ("Cat", 1), ("Dog", 2), ("Horse", 3))
    ]
    with serve_copy(tmp_path, media, HEADER + "\n".join(rows) + "\n") as review:
        page = open_page(browser, review)
        page.wait_for_selector(".event")
        focus_main(page)

        def selected() -> str:
            return str(page.input_value("#event-class"))

        page.keyboard.press("n")
        assert selected() == "Bird"
        for _ in range(3):
            page.keyboard.press("}")
        page.keyboard.press("]")  # begins at 3.1 s, after all others
        page.keyboard.press("Enter")
        assert selected() == "Cat"
        page.keyboard.press("r")
        assert selected() == "Dog"
        page.keyboard.press("Enter")
        assert selected() == "Horse"
        page.keyboard.press("r")
        assert {name.split(",")[0] for name in event_names(page)} == {
            "audio Bird",
            "audio Dog",
        }


def test_done_opens_the_next_video_while_a_change_is_still_saved(
    browser: Any, review: Review
) -> None:
    page = open_page(browser, review)
    page.select_option("#order", "name")
    open_video(page, "dogs")
    page.wait_for_selector(".event")
    page.evaluate(DELAY_SAVES, 300)
    focus_main(page)
    for key in ("n", "]", "]", "d"):
        page.keyboard.press(key)
    wait_until(page, "document.getElementById('title').textContent === 'silent'")
    assert ("dogs", "audio", "Dog", 0.2, 2.0) in review.saved()
    assert "1 done" in page.inner_text("#counts")


def test_split_merge_class_and_modality(browser: Any, review: Review) -> None:
    page = open_page(browser, review)
    open_video(page, "dogs")
    page.wait_for_selector(".event")
    wait_until(page, "document.getElementById('player').readyState >= 2")
    focus_main(page)
    page.keyboard.press("n")
    page.keyboard.press("ArrowRight")
    wait_until(page, "document.getElementById('player').currentTime === 1")
    page.keyboard.press("x")
    halves = {"audio Dog, 0.00 to 1.00 seconds", "audio Dog, 1.00 to 2.00 seconds"}
    assert event_names(page) == {*halves, CAT}
    page.keyboard.press("v")
    assert "visual Dog, 1.00 to 2.00 seconds" in event_names(page)
    page.keyboard.press("Control+z")
    page.keyboard.press("p")
    page.keyboard.press("p")
    page.keyboard.press("m")
    assert event_names(page) == {"audio Dog, 0.00 to 2.00 seconds", CAT}
    page.keyboard.press("c")
    page.keyboard.type("Wolf")
    page.keyboard.press("Enter")
    wait_saved(page)
    assert ("dogs", "audio", "Wolf", 0.0, 2.0) in review.saved()


def test_two_windows_cannot_overwrite_each_other(browser: Any, review: Review) -> None:
    first = open_page(browser, review)
    second = open_page(browser, review)
    for page in (first, second):
        open_video(page, "dogs")
        page.wait_for_selector(".event")
        focus_main(page)
        page.keyboard.press("n")
    first.keyboard.press("]")
    wait_saved(first)
    second.keyboard.press("r")
    second.wait_for_selector("#conflict-dialog[open]")
    assert "0.10 to 2.00" in second.inner_text("#conflict-current")
    assert "Dog" not in second.inner_text("#conflict-yours")
    second.click("#keep-yours")
    wait_saved(second)
    assert review.saved() == {("dogs", "visual", "Cat", 1.0, 3.0)}
    log = review.table.with_suffix(".reviewed.jsonl").read_text().splitlines()
    assert [json.loads(line)["action"] for line in log] == [
        "nudge",
        "reject",
        "keep after a conflict",
    ]
    first.keyboard.press("]")
    first.wait_for_selector("#conflict-dialog[open]")
    first.click("#take-current")
    assert event_names(first) == {CAT}


def open_twice(browser: Any, review: Review) -> tuple[Any, Any]:
    """Open one video in two windows, save a change in the first, return both."""
    pages = open_page(browser, review), open_page(browser, review)
    for page in pages:
        open_video(page, "dogs")
        page.wait_for_selector(".event")
        focus_main(page)
        page.keyboard.press("n")
    pages[0].keyboard.press("]")
    wait_saved(pages[0])
    return pages


@pytest.mark.parametrize("keys", [["d"], ["r", "PageDown"]])
@pytest.mark.parametrize("delay", [0, 500])
def test_a_conflict_changes_only_the_video_that_has_it(
    browser: Any, review: Review, keys: list[str], delay: int
) -> None:
    _, page = open_twice(browser, review)
    page.evaluate(DELAY_SAVES, delay)
    for key in keys:
        page.keyboard.press(key)
    page.wait_for_selector("#conflict-dialog[open]")
    page.wait_for_timeout(500)
    assert page.inner_text("#title") == "dogs"
    page.click("#take-current")
    assert event_names(page) == {"audio Dog, 0.10 to 2.00 seconds", CAT}
    open_video(page, "birds")
    page.wait_for_selector(".event")
    assert event_names(page) == {"audio Bird, 1.00 to 2.00 seconds, score 0.90"}
    assert {video for video, *_ in review.saved()} == {"dogs"}


DELAY_SAVES = """delay => {
  const send = window.fetch;
  window.fetch = async (path, options) => {
    if (options?.method === "PUT") await new Promise((done) => setTimeout(done, delay));
    return send(path, options);
  };
}"""


DELAY_REPLIES = """delay => {
  const send = window.fetch;
  window.fetch = async (path, options) => {
    const reply = await send(path, options);
    if (options?.method === "PUT") await new Promise((done) => setTimeout(done, delay));
    return reply;
  };
}"""
IS_OPEN = "id => document.getElementById(id).open"


def read_log(review: Review) -> list[tuple[str, bool]]:
    """Return the action of every line of the log, and whether it was refused."""
    lines = review.table.with_suffix(".reviewed.jsonl").read_text().splitlines()
    entries = map(json.loads, lines)
    return [(entry["action"], "conflict" in entry) for entry in entries]


@pytest.mark.parametrize("delay", [DELAY_SAVES, DELAY_REPLIES])
def test_a_video_that_is_left_and_opened_again_while_it_is_saved_has_no_conflict(
    browser: Any, review: Review, delay: str
) -> None:
    page = open_page(browser, review)
    page.select_option("#order", "name")
    open_video(page, "dogs")
    page.wait_for_selector(".event")
    page.evaluate(delay, 1500)
    focus_main(page)
    for key in ("n", "]", "]"):
        page.keyboard.press(key)
    for key, name in (("PageDown", "silent"), ("PageUp", "dogs")):
        page.keyboard.press(key)
        wait_until(page, TITLE_IS, name)
    page.wait_for_selector(".event")
    shorter = "audio Dog, 0.20 to 2.00 seconds"
    assert event_names(page) == {shorter, CAT}
    page.keyboard.press("n")
    page.keyboard.press("-")
    wait_saved(page)
    assert not page.evaluate(IS_OPEN, "conflict-dialog")
    assert ("dogs", "audio", "Dog", 0.2, 1.9) in review.saved()
    assert not any(is_refused for _, is_refused in read_log(review))
    page.keyboard.press("Control+z")
    page.keyboard.press("Control+z")  # also what was done before the video was left
    assert event_names(page) == {"audio Dog, 0.10 to 2.00 seconds", CAT}


def test_a_page_that_is_reloaded_while_it_saves_has_no_conflict(
    browser: Any, review: Review
) -> None:
    page = open_page(browser, review)
    page.on("dialog", lambda dialog: dialog.accept())
    open_video(page, "dogs")
    page.wait_for_selector(".event")
    page.evaluate(DELAY_REPLIES, 60_000)
    focus_main(page)
    page.keyboard.press("n")
    page.keyboard.press("]")
    wait_until(page, SENT)
    page.keyboard.press("]")  # waits for the reply to the first
    end = time.monotonic() + SECONDS
    while not review.table.with_suffix(".reviewed.csv").exists():
        assert time.monotonic() < end
        page.wait_for_timeout(20)
    page.reload()
    wait_until(page, TITLE_IS, "dogs")
    wait_saved(page)
    assert not page.evaluate(IS_OPEN, "conflict-dialog")
    assert ("dogs", "audio", "Dog", 0.2, 2.0) in review.saved()


SENT = "document.getElementById('saved').textContent === 'Saving …'"


def test_the_edges_of_an_event_are_set_at_the_playhead(
    browser: Any, review: Review
) -> None:
    page = open_page(browser, review)
    open_video(page, "dogs")
    page.wait_for_selector(".event")
    wait_until(page, "document.getElementById('player').readyState >= 2")
    focus_main(page)
    for key in ("n", "ArrowRight", "q"):
        page.keyboard.press(key)
    assert "audio Dog, 1.00 to 2.00 seconds" in event_names(page)
    for key in ("ArrowRight", "ArrowRight", "w"):
        page.keyboard.press(key)
    longer = "audio Dog, 1.00 to 3.00 seconds"
    assert event_names(page) == {longer, CAT}
    wait_saved(page)
    page.keyboard.press("q")  # the onset cannot be at the offset
    assert event_names(page) == {longer, CAT}
    assert page.inner_text("#saved") == "Cannot move the onset here"
    page.keyboard.press("c")
    page.keyboard.type("Wolf")
    page.keyboard.press("Escape")  # leaves the field as it was
    assert page.input_value("#event-class") == "Dog"
    assert event_names(page) == {longer, CAT}
    page.keyboard.press("Escape")
    page.keyboard.press("w")
    assert page.inner_text("#saved") == "No event is selected"
    assert ("dogs", "audio", "Dog", 1.0, 3.0) in review.saved()


def test_many_events_are_saved(browser: Any, tmp_path: Path) -> None:
    rows = "".join(f"film,audio,Dog,{t},{t + 1},0.5,,\n" for t in range(0, 2000, 2))
    (tmp_path / "media").mkdir()
    table = tmp_path / "labels.csv"
    table.write_text(HEADER + rows)
    with serve(table) as review:
        page = open_page(browser, review)
        page.wait_for_selector(".event")
        focus_main(page)
        page.keyboard.press("n")
        page.keyboard.press("=")
        wait_saved(page)
        assert ("film", "audio", "Dog", 0.0, 1.1) in review.saved()


def test_an_unsaved_edit_stays_with_its_table(
    browser: Any, tmp_path: Path, media: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
    with serve_copy(tmp_path / "first", media, TABLE, "--port", port) as review:
        page = open_page(browser, review)
        open_video(page, "dogs")
        page.wait_for_selector(".event")
        focus_main(page)
        page.route("**/events", lambda route: route.abort())
        page.keyboard.press("n")
        page.keyboard.press("r")
        wait_until(
            page,
            "document.getElementById('saved').textContent.includes('does not answer')",
        )
        review.problems.clear()  # the console reports the request that was cut
    table = HEADER + "silent,visual,Cat,0,1,0.9,media/silent.mp4,test\n"
    with serve_copy(tmp_path / "second", media, table, "--port", port) as review:
        page.unroute("**/events")
        page.on("dialog", lambda dialog: dialog.accept())
        page.goto(review.address)
        wait_until(page, "document.getElementById('title').textContent === 'silent'")
        page.wait_for_selector(".event")
        assert event_names(page) == {"visual Cat, 0.00 to 1.00 seconds, score 0.90"}


def test_an_edit_is_kept_while_the_server_is_away(
    browser: Any, tmp_path: Path, media: Path
) -> None:
    with serve_copy(tmp_path, media, TABLE) as review:
        page = open_page(browser, review)
        open_video(page, "dogs")
        page.wait_for_selector(".event")
        focus_main(page)
        page.route("**/events", lambda route: route.abort())
        review.problems.clear()
        page.keyboard.press("n")
        page.keyboard.press("]")
        wait_until(
            page,
            "document.getElementById('saved').textContent.includes('does not answer')",
        )
        page.unroute("**/events")
        wait_saved(page)
        assert ("dogs", "audio", "Dog", 0.1, 2.0) in review.saved()
        review.problems.clear()  # the console reports the request that was cut


def test_a_narrow_window_and_a_file_without_audio(browser: Any, review: Review) -> None:
    page = open_page(browser, review, viewport={"width": 480, "height": 900})
    open_video(page, "silent")
    page.wait_for_selector(".event")
    assert "waveform" not in page.locator(".label").all_inner_texts()
    width = page.evaluate("document.documentElement.scrollWidth")
    assert width <= 480
    page.click("#help")
    assert page.locator("#keys kbd").count() > 30
    page.keyboard.press("Escape")
    page.locator(".event").first.click()
    assert page.input_value("#event-class") == "Cat"


LEVELS = """seconds => {
  const label = document.querySelector(".label.spectrogram");
  const canvas = document.getElementById("canvas");
  const scroller = document.getElementById("scroller");
  const scale = document.getElementById("spacer").clientWidth / 120;
  const x = seconds.map((second) => second * scale - scroller.scrollLeft);
  const top = label.offsetTop + 4;
  const column = (x) => {
    const { data } = canvas.getContext("2d").getImageData(x, top, 1, label.offsetHeight - 8);
    return new Set(new Uint32Array(data.buffer)).size;
  };
  return x.map(column);
}"""  # number of colours in the spectrogram's columns at these seconds


def is_sound_at(page: Any, seconds: float) -> bool:
    """Return whether a second has sound, and the time around it is silent."""
    before, at, after = page.evaluate(LEVELS, [seconds - 1.3, seconds, seconds + 1.3])
    return bool(before == after == 1 and at > 3)


def test_a_spectrogram_is_drawn_in_step_with_the_waveform(
    browser: Any, tmp_path: Path
) -> None:
    (tmp_path / "media").mkdir()
    write_wave(tmp_path / "media" / "tone.wav", tone(120, 60, 61))
    table = tmp_path / "labels.csv"
    table.write_text(HEADER + "tone,audio,Tone,60,61,0.9,media/tone.wav,\n")
    with serve(table) as review:
        page = open_page(browser, review, viewport={"width": 2000, "height": 900})
        wait_until(page, "document.getElementById('player').readyState >= 2")
        sizes = list[int]()
        page.on(
            "response",
            lambda answer: (
                sizes.append(int(answer.headers["content-length"]))
                if answer.url.endswith("/spectrogram") and answer.status == 206
                else None
            ),
        )
        focus_main(page)
        page.keyboard.press("g")
        page.wait_for_selector(".label.spectrogram")
        for zoom in ("0", "100"):
            page.locator("#zoom").fill(zoom)
            page.evaluate(
                "document.getElementById('scroller').scrollLeft ="
                " document.getElementById('spacer').clientWidth / 2 - 480"
            )
            end = time.monotonic() + SECONDS
            while not is_sound_at(page, 60.5):
                assert time.monotonic() < end, page.evaluate(LEVELS, [60.5])
                page.wait_for_timeout(20)
        assert len(sizes) >= 4  # the header, the overview, and a piece for each zoom
        assert max(sizes) <= 512 * BANDS
        page.keyboard.press("g")
        assert page.locator(".label.spectrogram").count() == 0
        assert review.problems == []


def test_a_timeline_of_two_hours_opens_at_once(browser: Any, tmp_path: Path) -> None:
    folder = tmp_path / "timelines"
    folder.mkdir()
    events = [
        {"modality": "audio", "class": "Dog", "onset": t, "offset": t + 4, "score": 0.5}
        for t in range(0, 7200, 10)
    ]
    film = {"video": "film", "seconds": 7200.0, "events": events}
    (folder / "film.json").write_text(json.dumps(film))
    (tmp_path / "media").mkdir()
    with serve(folder) as review:
        page = open_page(browser, review)
        page.wait_for_selector(".event")
        assert page.locator(".event").count() == 720
        page.locator("#zoom").fill("100")
        drawn = page.locator(".event").count()
        assert drawn < 10
        focus_main(page)
        page.evaluate("document.getElementById('scroller').scrollLeft = 1e9")
        wait_until(
            page,
            "[...document.querySelectorAll('.event')].some("
            "element => element.title.includes('7190.00'))",
        )
        assert re.search("No video to play", page.inner_text("#preparing-text"))
        assert review.problems == []


def test_a_film_of_two_hours_plays_at_its_end_before_all_is_read(
    browser: Any, tmp_path: Path
) -> None:
    (tmp_path / "media").mkdir()
    long = Film(seconds=7200, fps=1, audio="flac", rate_hz=4000, bitrate=0)
    make(tmp_path / "media" / "film.mp4", long)
    table = tmp_path / "labels.csv"
    table.write_text(HEADER + "film,audio,Dog,7100,7110,0.9,media/film.mp4,\n")
    with serve(table) as review:
        page = open_page(browser, review)
        ranges = list[str]()
        page.on(
            "request",
            lambda request: (
                ranges.append(request.headers.get("range", ""))
                if request.url.endswith("/media")
                else None
            ),
        )
        focus_main(page)
        page.keyboard.press("g")
        page.keyboard.press("n")  # selects the event and seeks to its onset
        wait_until(page, PLAYS_FROM, 7100)
        page.keyboard.press("]")
        wait_saved(page)
        assert review.saved() == {("film", "audio", "Dog", 7100.1, 7110.0)}
        assert any(int(text[6:].partition("-")[0]) > 1_000_000 for text in ranges)
        assert "waveform" in page.locator(".label").all_inner_texts()
        assert review.problems == []


PLAYS_FROM = """seconds => {
  const player = document.getElementById("player");
  return player.readyState >= 2 && !player.seeking && player.currentTime === seconds;
}"""


def test_ten_thousand_videos_are_listed_and_searched(
    browser: Any, tmp_path: Path
) -> None:
    rows = "".join(f"v{number:05},audio,Dog,0,1,,,\n" for number in range(10_000))
    (tmp_path / "media").mkdir()
    table = tmp_path / "labels.csv"
    table.write_text(HEADER + rows)
    with serve(table) as review:
        page = open_page(browser, review)
        assert page.locator(".row").count() < 60
        page.fill("#search", "v09999")
        wait_until(page, "document.querySelectorAll('.row').length === 1")
        assert "v09999" in page.inner_text(".row")
        assert "10000 videos" in page.inner_text("#counts")
        page.fill("#search", "")
        page.evaluate("document.getElementById('rows').scrollTop = 58 * 5000")
        wait_until(page, "document.getElementById('video-5005') !== null")
        assert page.locator(".row").count() < 60
        names = page.locator(".row-name").all_text_contents()
        assert names == [f"v{4990 + place:05}" for place in range(len(names))]


def test_a_video_opens_though_the_list_is_drawn_between_press_and_release(
    browser: Any, review: Review
) -> None:
    page = open_page(browser, review)
    open_video(page, "birds")
    for part in (".row-name", ".row-about bdi"):
        name = page.locator(".row[aria-selected=false] .row-name").first.inner_text()
        box = page.locator(f".row[aria-selected=false] {part}").first.bounding_box()
        page.mouse.move(box["x"] + 3, box["y"] + 3)
        page.mouse.down()
        page.evaluate(
            "document.getElementById('rows').dispatchEvent(new Event('scroll'))"
        )
        page.mouse.up()
        wait_until(page, TITLE_IS, arg=name)


TITLE_IS = "name => document.getElementById('title').textContent === name"


def test_two_quick_keys_open_the_second_next_video(
    browser: Any, review: Review
) -> None:
    page = open_page(browser, review)
    page.select_option("#order", "name")
    open_video(page, "birds")
    focus_main(page)
    page.keyboard.press("PageDown")
    page.keyboard.press("PageDown")
    wait_until(page, "document.getElementById('title').textContent === 'silent'")
    wait_until(page, "document.querySelectorAll('.event').length === 1")

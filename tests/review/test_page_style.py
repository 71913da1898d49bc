"""Contrast of the page, measured in a real browser: WCAG 2.2 AA, light and dark."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.review.browsing import (
    TABLE,
    Review,
    focus_main,
    open_page,
    open_video,
    serve,
    wait_saved,
    wait_until,
)

TEXT = 4.5
LARGE_TEXT = 3.0
PART = 3.0  # borders of controls, graphics, the ring around what has the focus
GRAPHICS = (
    "--audio --visual --both --missing --problem --method-0 --method-1 --method-2"
).split()  # colours of the canvas, on the page
CONTROLS = {"search", "filter", "order", "rows", "previous", "next", "done"} | {
    "commands", "help", "play", "undo", "speed", "zoom", "loop", "snap"
} | {"all-classes", "spectrogram", "event-class", "event-modality", "event-onset"} | {
    "event-offset", "accept", "split", "merge", "reject"
}  # fmt: skip

# Functions of the page's contrast; a colour is [red, green, blue, opacity].
MEASURES = """
const context = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
function colour(text) {
  context.clearRect(0, 0, 1, 1);
  context.fillStyle = text;
  context.fillRect(0, 0, 1, 1);
  const [red, green, blue, opacity] = context.getImageData(0, 0, 1, 1).data;
  return [red, green, blue, opacity / 255];
}
function over(top, below) {
  const mixed = [0, 1, 2].map((i) => top[i] * top[3] + below[i] * (1 - top[3]));
  return [...mixed, 1];
}
function ancestors(element) {
  const all = [];
  for (let one = element; one; one = one.parentElement) all.push(one);
  return all;
}
function background(element) {
  let below = colour(getComputedStyle(document.body).backgroundColor);
  for (const one of ancestors(element).reverse()) {
    below = over(colour(getComputedStyle(one).backgroundColor), below);
  }
  return below;
}
function luminance(colour) {
  const parts = colour.slice(0, 3).map((value) => {
    const share = value / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2];
}
function ratio(front, back) {
  const levels = [luminance(over(front, back)), luminance(back)].sort((a, b) => a - b);
  return (levels[1] + 0.05) / (levels[0] + 0.05);
}
function faded(text, element) {
  const value = colour(text);
  for (const one of ancestors(element)) value[3] *= Number(getComputedStyle(one).opacity);
  return value;
}
function name(element) {
  const text = (element.value ?? element.textContent).trim().slice(0, 20);
  return `${element.tagName} #${element.id} .${element.className} "${text}"`;
}
const root = document.querySelector("dialog[open]") ?? document.body;
const visible = [...root.querySelectorAll("*")].filter((element) => {
  const box = element.getBoundingClientRect();
  const isShown = element.checkVisibility({ visibilityProperty: true });
  return isShown && box.width > 1 && box.height > 1 && !element.closest(":disabled");
});
"""

TEXTS = f"""() => {{
  {MEASURES}
  const isText = (node) => node.nodeType === Node.TEXT_NODE && node.data.trim();
  const found = [];
  for (const element of visible) {{
    const isField = element.matches("input:not([type=checkbox], [type=range]), select");
    if (element.matches("option, datalist *, progress")) continue;
    const styles = [];
    if (isField || [...element.childNodes].some(isText)) {{
      styles.push(getComputedStyle(element));
    }}
    if (element.placeholder) styles.push(getComputedStyle(element, "::placeholder"));
    const before = getComputedStyle(element, "::before");
    if (/[^"\\s]/.test(before.content.replace("none", ""))) styles.push(before);
    for (const style of styles) {{
      const size = parseFloat(style.fontSize);
      const isLarge = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
      const value = ratio(faded(style.color, element), background(element));
      found.push([name(element), value, isLarge]);
    }}
  }}
  return found;
}}"""

PARTS = f"""() => {{
  {MEASURES}
  const selector = "button, select, input:not([type=checkbox], [type=range]), .event";
  const found = visible.filter((one) => one.matches(selector)).map((element) => {{
    const border = colour(getComputedStyle(element).borderTopColor);
    return [name(element), ratio(border, background(element.parentElement))];
  }});
  for (const element of visible.filter((one) => one.matches(".playhead"))) {{
    const style = getComputedStyle(element);
    const value = ratio(colour(style.backgroundColor), background(element.parentElement));
    found.push([name(element), value]);
  }}
  return found;
}}"""

FOCUS = f"""() => {{
  {MEASURES}
  const element = document.activeElement;
  const style = getComputedStyle(element);
  const isInside = parseFloat(style.outlineOffset) < 0;
  const around = background(isInside ? element : element.parentElement);
  const isDrawn = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2;
  const value = isDrawn ? ratio(colour(style.outlineColor), around) : 1;
  return [element.id, name(element), value];
}}"""

CANVAS = f"""names => {{
  {MEASURES}
  const style = getComputedStyle(document.documentElement);
  const value = (name) => colour(style.getPropertyValue(name));
  return names.map((name) => [name, ratio(value(name), value("--page"))]);
}}"""


@pytest.fixture(scope="module")
def review(tmp_path_factory: pytest.TempPathFactory, media: Path) -> Iterator[Review]:
    """A review that shows everything: warnings, problems, missing spans, other methods."""
    folder = tmp_path_factory.mktemp("style")
    (folder / "media").symlink_to(media)
    (folder / "reference.csv").write_text(TABLE)
    timelines = folder / "timelines"
    timelines.mkdir()
    (timelines / "broken.json").write_text("{")
    events = [
        {"modality": "audio", "class": "Dog", "onset": 0, "offset": 2, "score": 0.7},
        {"modality": "visual", "class": "Dog", "onset": 1, "offset": 3, "score": 0.6},
        {"modality": "visual", "class": "Cat", "onset": 0, "offset": 2},
    ]
    missing = [{"modality": "audio", "onset": 3, "offset": 4}]
    for name in ("media/dogs", "media/birds", "absent"):
        timeline = {
            "video": name,
            "events": events,
            "missing": missing,
            "warnings": ["audio: damaged"],
        }
        (timelines / f"{name.split('/')[-1]}.json").write_text(json.dumps(timeline))
    reference = str(folder / "reference.csv")
    with serve(timelines, "--allow-outside", "--reference", reference) as running:
        yield running


def check_text(page: Any) -> None:
    texts = page.evaluate(TEXTS)
    assert len(texts) > 3
    low = [
        (name, round(value, 2))
        for name, value, is_large in texts
        if value < (LARGE_TEXT if is_large else TEXT)
    ]
    assert low == []


def check_parts(page: Any) -> None:
    parts = page.evaluate(PARTS)
    assert len(parts) > 0
    low = [(name, round(value, 2)) for name, value in parts if value < PART]
    assert low == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_and_every_control_has_enough_contrast(
    browser: Any, review: Review, scheme: str
) -> None:
    page = open_page(browser, review, color_scheme=scheme)
    open_video(page, "absent")
    page.wait_for_selector("#preparing")
    check_text(page)
    open_video(page, "media/birds")
    page.wait_for_selector(".event")
    focus_main(page)
    page.keyboard.press("d")  # a finished video in the list
    wait_until(page, "document.getElementById('counts').textContent.includes('1 done')")
    open_video(page, "media/dogs")
    page.wait_for_selector(".event")
    focus_main(page)
    page.keyboard.press("n")
    page.keyboard.press("]")  # a video in work, with an event that a person checked
    wait_saved(page)
    check_text(page)
    check_parts(page)
    shown = page.evaluate(CANVAS, [*GRAPHICS, "--quiet"])
    assert {name for name, value in shown if value < PART} == set()
    assert dict(shown)["--quiet"] >= TEXT  # the times of the ruler
    for key in ("?", "a"):
        page.keyboard.press(key)
        page.wait_for_selector("dialog[open]")
        if key == "a":
            page.locator("#new-class").fill("")
            page.keyboard.press("Enter")  # shows an error
        check_text(page)
        check_parts(page)
        page.keyboard.press("Escape")
    page.click("#commands")
    page.wait_for_selector("#command-list code")
    check_text(page)
    check_parts(page)
    page.keyboard.press("Escape")
    page.evaluate("document.getElementById('conflict-dialog').showModal()")
    check_text(page)
    check_parts(page)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_tab_key_reaches_every_control_and_shows_where_it_is(
    browser: Any, review: Review, scheme: str
) -> None:
    page = open_page(browser, review, color_scheme=scheme)
    open_video(page, "media/dogs")
    page.wait_for_selector(".event")
    focus_main(page)
    page.keyboard.press("n")
    page.keyboard.press("}")
    wait_saved(page)
    page.evaluate("document.activeElement.blur()")
    reached = dict[str, float]()
    for _ in range(60):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement === document.body"):
            continue
        control, name, value = page.evaluate(FOCUS)
        reached[control] = value
        assert value >= PART, name
    assert reached.keys() >= CONTROLS

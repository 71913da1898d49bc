"""The page has its content, loads nothing, and escapes every text."""

import base64
import hashlib
import re
from html.parser import HTMLParser
from importlib import resources
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.figure import Figure

from vaplan import plots, report
from vaplan.errors import MachineError
from vaplan.report.markup import Markup, tag
from vaplan.timeline import Event, Timeline

HOSTILE = (
    "\"><script>alert('x')</script><img src=http://evil.test onerror=alert(1)>&amp;"
)
VOID = {"meta", "img"}


class Reader(HTMLParser):
    """Elements, texts and attributes of a page; fails where an element is not closed."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str | None]] = []
        self.text: dict[str, str] = {}
        self.open: list[str] = []
        self.feed(page)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, key, value) for key, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open:
            self.text[self.open[-1]] = self.text.get(self.open[-1], "") + data


def content(text: str = "Dog", media: Path | None = None) -> dict:
    """Arguments of a page with `text` wherever a user's text can stand."""
    events = (
        Event("audio", text, 0.0, 2.5, 0.75),
        Event("visual", f"{text}2", 1.0, 3.0),
    )
    line = Timeline(text, 10.0, events, (("visual", 6.0, 8.0),), (text,))
    table = report.Table(
        text, ("x", text), ((text, 1.0), (text, text)), text, ((text, 2),)
    )
    example = report.Example(text, media, (text,), ((text, line),), text)
    details = {text: text, f"{text}2": f"{text}\n{text}"}
    return {
        "title": text,
        "lead": text,
        "tables": [table],
        "examples": [example],
        "details": details,
    }


def figure() -> Figure:
    return plots.plot_class_scores({"PLG": {"Dog": 50.0, "Cat": 70.0}}, title="F")


def table_cells(*rows: tuple, highlight: bool = True) -> str:
    table = report.Table("t", ("Method", "F"), rows, highlight=highlight)
    return (
        report.render_page(title="t", tables=[table])
        .split("<tbody>")[1]
        .split("</tbody>")[0]
    )


# ---- escaping


def test_hostile_names_stay_text():
    media = Path(f"/nowhere/{HOSTILE.replace('/', '')}.mp4")
    hostile, harmless = (
        Reader(report.render_page(**content(HOSTILE, media))),
        Reader(report.render_page(**content("Dog", media))),
    )
    assert hostile.tags == harmless.tags
    assert HOSTILE in hostile.text["h3"]
    assert not [key for _, key, _ in hostile.attributes if key.startswith("on")]


@settings(max_examples=30, deadline=None)
@given(st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1))
def test_no_text_changes_the_structure_of_the_page(text):
    assert (
        Reader(report.render_page(**content(f"x{text}"))).tags
        == Reader(report.render_page(**content())).tags
    )


def test_a_file_name_that_is_no_unicode_can_be_shown():
    assert "a?.mp4" in report.render_page(
        **content("Dog", Path("/nowhere/a\udcff.mp4"))
    )


def test_only_markup_is_not_escaped():
    assert tag("p", "<b>", tag("i", "&")) == "<p>&lt;b&gt;<i>&amp;</i></p>"
    assert (
        tag("p", Markup("<b></b>"), class_='"', hidden=True, title=None)
        == '<p class="&quot;" hidden><b></b></p>'
    )


# ---- no requests


def test_the_policy_names_the_one_style_and_the_one_script_and_nothing_else():
    page = Reader(
        report.render_page(**content(), pictures=[report.Picture("a", "b", figure())])
    )
    policy = next(
        value
        for tag, key, value in page.attributes
        if key == "content" and "default-src" in value
    )
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    assert (
        rules.pop("default-src")
        == rules.pop("base-uri")
        == rules.pop("form-action")
        == "'none'"
    )
    for element in ("style", "script"):
        assert page.tags.count(element) == 1
        digest = base64.b64encode(
            hashlib.sha256(page.text[element].encode()).digest()
        ).decode()
        assert rules.pop(f"{element}-src") == f"'sha256-{digest}'"
    assert rules == {"img-src": "data:", "media-src": "data:"}


def test_no_element_carries_a_style_or_a_handler(tmp_path):
    (media := tmp_path / "v.mp4").write_bytes(b"frames")
    page = Reader(
        report.render_page(
            **content("Dog", media), pictures=[report.Picture("a", "b", figure())]
        )
    )
    keys = {key for _, key, _ in page.attributes}
    assert "style" not in keys
    assert not {key for key in keys if key.startswith("on")}


def test_the_page_refers_to_nothing_outside_itself(tmp_path):
    (media := tmp_path / "v.mp4").write_bytes(b"frames")
    page = report.render_page(
        **content("Dog", media), pictures=[report.Picture("a", "b", figure())]
    )
    assert not re.search(
        r"https?:|//[a-z]", re.sub(r"base64,[\w+/=]+", "", page.replace("// ", ""))
    )
    addresses = [
        value for _, key, value in Reader(page).attributes if key in ("src", "href")
    ]
    assert all(value.startswith(("data:", "#")) for value in addresses)


def test_every_link_inside_the_page_has_its_target():
    page = Reader(report.render_page(**content()))
    targets = {value for _, key, value in page.attributes if key == "id"}
    links = {value[1:] for _, key, value in page.attributes if key == "href"}
    assert links == {"results", "examples", "details"}
    assert links <= targets


# ---- tables


def test_numbers_have_one_decimal_and_the_best_is_bold():
    cells = table_cells(("HAN", 60.04), ("PLE", 61.26), ("none", None))
    assert re.findall(r"<td[^>]*>(.*?)</td>", cells) == [
        "60.0",
        "<strong>61.3</strong>",
        "–",
    ]


def test_numbers_that_look_equal_are_equally_best():
    assert (
        table_cells(("HAN", 61.34), ("PLE", 61.26)).count("<strong>61.3</strong>") == 2
    )


def test_a_mean_with_its_spread_is_compared_by_the_mean():
    assert "<strong>61.2</strong>" in table_cells(
        ("HAN", "9.9 ± 9.9"), ("PLE", "61.2 ± 0.4")
    )


def test_text_counts_and_undefined_numbers_are_not_mistaken_for_scores():
    assert "<strong>" not in table_cells(("HAN", "3 videos"), ("PLE", "no"))
    assert ">1204<" in table_cells(("HAN", 1204), ("PLE", 3), highlight=False)
    assert ">–<" in table_cells(("HAN", float("nan")), ("PLE", 3.0))


def test_a_table_with_a_missing_cell_is_refused():
    with pytest.raises(ValueError, match="'t': 1 cells for 2 columns"):
        report.Table("t", ("a", "b"), (("x",),))
    with pytest.raises(ValueError, match="groups must span its 2 columns"):
        report.Table("t", ("a", "b"), (), groups=(("g", 3),))


# ---- figures and examples


def test_a_figure_is_an_image_with_a_description():
    page = Reader(
        report.render_page(
            title="t", pictures=[report.Picture("Curves", "The loss falls.", figure())]
        )
    )
    image = {key: value for tag, key, value in page.attributes if tag == "img"}
    assert image["alt"] == "Curves. The loss falls."
    drawing = base64.b64decode(
        image["src"].removeprefix("data:image/svg+xml;base64,")
    ).decode()
    assert drawing.lstrip().startswith("<?xml")
    assert "prefers-color-scheme: dark" in drawing


def test_a_small_video_is_inside_the_page(tmp_path):
    (media := tmp_path / "v.mp4").write_bytes(b"the frames")
    page = Reader(report.render_page(**content("Dog", media)))
    video = {key: value for tag, key, value in page.attributes if tag == "video"}
    assert (
        base64.b64decode(video["src"].removeprefix("data:video/mp4;base64,"))
        == b"the frames"
    )
    assert "controls" in video


@pytest.mark.parametrize(
    ("name", "limit"), [("v.mp4", 5), ("v.svg", 100), ("absent.mp4", 100)]
)
def test_files_that_are_too_large_or_no_media_are_named_and_left_out(
    tmp_path, name, limit
):
    for file in ("v.mp4", "v.svg"):
        (tmp_path / file).write_bytes(b"the frames")
    page = Reader(
        report.render_page(**content("Dog", tmp_path / name), max_embed_bytes=limit)
    )
    assert "video" not in page.tags
    assert name in page.text["p"]


def test_each_event_is_at_its_time_and_has_its_name():
    page = report.render_page(**content())
    assert 'x="0%" width="25%" data-onset="0.0" data-offset="2.5"' in page
    assert "<title>Dog, 0–2.5 s, score 0.75</title>" in page
    assert 'aria-label="Dog, audio: Dog, 0–2.5 s, score 0.75"' in page


def test_missing_spans_are_hatched():
    page = report.render_page(**content())
    assert 'fill="url(#hatch)" x="60%" width="20%"' in page
    assert page.count('id="hatch"') == 1


def test_every_lane_occurs_once_in_each_modality():
    lines = tuple((name, Timeline("v", 4.0)) for name in ("reference", "HAN", "PLE"))
    page = report.render_page(
        title="t", examples=[report.Example("v", None, (), lines)]
    )
    assert re.findall(r'aria-label="(\w+), (\w+): nothing"', page) == [
        (name, modality) for modality in ("audio", "visual") for name, _ in lines
    ]


# ---- the file


def test_the_same_content_gives_the_same_bytes(tmp_path):
    files = [
        report.write(
            tmp_path / name, **content(), pictures=[report.Picture("a", "b", figure())]
        )
        for name in ("one.html", "other.html")
    ]
    assert files[0].read_bytes() == files[1].read_bytes()


def test_a_page_that_cannot_be_written_leaves_nothing_behind(tmp_path):
    (tmp_path / "file").touch()
    (tmp_path / "folder.html").mkdir()
    for target in (tmp_path / "file" / "report.html", tmp_path / "folder.html"):
        with pytest.raises(MachineError, match="cannot write"):
            report.write(target, title="t")
    assert {path.name for path in tmp_path.iterdir()} == {"file", "folder.html"}


def test_the_colours_of_figures_and_page_agree_in_the_dark_theme():
    style = resources.files("vaplan.report").joinpath("page.css").read_text()
    for variable, light in (
        ("paper", plots.PAPER),
        ("ink", plots.INK),
        ("lane", plots.LANE),
    ):
        dark = report.pictures.DARK[light]
        assert re.findall(rf"--{variable}: (#\w+);", style) == [light, dark]

"""The site is built without a warning and without a network, and shows everything public."""

import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

import vaplan
from vaplan import cli, decisions, encoders, exports, losses, models, pseudo_labels

pytestmark = pytest.mark.slow

pytest.importorskip("sphinx")

DOCS = Path(__file__).parents[1] / "docs"
REGISTRIES = {
    "models": models.MODELS,
    "losses": losses.LOSSES,
    "decisions": decisions.DECISIONS,
    "label_rules": pseudo_labels.LABEL_RULES,
    "encoders": encoders.ENCODERS,
    "exports": exports.FORMATS,
}
LOADED = {"script": "src", "link": "href", "img": "src", "iframe": "src"}
# Stands in front of every command of the build: it fails where a connection is opened.
OFFLINE = """
import runpy, socket, sys
def refuse(*arguments, **keywords):
    raise AssertionError("the build opens a connection")
socket.socket.connect = socket.create_connection = refuse
sys.argv = ["sphinx", *sys.argv[1:]]
runpy.run_module("sphinx", run_name="__main__")
"""


class Page(HTMLParser):
    """What a page loads from elsewhere, and its text."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.text = ""
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        address = dict(attrs).get(LOADED.get(tag, "")) or ""
        if re.match(r"(https?:)?//", address):
            self.loaded.append(address)

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    options = ["--quiet", "--fail-on-warning", "--keep-going"]
    built = subprocess.run(
        [
            *(sys.executable, "-c", OFFLINE, *options),
            *("--doctree-dir", str(folder / "doctrees")),
            *(str(DOCS), str(folder / "html")),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (built.returncode, built.stderr) == (0, "")
    return folder / "html"


def test_pages_load_nothing_from_elsewhere(site: Path) -> None:
    pages = sorted(site.rglob("*.html"))
    assert len(pages) > 50
    assert {page: Page(page).loaded for page in pages if Page(page).loaded} == {}


def test_every_public_name_has_a_page_with_its_documentation(site: Path) -> None:
    for name in vaplan.__all__:
        text = Page(site / "generated" / "python" / f"{name}.html").text
        first_line = (getattr(vaplan, name).__doc__ or "").strip().splitlines()[0]
        plain = first_line.replace("`", "")
        assert " ".join(plain.split()[:4]) in " ".join(text.split())


@pytest.mark.parametrize("page", REGISTRIES)
def test_every_plug_in_is_on_the_page_of_its_registry(site: Path, page: str) -> None:
    text = Page(site / "generated" / "plugins" / f"{page}.html").text
    assert [name for name in REGISTRIES[page] if name not in text.split()] == []


def test_shapes_of_arrays_stand_in_signatures(site: Path) -> None:
    text = Page(site / "generated" / "plugins" / "decisions.html").text
    assert "Bool[Tensor, 'video time modality class']" in " ".join(text.split())


def test_every_command_and_option_is_in_the_reference(site: Path) -> None:
    for name in cli.COMMANDS:
        text = Page(site / "generated" / "commands" / f"{name}.html").text
        assert f"vaplan {name}" in text
    for group, (_, members) in cli.GROUPS.items():
        text = Page(site / "generated" / "commands" / f"{group}.html").text
        assert all(f"vaplan {group} {member}" in text for member in members)
    assert "--zero-shot" in Page(site / "generated/commands/parse.html").text


def test_equations_are_drawn_without_a_script(site: Path) -> None:
    method = (site / "method.html").read_text(encoding="utf-8")
    assert method.count("<math") > 20
    assert "$" not in Page(site / "method.html").text

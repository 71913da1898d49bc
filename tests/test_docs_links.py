"""Every relative link and picture of the documents leads to a file, and every anchor to a heading."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DOCUMENTS = [
    *sorted(ROOT.glob("*.md")),
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / "benchmarks").rglob("*.md")),
    *sorted((ROOT / "src").rglob("*.md")),
]
CODE = re.compile(r"^```.*?^```$|`[^`\n]*`", flags=re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\]\(([^)\s]+)\)")
# Pages that `make docs` writes; their names are checked where the site is built.
GENERATED = ROOT / "docs" / "generated"


def links(text: str) -> Iterator[str]:
    """Targets of the links and pictures of a Markdown document, without those in code."""
    for target in LINK.findall(CODE.sub("", text)):
        if not re.match(r"[a-z]+:", target):
            yield target


def anchors(text: str) -> set[str]:
    """Anchors of the headings, as GitHub and the site make them."""
    plain = re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE)
    headings = re.findall(r"^#+ (.*)$", plain, flags=re.MULTILINE)
    letters = [re.sub(r"[^\w\- ]", "", heading.casefold()) for heading in headings]
    return {heading.strip().replace(" ", "-") for heading in letters}


def broken_links(path: Path) -> list[str]:
    broken = []
    for target in links(path.read_text(encoding="utf-8")):
        name, _, anchor = target.partition("#")
        file = (path.parent / name).resolve() if name else path
        if file.is_relative_to(GENERATED):
            continue
        is_anchor_missing = (
            bool(anchor)
            and file.suffix == ".md"
            and file.exists()
            and anchor not in anchors(file.read_text(encoding="utf-8"))
        )
        if not file.exists() or is_anchor_missing:
            broken.append(target)
    return broken


@pytest.mark.parametrize(
    "path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT))
)
def test_no_relative_link_is_broken(path: Path) -> None:
    assert broken_links(path) == []


def test_broken_links_and_anchors_are_found(tmp_path: Path) -> None:
    (tmp_path / "b.md").write_text("# Two words, a comma\n```\n# no heading\n```\n")
    page = tmp_path / "a.md"
    page.write_text(
        "[a](b.md#two-words-a-comma) [b](https://x.org/y) `[c](code.md)`\n"
        "[d](missing.md) ![e](missing.png) [f](b.md#no-heading)\n"
    )
    assert broken_links(page) == ["missing.md", "missing.png", "b.md#no-heading"]


def test_every_document_is_on_the_site() -> None:
    index = (ROOT / "docs" / "index.md").read_text(encoding="utf-8").splitlines()
    pages = {path.stem for path in (ROOT / "docs").glob("*.md")} - {"index"}
    assert pages <= set(index)

"""Resolve links between files of the repository to pages of the site.

Documents link to each other as files, so that the links also work in a checkout. A linked file
that the site shows under another name becomes a link to that page; any other file becomes a link
to the repository.
"""

import os
import re
from pathlib import Path

from generated_pages import DOCS, ORIGINALS, ROOT
from sphinx.application import Sphinx

REPOSITORY = "https://github.com/vaplan/vaplan/blob/main"
LINK = re.compile(r"(?P<start>\]\()(?P<target>[^)\s#:]+)(?P<anchor>#[^)\s]*)?\)")
PAGE_OF = {original: page for page, original in ORIGINALS.items()}


def resolve(target: str, page: Path) -> str:
    """Return the target of a link as the page of the site needs it.

    Args:
        target: Relative path as the document writes it.
        page: File that Sphinx reads; of a copy, the links are those of its original.
    """
    original = ORIGINALS.get(page, page)
    file = Path(os.path.normpath(original.parent / target))
    shown = PAGE_OF.get(file, file)
    if not file.exists() and not shown.exists():
        return target  # Sphinx warns of it
    if not shown.is_relative_to(DOCS):
        return f"{REPOSITORY}/{file.relative_to(ROOT).as_posix()}"
    return Path(os.path.relpath(shown, page.parent)).as_posix()


def rewrite(app: Sphinx, name: str, source: list[str]) -> None:
    """Rewrite the links of a Markdown document before it is parsed."""
    page = Path(app.env.doc2path(name))
    if page.suffix == ".md":
        source[0] = LINK.sub(
            lambda link: (
                f"{link['start']}{resolve(link['target'], page)}{link['anchor'] or ''})"
            ),
            source[0],
        )


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect the rewriting to the reading of sources."""
    app.connect("source-read", rewrite)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

"""The page of a report: head, sections and file."""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from vaplan.plots import class_colours
from vaplan.report.examples import HATCH, Example, render_example
from vaplan.report.markup import Markup, tag
from vaplan.report.pictures import Picture, render_picture
from vaplan.report.tables import Table, render_table
from vaplan.taxonomy import Taxonomy
from vaplan.writing import write_text

EMBED_BYTES = 2_000_000  # of one media file


def write(path: Path, **content: Any) -> Path:
    """Write a page to a file: all of it, or nothing.

    Args:
        path: File to write.
        content: Arguments of `render_page`.

    Returns:
        The path.
    """
    return write_text(path, render_page(**content))


def render_page(
    *,
    title: str,
    lead: str = "",
    tables: Sequence[Table] = (),
    pictures: Sequence[Picture] = (),
    examples: Sequence[Example] = (),
    details: Mapping[str, str] | None = None,
    taxonomy: Taxonomy | None = None,
    max_embed_bytes: int = EMBED_BYTES,
) -> str:
    """Render a page as HTML; the same arguments give the same text.

    Args:
        title: Title of the page.
        lead: Introduction, in plain text; an empty line starts a paragraph.
        tables: Tables of results.
        pictures: Figures.
        examples: Videos with timelines.
        details: Settings and versions by name; a text of several lines is collapsed.
        taxonomy: Fixes the colour of each class, as in `vaplan.plot`.
        max_embed_bytes: A larger media file is named, but not put into the page.
    """
    timelines = [line for example in examples for _, line in example.lanes]
    colours = class_colours(timelines, taxonomy)

    sections = {
        "Results": [render_table(table) for table in tables],
        "Figures": [render_picture(picture) for picture in pictures],
        "Examples": [
            render_example(example, colours, max_embed_bytes=max_embed_bytes)
            for example in examples
        ],
        "Details": _render_details(details or {}),
    }
    sections = {name: parts for name, parts in sections.items() if parts}

    paragraphs = [tag("p", text) for text in lead.split("\n\n") if text.strip()]
    links = [tag("a", name, href=f"#{name.lower()}") for name in sections]
    items = [tag("li", link) for link in links]
    main = [_render_section(name, parts) for name, parts in sections.items()]

    return _render_document(
        title,
        tag("header", tag("h1", title), *paragraphs),
        tag("nav", tag("ul", *items), aria_label="Sections"),
        tag("main", *main),
        HATCH,
    )


def _render_section(name: str, parts: Sequence[Markup]) -> Markup:
    anchor = name.lower()
    return tag(
        "section",
        tag("h2", name, id=anchor),
        *parts,
        aria_labelledby=anchor,
        class_=anchor,
    )


def _render_details(details: Mapping[str, str]) -> list[Markup]:
    """Render a list of short texts, then the texts of several lines, each collapsed."""
    entries = list[Markup]()
    collapsed = list[Markup]()
    for name, text in details.items():
        if "\n" in text:
            content = tag("pre", text)
            collapsed.append(tag("details", tag("summary", name), content))
        else:
            entries += [tag("dt", name), tag("dd", text)]

    if not entries:
        return collapsed
    return [tag("dl", *entries), *collapsed]


def _render_document(title: str, *body: Markup) -> str:
    style = _read_asset("page.css")
    script = _read_asset("page.js")
    policy = (
        "default-src 'none'; img-src data:; media-src data:; "
        "base-uri 'none'; form-action 'none'; "
        f"style-src {_policy_hash(style)}; script-src {_policy_hash(script)}"
    )
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=policy),
        tag("meta", name_="viewport", content="width=device-width, initial-scale=1"),
        tag("title", title),
        tag("style", style),
    )
    document = tag("html", head, tag("body", *body, tag("script", script)), lang="en")
    return f"<!DOCTYPE html>\n{document}\n"


def _read_asset(name: str) -> Markup:
    file = resources.files("vaplan.report").joinpath(name)
    return Markup(file.read_text(encoding="utf-8"))


def _policy_hash(text: str) -> str:
    """Return the name of a style or script in a Content-Security-Policy."""
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"

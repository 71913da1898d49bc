"""The report page."""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from vaplan.plots import class_colours
from vaplan.report import examples as videos
from vaplan.report import pictures as figures
from vaplan.report import tables as results
from vaplan.report.markup import Markup, tag
from vaplan.taxonomy import Taxonomy
from vaplan.writing import write_text

EMBED_BYTES = 2_000_000  # largest media file in the page


def write(path: Path, **content: Any) -> Path:
    """Write a report page to a file.

    Args:
        path: HTML file to write.
        content: Arguments of `page`.

    Returns:
        The path.
    """
    return write_text(path, page(**content))


def page(
    *,
    title: str,
    lead: str = "",
    tables: Sequence[results.Table] = (),
    pictures: Sequence[figures.Picture] = (),
    examples: Sequence[videos.Example] = (),
    details: Mapping[str, str] | None = None,
    taxonomy: Taxonomy | None = None,
    max_embed_bytes: int = EMBED_BYTES,
) -> str:
    """Write a report page as HTML; equal arguments give equal text.

    Args:
        title: Title of the page.
        lead: Introduction in plain text; an empty line starts a paragraph.
        tables: Tables of results.
        pictures: Figures with captions.
        examples: Videos with their timelines.
        details: Settings and versions by name; texts of several lines are folded.
        taxonomy: Fixes the colours of the classes, as in `vaplan.plot`.
        max_embed_bytes: Largest media file that is embedded; a larger one is only named.
    """
    colours = class_colours((line for e in examples for _, line in e.lanes), taxonomy)
    sections = {
        "Results": [results.render(table) for table in tables],
        "Figures": [figures.render(picture) for picture in pictures],
        "Examples": [
            videos.render(e, colours, max_embed_bytes=max_embed_bytes) for e in examples
        ],
        "Details": _details(details or {}),
    }
    sections = {name: parts for name, parts in sections.items() if parts}
    paragraphs = [tag("p", text) for text in lead.split("\n\n") if text.strip()]
    links = [tag("li", tag("a", name, href=f"#{name.lower()}")) for name in sections]
    return _document(
        title,
        tag("header", tag("h1", title), *paragraphs),
        tag("nav", tag("ul", *links), aria_label="Sections"),
        tag("main", *(_section(name, parts) for name, parts in sections.items())),
        videos.HATCH,
    )


def _section(name: str, parts: Sequence[Markup]) -> Markup:
    anchor = name.lower()
    return tag(
        "section",
        tag("h2", name, id=anchor),
        *parts,
        aria_labelledby=anchor,
        class_=anchor,
    )


def _details(details: Mapping[str, str]) -> list[Markup]:
    short = {name: text for name, text in details.items() if "\n" not in text}
    long = {name: text for name, text in details.items() if "\n" in text}
    entries = [
        part
        for name, text in short.items()
        for part in (tag("dt", name), tag("dd", text))
    ]
    folded = [
        tag("details", tag("summary", name), tag("pre", text))
        for name, text in long.items()
    ]
    return [*([tag("dl", *entries)] if entries else []), *folded]


def _document(title: str, *body: Markup) -> str:
    style, script = (_asset(name) for name in ("page.css", "page.js"))
    policy = (
        "default-src 'none'; img-src data:; media-src data:; base-uri 'none'; form-action 'none'; "
        f"style-src {_source(style)}; script-src {_source(script)}"
    )
    head = (
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=policy),
        tag("meta", name_="viewport", content="width=device-width, initial-scale=1"),
        tag("title", title),
        tag("style", style),
    )
    whole = tag(
        "html", tag("head", *head), tag("body", *body, tag("script", script)), lang="en"
    )
    return f"<!DOCTYPE html>\n{whole}\n"


def _asset(name: str) -> Markup:
    return Markup(
        resources.files("vaplan.report").joinpath(name).read_text(encoding="utf-8")
    )


def _source(text: str) -> str:
    """Return the hash of a style or script for the policy."""
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"

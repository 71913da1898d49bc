"""Prepare docstrings, which are plain text with `names` and doctests, for reStructuredText."""

import re
from typing import Any

from pygments.lexers.special import TextLexer
from sphinx.application import Sphinx

SPAN = re.compile(r"(`[^`]*`)")


def escape_bars(line: str) -> str:
    """Escape bars outside backticks, which would be substitutions: |x| is an absolute value."""
    if line.lstrip().startswith((">>>", "...")):
        return line
    parts = SPAN.split(line)
    return "".join(p if p.startswith("`") else p.replace("|", "\\|") for p in parts)


def process(
    app: Sphinx, what: str, name: str, value: Any, options: Any, lines: list[str]
) -> None:
    """Escape the lines of a docstring in place."""
    lines[:] = [escape_bars(line) for line in lines]


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect to autodoc, before napoleon; examples of tables are shown as plain text."""
    app.connect("autodoc-process-docstring", process, priority=100)
    app.add_lexer("csv", TextLexer)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

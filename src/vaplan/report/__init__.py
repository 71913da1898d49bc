"""One self-contained page for a run: tables, figures, and videos beside their timelines.

`render_page` returns the text and `write` writes the file. The page loads nothing: pictures and
videos are inside it. A Content-Security-Policy allows its one style and its one script by their
hashes, and nothing else.
"""

from vaplan.report.document import render_page, write
from vaplan.report.examples import Example
from vaplan.report.pictures import Picture
from vaplan.report.tables import Table

__all__ = ["Example", "Picture", "Table", "render_page", "write"]

"""One self-contained page for a run: tables, figures, and videos beside their timelines.

`page` makes the text and `write` the file. The page loads nothing: pictures and videos are inside
it, and its one style and one script are named by their hashes in a Content-Security-Policy that
allows nothing else.
"""

from vaplan.report.document import page, write
from vaplan.report.examples import Example
from vaplan.report.pictures import Picture
from vaplan.report.tables import Table

__all__ = ["Example", "Picture", "Table", "page", "write"]

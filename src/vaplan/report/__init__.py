"""Self-contained report pages: tables, figures, and videos beside their timelines.

`page` returns the text and `write` writes the file. A page loads nothing: figures and videos are
embedded, and its Content-Security-Policy allows only its own style and script, by their hashes.
"""

from vaplan.report.document import page, write
from vaplan.report.examples import Example
from vaplan.report.pictures import Picture
from vaplan.report.tables import Table

__all__ = ["Example", "Picture", "Table", "page", "write"]

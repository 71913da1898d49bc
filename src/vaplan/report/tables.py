"""Tables of results."""

import math
import re
from dataclasses import dataclass
from itertools import accumulate

from vaplan.report.markup import Markup, tag

Cell = str | float | int | None
# A number with its spread: "61.2", "61.2 ± 0.4", "+1.3 [0.2, 2.4]"
NUMBER = re.compile(r"([+\-−]?\d+(?:\.\d+)?)(?: ?%)?(\s+[±(\[].*)?")
NOTHING = "–"


@dataclass(frozen=True)
class Table:
    """Results by row and column; the first column names the rows.

    A cell is a number (floats have one decimal), text that may start with a number, such as
    "61.2 ± 0.4", or None. Numbers are right-aligned.

    Attributes:
        title: Title of the table.
        columns: Headings of the columns.
        rows: Cells of each row.
        note: Text below the table.
        groups: Headings above the columns, with their number of columns.
        highlight: Whether the highest number of a column is bold.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    note: str = ""
    groups: tuple[tuple[str, int], ...] = ()
    highlight: bool = True

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row) != len(self.columns):
                raise ValueError(
                    f"table {self.title!r}: {len(row)} cells for {len(self.columns)} columns"
                )
        if self.groups and sum(span for _, span in self.groups) != len(self.columns):
            raise ValueError(
                f"table {self.title!r}: groups must span its {len(self.columns)} columns"
            )


def render(table: Table) -> Markup:
    """Write a table as HTML, in a frame that scrolls in a narrow window.

    Args:
        table: Table to write.
    """
    columns = [_column(table, index) for index in range(len(table.columns))]
    rows = [
        tag("tr", *cells) for cells in zip(*(body for _, body in columns), strict=True)
    ]
    head = [tag("tr", *(cell for cell, _ in columns))]
    if table.groups:
        head.insert(0, tag("tr", *_group_heads(table)))
    inner = tag("table", tag("thead", *head), tag("tbody", *rows))
    scroll = tag(
        "div", inner, class_="scroll", tabindex=0, role="region", aria_label=table.title
    )
    note = [tag("p", table.note, class_="note")] if table.note else []
    return tag("article", tag("h3", table.title), scroll, *note)


def _column(table: Table, index: int) -> tuple[Markup, list[Markup]]:
    """Return the heading and the cells of a column."""
    cells = [row[index] for row in table.rows]
    numbers = [_number(cell) for cell in cells]
    present_values = [n for n in numbers if n is not None]
    numeric = bool(present_values) and all(
        n is not None or _format(c) == NOTHING
        for c, n in zip(cells, numbers, strict=True)
    )
    kinds = list[str]()
    if numeric and index > 0:
        kinds.append("number")
    if index in _edges(table):
        kinds.append("edge")
    kind = " ".join(kinds) or None
    head = tag("th", table.columns[index], scope="col", class_=kind)
    if index == 0:
        return head, [tag("th", _format(cell), scope="row") for cell in cells]
    best = math.inf
    if numeric and table.highlight and len(cells) > 1:
        best = max(present_values)
    return head, [
        tag("td", *_parts(cell, bold=number == best), class_=kind)
        for cell, number in zip(cells, numbers, strict=True)
    ]


def _parts(cell: Cell, *, bold: bool) -> list[str]:
    """Return the text of a cell and, in a smaller size, its spread."""
    text = _format(cell)
    match = NUMBER.fullmatch(text)
    spread = match[2] if match and match[2] else ""
    number = text.removesuffix(spread)
    parts: list[str] = [tag("strong", number) if bold else number]
    if spread:
        parts += [" ", tag("span", spread.strip(), class_="spread")]
    return parts


def _group_heads(table: Table) -> list[Markup]:
    starts = accumulate((span for _, span in table.groups), initial=0)
    return [
        tag(
            "th",
            title,
            colspan=span,
            scope="colgroup",
            class_="edge" if start in _edges(table) else None,
        )
        for (title, span), start in zip(table.groups, starts, strict=False)
    ]


def _edges(table: Table) -> set[int]:
    """Return the columns that start a group."""
    return set(accumulate(span for _, span in table.groups))


def _number(cell: Cell) -> float | None:
    """Return the shown number of a cell, for comparisons."""
    match = NUMBER.fullmatch(_format(cell))
    return float(match[1].replace("−", "-")) if match else None


def _format(cell: Cell) -> str:
    if cell is None or cell == "" or (isinstance(cell, float) and math.isnan(cell)):
        return NOTHING
    return f"{cell:.1f}" if isinstance(cell, float) else str(cell)

"""Tables of results."""

import math
import re
from dataclasses import dataclass
from itertools import accumulate

from vaplan.report.markup import Markup, tag

Cell = str | float | int | None
NUMBER = re.compile(
    r"([+\-−]?\d+(?:\.\d+)?)(?: ?%)?(\s+[±(\[].*)?"
)  # "61.2", "61.2 ± 0.4", "+1.3 [0.2, 2.4]"
NOTHING = "–"


@dataclass(frozen=True)
class Table:
    """Results by row and column; the first column names the rows.

    A cell is a number (floats are shown with one decimal), text that may start with a number,
    such as "61.2 ± 0.4", or None where there is nothing. Numbers stand right, the highest of a
    column is set in bold unless `highlight` is off. `groups` are headings over the columns:
    (heading, how many columns).
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
    """The table as HTML, in a frame that scrolls where the window is narrow."""
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
    """The head and the cells of one column."""
    cells = [row[index] for row in table.rows]
    numbers = [_number(cell) for cell in cells]
    present_values = [n for n in numbers if n is not None]
    numeric = bool(present_values) and all(
        n is not None or _shown(c) == NOTHING
        for c, n in zip(cells, numbers, strict=True)
    )
    kind = (
        " ".join(
            ["number"] * (numeric and index > 0) + ["edge"] * (index in _edges(table))
        )
        or None
    )
    head = tag("th", table.columns[index], scope="col", class_=kind)
    if index == 0:
        return head, [tag("th", _shown(cell), scope="row") for cell in cells]
    best = (
        max(present_values)
        if numeric and table.highlight and len(cells) > 1
        else math.inf
    )
    return head, [
        tag("td", *_parts(cell, bold=number == best), class_=kind)
        for cell, number in zip(cells, numbers, strict=True)
    ]


def _parts(cell: Cell, *, bold: bool) -> list[str]:
    """A cell's text, the spread behind a number smaller than the number."""
    text = _shown(cell)
    match = NUMBER.fullmatch(text)
    spread = match[2] if match and match[2] else ""
    number = text.removesuffix(spread)
    parts: list[str] = [tag("strong", number) if bold else number]
    return (
        [*parts, " ", tag("span", spread.strip(), class_="spread")] if spread else parts
    )


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
    """Columns that start a group."""
    return set(accumulate(span for _, span in table.groups))


def _number(cell: Cell) -> float | None:
    """Return the shown number of a cell, for comparisons."""
    match = NUMBER.fullmatch(_shown(cell))
    return float(match[1].replace("−", "-")) if match else None


def _shown(cell: Cell) -> str:
    if cell is None or cell == "" or (isinstance(cell, float) and math.isnan(cell)):
        return NOTHING
    return f"{cell:.1f}" if isinstance(cell, float) else str(cell)

"""Tables of results."""

import math
import re
from dataclasses import dataclass
from itertools import accumulate

from vaplan.report.markup import Markup, tag

Cell = str | float | int | None
# such as "61.2", "61.2 ± 0.4", "+1.3 [0.2, 2.4]"
NUMBER = re.compile(r"([+\-−]?\d+(?:\.\d+)?)(?: ?%)?(\s+[±(\[].*)?")
EMPTY_CELL = "–"


@dataclass(frozen=True)
class Table:
    """Results by row and column.

    Numbers are aligned right, and the highest of a column is bold.

    Attributes:
        title: Title above the table.
        columns: Headings; the first column names the rows.
        rows: Cells of each row. A cell is a number (floats have one decimal), text that may
            start with a number, such as "61.2 ± 0.4", or None for an empty cell.
        note: Text below the table.
        groups: Headings above the columns, each with its number of columns.
        highlight: Whether the highest number of a column is bold.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    note: str = ""
    groups: tuple[tuple[str, int], ...] = ()
    highlight: bool = True

    def __post_init__(self) -> None:
        column_count = len(self.columns)
        for row in self.rows:
            if len(row) != column_count:
                raise ValueError(
                    f"table {self.title!r}: {len(row)} cells for {column_count} columns"
                )
        if self.groups and sum(span for _, span in self.groups) != column_count:
            raise ValueError(
                f"table {self.title!r}: groups must span its {column_count} columns"
            )


def render_table(table: Table) -> Markup:
    """Render a table as HTML, in a frame that scrolls where the window is narrow."""
    heads = list[Markup]()
    columns = list[list[Markup]]()
    for index in range(len(table.columns)):
        head, cells = _render_column(table, index)
        heads.append(head)
        columns.append(cells)

    head_rows = [tag("tr", *heads)]
    if table.groups:
        head_rows.insert(0, tag("tr", *_render_group_heads(table)))
    body_rows = [tag("tr", *cells) for cells in zip(*columns, strict=True)]

    frame = tag(
        "div",
        tag("table", tag("thead", *head_rows), tag("tbody", *body_rows)),
        class_="scroll",
        tabindex=0,
        role="region",
        aria_label=table.title,
    )

    content = [tag("h3", table.title), frame]
    if table.note:
        content.append(tag("p", table.note, class_="note"))
    return tag("article", *content)


def _render_column(table: Table, index: int) -> tuple[Markup, list[Markup]]:
    """Render the head and the cells of one column."""
    cells = [row[index] for row in table.rows]
    is_numeric = _is_numeric(cells)

    classes = list[str]()
    if is_numeric and index > 0:
        classes.append("number")
    if index in _group_starts(table):
        classes.append("edge")
    class_names = " ".join(classes) or None
    head = tag("th", table.columns[index], scope="col", class_=class_names)

    if index == 0:
        row_heads = [tag("th", _format_cell(cell), scope="row") for cell in cells]
        return head, row_heads

    best = math.inf
    if is_numeric and table.highlight and len(cells) > 1:
        best = max(_present_numbers(cells))
    body = list[Markup]()
    for cell in cells:
        content = _render_cell(cell, bold=_parse_number(cell) == best)
        body.append(tag("td", *content, class_=class_names))
    return head, body


def _is_numeric(cells: list[Cell]) -> bool:
    """Return whether a column has numbers, and otherwise only empty cells."""
    numbers = _present_numbers(cells)
    empty_cells = [cell for cell in cells if _format_cell(cell) == EMPTY_CELL]
    return bool(numbers) and len(numbers) + len(empty_cells) == len(cells)


def _present_numbers(cells: list[Cell]) -> list[float]:
    numbers = [_parse_number(cell) for cell in cells]
    return [number for number in numbers if number is not None]


def _render_cell(cell: Cell, *, bold: bool) -> list[str]:
    """Render a cell's content, with the spread of a number in smaller type."""
    text = _format_cell(cell)
    match = NUMBER.fullmatch(text)
    spread = match[2] if match and match[2] else ""
    number = text.removesuffix(spread)
    content: list[str] = [tag("strong", number) if bold else number]
    if spread:
        content += [" ", tag("span", spread.strip(), class_="spread")]
    return content


def _render_group_heads(table: Table) -> list[Markup]:
    heads = list[Markup]()
    start = 0
    for title, span in table.groups:
        class_name = "edge" if start in _group_starts(table) else None
        heads.append(
            tag("th", title, colspan=span, scope="colgroup", class_=class_name)
        )
        start += span
    return heads


def _group_starts(table: Table) -> set[int]:
    """Return the columns that start a group, except the first group."""
    spans = [span for _, span in table.groups]
    return set(accumulate(spans))


def _parse_number(cell: Cell) -> float | None:
    """Return the number of a cell as it is printed; None for text and empty cells."""
    match = NUMBER.fullmatch(_format_cell(cell))
    if match is None:
        return None
    return float(match[1].replace("−", "-"))


def _format_cell(cell: Cell) -> str:
    if cell is None or cell == "":
        return EMPTY_CELL
    if isinstance(cell, float):
        return EMPTY_CELL if math.isnan(cell) else f"{cell:.1f}"
    return str(cell)

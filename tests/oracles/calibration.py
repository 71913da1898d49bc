"""Calibration numbers restated cell by cell (Guo, Pleiss, Sun, Weinberger, ICML 2017; Brier 1950)."""

import math

Cell = tuple[float, bool]


def equal_width(cells: list[Cell], bins: int) -> list[list[Cell]]:
    return [
        [cell for cell in cells if min(math.floor(cell[0] * bins), bins - 1) == b]
        for b in range(bins)
    ]


def equal_mass(cells: list[Cell], bins: int) -> list[list[Cell]]:
    """Bins of as equal a number as can be; cells of equal probability stay in the order they came in."""
    ordered = sorted(cells, key=lambda cell: cell[0])
    return [
        [cell for rank, cell in enumerate(ordered) if rank * bins // len(cells) == b]
        for b in range(bins)
    ]


def mean(values: list[float]) -> float:
    return sum(values) / len(values) if values else math.nan


def table(binned: list[list[Cell]]) -> list[tuple[float, float, int]]:
    """Mean probability, share of marked cells, number of cells."""
    return [
        (mean([p for p, _ in cells]), mean([float(y) for _, y in cells]), len(cells))
        for cells in binned
    ]


def error(binned: list[list[Cell]]) -> float:
    rows = [row for row in table(binned) if row[2]]
    cells = sum(count for *_, count in rows)
    return (
        sum(count * abs(p - y) for p, y, count in rows) / cells if cells else math.nan
    )


def brier(cells: list[Cell]) -> float:
    return mean([(p - y) ** 2 for p, y in cells])

"""Reader of the vectors of class sentences that belong to a user's own vectors."""

from collections import defaultdict
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from vaplan.errors import excerpt
from vaplan.packs.files import PackError, format_shape, regular_size
from vaplan.packs.vectors import join_rows, open_archive, read_archive, read_table
from vaplan.reading import csv_text, plain_number

FIX = "write one vector of numbers for each sentence of a class"


def read_text_vectors(path: Path) -> dict[str, Float32[np.ndarray, " feature"]]:
    """Read one unit vector for each class.

    Where a class has several sentences, their unit vectors are averaged.

    Args:
        path: `.npz` file with an array for each class (one vector, or one row a sentence), a
            Parquet table with the columns `class` and `vector`, or a CSV with the column
            `class` and one column a number.

    Raises:
        PackError: The file is not valid; the error names the class.
    """
    readers = {".npz": _from_archive, ".parquet": _from_parquet, ".csv": _from_csv}
    reader = readers.get(path.suffix.lower())
    if reader is None:
        regular_size(path)
        raise PackError(
            f"a file that ends in {path.suffix!r}, expected .npz, .parquet or .csv",
            file=path,
            fix="save the text vectors as one of these",
        )
    sentences = reader(path)
    if not sentences:
        raise PackError("no vector in it", file=path, fix=FIX)
    vectors = {name: _mean(name, rows, path) for name, rows in sentences.items()}
    widths = {len(vector): name for name, vector in vectors.items()}
    if len(widths) > 1:
        (width, name), (other, second) = list(widths.items())[:2]
        raise PackError(
            f"{name!r} has {width} numbers, {second!r} has {other}, expected one width",
            file=path,
            fix="embed all sentences with the same model",
        )
    return vectors


def _mean(name: str, rows: np.ndarray, path: Path) -> np.ndarray:
    """Average the unit vectors of a class's sentences to one unit vector."""
    if not name.strip() or not name.isprintable():
        raise PackError(
            f"a class is called {name[:60]!r}", file=path, fix="write its name"
        )
    if rows.ndim != 2 or 0 in rows.shape:
        raise PackError(
            f"{name!r} has the shape {format_shape(rows.shape)}, expected numbers, or "
            "sentences x numbers",
            file=path,
            fix=FIX,
        )
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):  # checked below
        wide = rows.astype(np.float64)
        units = wide / np.linalg.norm(wide, axis=1, keepdims=True)
        mean = units.mean(axis=0)
        unit: np.ndarray = (mean / np.linalg.norm(mean)).astype(np.float32)
    if not np.isfinite(unit).all():
        raise PackError(
            f"the vector of {name!r} has NaN or infinite numbers, or only zeros",
            file=path,
            fix="embed this sentence again",
        )
    return unit


def _from_archive(path: Path) -> dict[str, np.ndarray]:
    with open_archive(path) as (archive, names):
        return {
            name: np.atleast_2d(read_archive(archive, name, file=path))
            for name in names
        }


def _from_parquet(path: Path) -> dict[str, np.ndarray]:
    columns = read_table(path, ("class", "vector"))
    if columns["class"].null_count or columns["vector"].null_count:
        raise PackError(
            "a row without a class or a vector", file=path, fix="complete the row"
        )

    rows = defaultdict[str, list[int]](list)
    for row, name in enumerate(columns["class"].to_pylist()):
        rows[name].append(row)

    return {
        name: join_rows(columns["vector"].take(group), file=path)
        for name, group in rows.items()
    }


def _from_csv(path: Path) -> dict[str, np.ndarray]:
    header, lines = csv_text(path, error=PackError)
    if header[0] != "class" or len(header) < 2:
        raise PackError(
            f"the first column is {header[0]!r}, expected 'class' and then one column "
            "a number",
            file=path,
            line=1,
            fix="write a header such as class,0,1,2",
        )
    rows = defaultdict[str, list[list[float]]](list)
    for line, (name, *values) in lines:
        numbers = list[float]()
        for value in values:
            number = plain_number(value)
            if number is None:
                what = f"{excerpt(value)}, expected a number"
                raise PackError(what, file=path, line=line, fix=FIX)
            numbers.append(number)
        if len(numbers) != len(header) - 1:
            raise PackError(
                f"{len(numbers)} numbers, expected {len(header) - 1} as in the header",
                file=path,
                line=line,
                fix=FIX,
            )
        rows[name].append(numbers)
    return {name: np.array(group) for name, group in rows.items()}

"""A `.npy` file whose shape is known beforehand, believed only after its header and its length
agree.

The header is read from the file's first bytes alone, so what it claims costs nothing before it is
checked.
"""

import io
import math
import tokenize
import warnings
from pathlib import Path

import numpy as np
from numpy.lib import format as npy

from vaplan.packs.files import DOWNLOAD, PackError, regular_size, spoken

HEAD = 1 << 14  # bytes; the header of a plain array takes 128
HEADERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
MALFORMED = (
    ValueError,
    TypeError,
    SyntaxError,
    LookupError,
    tokenize.TokenError,
    RecursionError,
    MemoryError,
)


def stored_dtype(path: Path, shape: tuple[int, ...], *, kinds: str = "f") -> np.dtype:
    """The type of a file's numbers, after everything was checked but the numbers themselves.

    Args:
        kinds: The kinds of numbers allowed, as in `np.dtype.kind`.

    Raises: PackError naming the file, what was expected and what it is.
    """
    return _header(path, shape, kinds)[0]


def read(path: Path, shape: tuple[int, ...], *, kinds: str = "f") -> np.ndarray:
    """The array of a file; see `stored_dtype`."""
    dtype, column_order, start = _header(path, shape, kinds)
    with path.open("rb") as file:
        file.seek(start)
        content = file.read(math.prod(shape) * dtype.itemsize)
    if len(content) != math.prod(shape) * dtype.itemsize:
        raise PackError(
            "it changed while it was read",
            file=path,
            fix="import again when nothing writes it",
        )
    array = np.frombuffer(content, dtype).reshape(
        shape, order="F" if column_order else "C"
    )
    return array.astype(dtype.newbyteorder("="), copy=False)


def _header(
    path: Path, shape: tuple[int, ...], kinds: str
) -> tuple[np.dtype, bool, int]:
    """The type, whether columns come first, and where the numbers start."""
    size = regular_size(path)
    try:
        with path.open("rb") as file:
            head = io.BytesIO(file.read(HEAD))
    except OSError as error:
        raise PackError(
            f"cannot be read: {error.strerror}", file=path, fix="check the path"
        ) from error
    try:
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore"
            )  # that Python 2 wrote it takes nothing from the numbers
            shape_read, column_order, dtype = HEADERS[npy.read_magic(head)](head)
    except MALFORMED as error:
        raise PackError("no .npy array", file=path, fix=DOWNLOAD) from error
    if dtype.kind not in kinds or dtype.itemsize > np.dtype(np.float64).itemsize:
        kind = "floating point" if kinds == "f" else "whole"
        raise PackError(
            f"numbers of type {dtype}, expected {kind} numbers", file=path, fix=DOWNLOAD
        )
    if shape_read != shape:
        raise PackError(
            f"shape {spoken(shape_read)}, expected {spoken(shape)}",
            file=path,
            fix=DOWNLOAD,
        )
    expected = head.tell() + math.prod(shape) * dtype.itemsize
    if size != expected:
        raise PackError(
            f"{size} bytes, but its header says {expected}", file=path, fix=DOWNLOAD
        )
    return dtype, column_order, head.tell()

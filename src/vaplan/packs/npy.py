"""Checked reader of `.npy` files with a known shape.

The header is read from the first bytes of the file and checked against the shape and the size of
the file before anything is allocated.
"""

import io
import math
import tokenize
import warnings
from pathlib import Path

import numpy as np
from numpy.lib import format as npy

from vaplan.packs.files import (
    DOWNLOAD,
    OTHER_FEATURES,
    PackError,
    format_shape,
    regular_size,
)

HEAD_BYTES = 1 << 14  # the header of a plain array takes 128
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
    """Return the number type of a file and check everything except the numbers.

    Args:
        path: File of the array.
        shape: Expected shape.
        kinds: Accepted kinds of numbers, as in `np.dtype.kind`.

    Raises:
        PackError: The file is not valid; the error names the file and the expected value.
    """
    return _header(path, shape, kinds)[0]


def read(path: Path, shape: tuple[int, ...], *, kinds: str = "f") -> np.ndarray:
    """Read the array of a file.

    Args:
        path: File of the array.
        shape: Expected shape.
        kinds: Accepted kinds of numbers, as in `np.dtype.kind`.

    Raises:
        PackError: The file is not valid.
    """
    dtype, column_order, start = _header(path, shape, kinds)
    size = math.prod(shape) * dtype.itemsize
    with path.open("rb") as file:
        file.seek(start)
        content = file.read(size)
    if len(content) != size:
        raise PackError(
            "it changed while it was read",
            file=path,
            fix="import again when no program writes it",
        )
    numbers = np.frombuffer(content, dtype)
    array = numbers.reshape(shape, order="F" if column_order else "C")
    return array.astype(dtype.newbyteorder("="), copy=False)


def _header(
    path: Path, shape: tuple[int, ...], kinds: str
) -> tuple[np.dtype, bool, int]:
    """Return the number type, whether columns come first, and the offset of the numbers."""
    size = regular_size(path)
    try:
        with path.open("rb") as file:
            head = io.BytesIO(file.read(HEAD_BYTES))
    except OSError as error:
        raise PackError(
            f"cannot be read: {error.strerror}", file=path, fix="check the path"
        ) from error
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # files of Python 2 are as good
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
            f"shape {format_shape(shape_read)}, expected {format_shape(shape)}",
            file=path,
            fix=OTHER_FEATURES,
        )
    expected = head.tell() + math.prod(shape) * dtype.itemsize
    if size != expected:
        raise PackError(
            f"{size} bytes, {expected} by its header", file=path, fix=DOWNLOAD
        ).of_kind("another size than by its header")
    return dtype, column_order, head.tell()

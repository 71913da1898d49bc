"""Read a `.npy` file of a known shape.

The file is trusted only after its header and its size agree. The header is read from the first
bytes of the file alone, so that false values in it cost nothing before they are checked.
"""

import io
import math
import tokenize
import warnings
from pathlib import Path

import numpy as np
from numpy.lib import format as npy

from vaplan.packs.files import DOWNLOAD, PackError, format_shape, regular_file_size

HEAD_BYTES = 1 << 14  # the header of an ordinary array has 128
MAX_NUMBER_BYTES = np.dtype(np.float64).itemsize
HEADER_READERS = {
    (1, 0): npy.read_array_header_1_0,
    (2, 0): npy.read_array_header_2_0,
}
HEADER_ERRORS = (
    ValueError,
    TypeError,
    SyntaxError,
    LookupError,
    tokenize.TokenError,
    RecursionError,
    MemoryError,
)


def read_dtype(path: Path, shape: tuple[int, ...], *, kinds: str = "f") -> np.dtype:
    """Read the type of a file's numbers, and check all but the numbers themselves.

    Args:
        path: File of the array.
        shape: Expected shape.
        kinds: Accepted kinds of numbers, as in `np.dtype.kind`.

    Raises:
        PackError: The file is not as expected; the message names the difference.
    """
    dtype, _, _ = _read_header(path, shape, kinds)
    return dtype


def read_array(path: Path, shape: tuple[int, ...], *, kinds: str = "f") -> np.ndarray:
    """Read the array of a file.

    Args:
        path: File of the array.
        shape: Expected shape.
        kinds: Accepted kinds of numbers, as in `np.dtype.kind`.

    Raises:
        PackError: The file is not as expected; the message names the difference.
    """
    dtype, is_column_order, start = _read_header(path, shape, kinds)
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
    values = np.frombuffer(content, dtype)
    array = values.reshape(shape, order="F" if is_column_order else "C")
    return array.astype(dtype.newbyteorder("="), copy=False)


def _read_header(
    path: Path, shape: tuple[int, ...], kinds: str
) -> tuple[np.dtype, bool, int]:
    """Read and check a header.

    Returns:
        The type, whether columns come first, and the position of the first number.
    """
    size = regular_file_size(path)
    try:
        with path.open("rb") as file:
            head = io.BytesIO(file.read(HEAD_BYTES))
    except OSError as error:
        raise PackError(
            f"cannot be read: {error.strerror}", file=path, fix="check the path"
        ) from error
    try:
        with warnings.catch_warnings():
            # a header by Python 2 causes a warning, but its numbers are as good
            warnings.simplefilter("ignore")
            read_header = HEADER_READERS[npy.read_magic(head)]
            header_shape, is_column_order, dtype = read_header(head)
    except HEADER_ERRORS as error:
        raise PackError("no .npy array", file=path, fix=DOWNLOAD) from error
    if dtype.kind not in kinds or dtype.itemsize > MAX_NUMBER_BYTES:
        kind = "floating point" if kinds == "f" else "whole"
        raise PackError(
            f"numbers of type {dtype}, expected {kind} numbers", file=path, fix=DOWNLOAD
        )
    if header_shape != shape:
        raise PackError(
            f"shape {format_shape(header_shape)}, expected {format_shape(shape)}",
            file=path,
            fix=DOWNLOAD,
        )
    start = head.tell()
    expected_size = start + math.prod(shape) * dtype.itemsize
    if size != expected_size:
        raise PackError(
            f"{size} bytes, but its header says {expected_size}",
            file=path,
            fix=DOWNLOAD,
        )
    return dtype, is_column_order, start

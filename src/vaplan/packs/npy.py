"""Checked reader of `.npy` arrays, which may have a known shape.

The header is read from the first bytes and checked against the shape and the number of bytes
before anything is allocated.
"""

import io
import math
import tokenize
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.lib import format as npy

from vaplan.packs.files import (
    DOWNLOAD,
    OTHER_FEATURES,
    PackError,
    check_unpacked_size,
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


@dataclass(frozen=True)
class Header:
    """Shape and number type in the header of an array.

    Attributes:
        dtype: Number type.
        shape: Shape of the array.
        in_columns: Whether the first index changes fastest.
        start: Offset of the numbers in bytes.
    """

    dtype: np.dtype
    shape: tuple[int, ...]
    in_columns: bool
    start: int

    @property
    def size(self) -> int:
        """Return the number of bytes of the numbers."""
        return math.prod(self.shape) * self.dtype.itemsize

    def array(self, content: bytes) -> np.ndarray:
        """Return the array in the byte order of this machine.

        Args:
            content: Bytes of the numbers.
        """
        numbers = np.frombuffer(content, self.dtype)
        array = numbers.reshape(self.shape, order="F" if self.in_columns else "C")
        return array.astype(self.dtype.newbyteorder("="), copy=False)


def stored_dtype(path: Path, shape: tuple[int, ...], *, kinds: str = "f") -> np.dtype:
    """Return the number type of a file and check everything except the numbers.

    Args:
        path: File of the array.
        shape: Expected shape.
        kinds: Accepted kinds of numbers, as in `np.dtype.kind`.

    Raises:
        PackError: The file is not valid; the error names the file and the expected value.
    """
    return _read_header(path, shape, kinds, DOWNLOAD).dtype


def read(
    path: Path,
    shape: tuple[int, ...] | None,
    *,
    kinds: str = "f",
    fix: str = DOWNLOAD,
) -> np.ndarray:
    """Read the array of a file.

    Args:
        path: File of the array.
        shape: Expected shape; None accepts every shape.
        kinds: Accepted kinds of numbers, as in `np.dtype.kind`.
        fix: What to do about a file that is not valid.

    Raises:
        PackError: The file is not valid.
    """
    header = _read_header(path, shape, kinds, fix)
    with path.open("rb") as file:
        file.seek(header.start)
        content = file.read(header.size)
    if len(content) != header.size:
        raise PackError(
            "it changed while it was read",
            file=path,
            fix="import again when no program writes it",
        )
    return header.array(content)


def from_bytes(content: bytes, *, file: Path, fix: str) -> np.ndarray:
    """Return the floating point array whose `.npy` file has these bytes.

    Args:
        content: Bytes of the file.
        file: File that contains them, for errors.
        fix: What to do about an array that is not valid.

    Raises:
        PackError: The bytes are no valid array.
    """
    header = _parse_header(content[:HEAD_BYTES], len(content), None, "f", file, fix)
    return header.array(content[header.start :])


def _read_header(
    path: Path, shape: tuple[int, ...] | None, kinds: str, fix: str
) -> Header:
    size = regular_size(path)
    try:
        with path.open("rb") as file:
            head = file.read(HEAD_BYTES)
    except OSError as error:
        raise PackError(
            f"cannot be read: {error.strerror}", file=path, fix="check the path"
        ) from error
    return _parse_header(head, size, shape, kinds, path, fix)


def _parse_header(
    head: bytes,
    size: int,
    shape: tuple[int, ...] | None,
    kinds: str,
    file: Path,
    fix: str,
) -> Header:
    """Check the first bytes of an array against its shape and the number of all bytes."""
    stream = io.BytesIO(head)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # files of Python 2 are as good
            shape_read, in_columns, dtype = HEADERS[npy.read_magic(stream)](stream)
    except MALFORMED as error:
        raise PackError("no .npy array", file=file, fix=fix) from error
    if dtype.kind not in kinds or dtype.itemsize > np.dtype(np.float64).itemsize:
        kind = "floating point" if kinds == "f" else "whole"
        raise PackError(
            f"numbers of type {dtype}, expected {kind} numbers", file=file, fix=fix
        )
    if shape is not None and shape_read != shape:
        raise PackError(
            f"shape {format_shape(shape_read)}, expected {format_shape(shape)}",
            file=file,
            fix=OTHER_FEATURES,
        )
    header = Header(dtype, shape_read, in_columns, stream.tell())
    expected = header.start + header.size
    if size != expected or min(shape_read, default=0) < 0:
        raise PackError(f"{size} bytes, {expected} by its header", file=file, fix=fix)
    check_unpacked_size(header.size, file=file)
    return header

"""One data set of an HDF5 file, a row a video, read row by row.

An HDF5 file may point to other files, hold Python objects, or unpack into far more than its size:
all of that is refused before a number is read.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from vaplan.errors import MissingExtra
from vaplan.packs.files import DOWNLOAD, PackError, regular_size, spoken

KEY = "avadataset"
CHUNK_BYTES = 1 << 28  # the largest piece that is unpacked at once


@contextmanager
def opened(path: Path, shape: tuple[int, ...]) -> Iterator[Any]:
    """The data set of a file, checked but for its numbers.

    Args:
        shape: That of one row.

    Raises: PackError naming the file, what was expected and what it is; MissingExtra without h5py.
    """
    try:
        import h5py
    except ImportError:
        raise MissingExtra(
            "h5py, which reads .h5 files, is not installed",
            fix="pip install 'vaplan[h5]'",
        ) from None
    regular_size(path)
    try:
        file = h5py.File(path, "r", locking="best-effort", rdcc_nbytes=CHUNK_BYTES)
    except OSError as error:
        raise PackError(
            f"no whole HDF5 file ({error})", file=path, fix=DOWNLOAD
        ) from error
    with file:
        link = file.get(KEY, getlink=True)
        if link is None:
            names = ", ".join(sorted(file)[:5]) or "nothing"
            raise PackError(
                f"no data set {KEY!r} in it, it holds {names}", file=path, fix=DOWNLOAD
            )
        if not isinstance(link, h5py.HardLink):
            raise PackError(
                f"{KEY!r} is a link to another place", file=path, fix=DOWNLOAD
            )
        if not isinstance(file[KEY], h5py.Dataset):
            raise PackError(
                f"{KEY!r} is a group, expected a data set", file=path, fix=DOWNLOAD
            )
        _check(file[KEY], path, shape)
        yield file[KEY]


def _check(rows: Any, path: Path, shape: tuple[int, ...]) -> None:
    if rows.dtype.kind != "f" or rows.dtype.itemsize > np.dtype(np.float64).itemsize:
        raise PackError(
            f"numbers of type {rows.dtype}, expected floating point numbers",
            file=path,
            fix=DOWNLOAD,
        )
    if rows.shape is None or rows.shape[1:] != shape:
        shape_text = spoken(rows.shape or ())
        raise PackError(
            f"shape {shape_text}, expected videos x {spoken(shape)}",
            file=path,
            fix=DOWNLOAD,
        )
    if rows.is_virtual or rows.external:
        raise PackError(
            "its numbers lie in other files",
            file=path,
            fix="put all numbers into this file",
        )
    if rows.chunks and math.prod(rows.chunks) * rows.dtype.itemsize > CHUNK_BYTES:
        what = f"packed in pieces of {spoken(rows.chunks)} numbers, too large to unpack"
        raise PackError(what, file=path, fix="pack it one video a piece")
    if not _complete(rows):
        raise PackError(
            "a part of its numbers was never written", file=path, fix=DOWNLOAD
        )


def _complete(rows: Any) -> bool:
    """Whether every number is in the file; one that is not would be read as zero."""
    if rows.chunks:
        pieces = math.prod(
            -(-size // piece)
            for size, piece in zip(rows.shape, rows.chunks, strict=True)
        )
        return bool(rows.id.get_num_chunks() == pieces)
    return bool(rows.id.get_storage_size() == rows.nbytes)


def read_row(rows: Any, row: int, path: Path) -> np.ndarray:
    """One video's array."""
    if row >= len(rows):
        raise PackError(
            f"row {row} is asked for, it has {len(rows)}",
            file=path,
            fix="use the data set it was made of",
        )
    try:
        array: np.ndarray = rows[row]
    except OSError as error:
        raise PackError(
            f"row {row} cannot be unpacked ({error})", file=path, fix=DOWNLOAD
        ) from error
    return array.astype(array.dtype.newbyteorder("="), copy=False)

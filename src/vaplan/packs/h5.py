"""Read an HDF5 file with one data set, which has one row for each video.

An HDF5 file may point to other files, contain Python objects, or unpack into far more than its
size. Such a file is refused before a number is read.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from vaplan.errors import MissingExtra
from vaplan.packs.files import DOWNLOAD, PackError, format_shape, regular_file_size

KEY = "avadataset"
CHUNK_BYTES = 1 << 28  # of the largest chunk that is unpacked
MAX_NUMBER_BYTES = np.dtype(np.float64).itemsize
MAX_NAMES = 5  # data sets in an error message


@contextmanager
def open_rows(path: Path, shape: tuple[int, ...]) -> Iterator[Any]:
    """Open the data set of a file and check it, except for its numbers.

    Args:
        path: File of the pack.
        shape: Shape of one row.

    Raises:
        PackError: The file is not as expected; the message names the difference.
        MissingExtra: h5py is not installed.
    """
    try:
        import h5py
    except ImportError:
        raise MissingExtra(
            "h5py, which reads .h5 files, is not installed",
            fix="pip install 'vaplan[h5]'",
        ) from None
    regular_file_size(path)
    try:
        file = h5py.File(path, "r", locking="best-effort", rdcc_nbytes=CHUNK_BYTES)
    except OSError as error:
        raise PackError(
            f"no whole HDF5 file ({error})", file=path, fix=DOWNLOAD
        ) from error
    with file:
        rows = _get_data_set(file, path)
        _check_rows(rows, path, shape)
        yield rows


def read_row(rows: Any, row: int, path: Path) -> np.ndarray:
    """Read the array of one video.

    Args:
        rows: Data set, from `open_rows`.
        row: Index of the row.
        path: File that errors name.

    Raises:
        PackError: The row does not exist or is damaged.
    """
    if row >= len(rows):
        raise PackError(
            f"it has {len(rows)} rows, but row {row} is needed",
            file=path,
            fix="use the data set that the file was made from",
        )
    try:
        array: np.ndarray = rows[row]
    except OSError as error:
        raise PackError(
            f"row {row} cannot be unpacked ({error})", file=path, fix=DOWNLOAD
        ) from error
    native_dtype = array.dtype.newbyteorder("=")
    return array.astype(native_dtype, copy=False)


def _get_data_set(file: Any, path: Path) -> Any:
    import h5py

    link = file.get(KEY, getlink=True)
    if link is None:
        names = ", ".join(sorted(file)[:MAX_NAMES]) or "nothing"
        raise PackError(
            f"no data set {KEY!r} in it, it holds {names}", file=path, fix=DOWNLOAD
        )
    if not isinstance(link, h5py.HardLink):
        raise PackError(f"{KEY!r} is a link to another place", file=path, fix=DOWNLOAD)
    if not isinstance(file[KEY], h5py.Dataset):
        raise PackError(
            f"{KEY!r} is a group, expected a data set", file=path, fix=DOWNLOAD
        )
    return file[KEY]


def _check_rows(rows: Any, path: Path, shape: tuple[int, ...]) -> None:
    if rows.dtype.kind != "f" or rows.dtype.itemsize > MAX_NUMBER_BYTES:
        raise PackError(
            f"numbers of type {rows.dtype}, expected floating point numbers",
            file=path,
            fix=DOWNLOAD,
        )
    if rows.shape is None or rows.shape[1:] != shape:
        raise PackError(
            f"shape {format_shape(rows.shape or ())}, "
            f"expected videos x {format_shape(shape)}",
            file=path,
            fix=DOWNLOAD,
        )
    if rows.is_virtual or rows.external:
        raise PackError(
            "its numbers are in other files",
            file=path,
            fix="put all numbers into this file",
        )
    if rows.chunks and math.prod(rows.chunks) * rows.dtype.itemsize > CHUNK_BYTES:
        raise PackError(
            f"packed in chunks of {format_shape(rows.chunks)} numbers, "
            "too large to unpack",
            file=path,
            fix="pack one video in a chunk",
        )
    if not _is_complete(rows):
        raise PackError(
            "a part of its numbers was never written", file=path, fix=DOWNLOAD
        )


def _is_complete(rows: Any) -> bool:
    """Return whether every number is in the file; a missing one would be read as zero."""
    if not rows.chunks:
        return bool(rows.id.get_storage_size() == rows.nbytes)
    sizes = zip(rows.shape, rows.chunks, strict=True)
    chunk_counts = [-(-size // chunk_size) for size, chunk_size in sizes]  # rounded up
    return bool(rows.id.get_num_chunks() == math.prod(chunk_counts))

"""Checked reader of an HDF5 file with one row a video.

An HDF5 file may refer to other files, contain Python objects, or unpack to far more than its size.
Such files are refused before a number is read.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from vaplan.errors import MissingExtra
from vaplan.packs.files import (
    DOWNLOAD,
    OTHER_FEATURES,
    PackError,
    check_unpacked_size,
    format_shape,
    regular_size,
)

KEY = "avadataset"
CHUNK_BYTES = 1 << 28  # largest chunk that is unpacked
DAMAGED = (OSError, RuntimeError, LookupError, ValueError, TypeError)


@contextmanager
def open_rows(path: Path, shape: tuple[int, ...]) -> Iterator[Any]:
    """Open the data set of a file and check everything except its numbers.

    Args:
        path: HDF5 file.
        shape: Expected shape of a row.

    Raises:
        PackError: The file is not valid; the error names the file and the expected value.
        MissingExtra: `h5py` is not installed.
    """
    h5py = _import_h5py()
    with open_file(path, fix=DOWNLOAD) as file:
        link = file.get(KEY, getlink=True)
        if link is None:
            names = ", ".join(sorted(file)[:5]) or "nothing"
            raise PackError(
                f"no data set {KEY!r} in it, only {names}", file=path, fix=DOWNLOAD
            )
        if not isinstance(link, h5py.HardLink):
            raise PackError(f"{KEY!r} is a link", file=path, fix=DOWNLOAD)
        if not isinstance(file[KEY], h5py.Dataset):
            raise PackError(
                f"{KEY!r} is a group, expected a data set", file=path, fix=DOWNLOAD
            )
        _check(file[KEY], path, shape)
        yield file[KEY]


def _import_h5py() -> Any:
    try:
        import h5py
    except ImportError:
        raise MissingExtra(
            "h5py, which reads .h5 files, is not installed",
            fix="pip install 'vaplan[h5]'",
        ) from None
    return h5py


@contextmanager
def open_file(path: Path, *, fix: str) -> Iterator[Any]:
    """Open an HDF5 file, and turn the errors of `h5py` on a damaged one into a `PackError`.

    Args:
        path: HDF5 file.
        fix: What to do about a damaged file.

    Raises:
        PackError: The file is not valid.
        MissingExtra: `h5py` is not installed.
    """
    h5py = _import_h5py()
    regular_size(path)
    try:
        file = h5py.File(path, "r", locking="best-effort", rdcc_nbytes=CHUNK_BYTES)
    except OSError as error:
        raise PackError(f"no valid HDF5 file ({error})", file=path, fix=fix) from error
    with file:
        try:
            yield file
        except DAMAGED as error:
            what = f"no valid HDF5 file ({error})"
            raise PackError(what, file=path, fix=fix) from error


def list_arrays(file: Any) -> dict[str, Any]:
    """Return the data sets of a file and its groups by their path; links are not followed.

    Args:
        file: Open HDF5 file.
    """
    h5py = _import_h5py()
    arrays = dict[str, Any]()

    def add(name: str, member: Any) -> None:
        if isinstance(member, h5py.Dataset):
            arrays[name] = member

    file.visititems(add)
    return arrays


def read_array(rows: Any, *, file: Path, fix: str) -> np.ndarray:
    """Read a whole data set.

    Args:
        rows: Data set of an open file.
        file: Path of the file, for errors.
        fix: What to do about a data set that is not valid.

    Raises:
        PackError: It is not valid.
    """
    try:
        _check_numbers(rows, file, fix)
        check_unpacked_size(math.prod(rows.shape) * rows.dtype.itemsize, file=file)
        array: np.ndarray = rows[()]
    except DAMAGED as error:
        what = "a data set cannot be unpacked"
        raise PackError(f"{what} ({error})", file=file, fix=fix).of_kind(what) from (
            error
        )
    return array.astype(array.dtype.newbyteorder("="), copy=False)


def _check(rows: Any, path: Path, shape: tuple[int, ...]) -> None:
    _check_type(rows, path, DOWNLOAD)
    if rows.shape is None or rows.shape[1:] != shape:
        shape_text = format_shape(rows.shape or ())
        raise PackError(
            f"shape {shape_text}, expected videos x {format_shape(shape)}",
            file=path,
            fix=OTHER_FEATURES,
        )
    _check_storage(rows, path, DOWNLOAD)


def _check_numbers(rows: Any, path: Path, fix: str) -> None:
    _check_type(rows, path, fix)
    if rows.shape is None:
        raise PackError("a data set without a shape", file=path, fix=fix)
    _check_storage(rows, path, fix)


def _check_type(rows: Any, path: Path, fix: str) -> None:
    if rows.dtype.kind != "f" or rows.dtype.itemsize > np.dtype(np.float64).itemsize:
        raise PackError(
            f"numbers of type {rows.dtype}, expected floating point numbers",
            file=path,
            fix=fix,
        )


def _check_storage(rows: Any, path: Path, fix: str) -> None:
    """Check that all numbers are in this file, in chunks that can be unpacked."""
    if rows.is_virtual or rows.external:
        raise PackError(
            "its numbers are in other files",
            file=path,
            fix="put all numbers into this file",
        )
    if rows.chunks and math.prod(rows.chunks) * rows.dtype.itemsize > CHUNK_BYTES:
        raise PackError(
            f"its chunks of {format_shape(rows.chunks)} numbers are too large to unpack",
            file=path,
            fix="write it with one video a chunk",
        )
    if not _complete(rows):
        raise PackError("a part of its numbers is missing", file=path, fix=fix)


def _complete(rows: Any) -> bool:
    """Return whether all numbers are in the file; HDF5 reads missing ones as zeros."""
    if rows.chunks:
        counts = [
            math.ceil(size / chunk)
            for size, chunk in zip(rows.shape, rows.chunks, strict=True)
        ]
        return bool(rows.id.get_num_chunks() == math.prod(counts))
    return bool(rows.id.get_storage_size() == rows.nbytes)


def read_row(rows: Any, row: int, path: Path) -> np.ndarray:
    """Read the array of one video.

    Args:
        rows: Data set of an open file.
        row: Index of the video.
        path: Path of the file, for errors.

    Raises:
        PackError: There is no such row, or it is damaged.
    """
    if row >= len(rows):
        raise PackError(
            f"it has no row {row}, only {len(rows)} rows",
            file=path,
            fix="give the data set of this file",
        ).of_kind("no such row")
    try:
        array: np.ndarray = rows[row]
    except DAMAGED as error:
        raise PackError(
            f"row {row} cannot be unpacked ({error})", file=path, fix=DOWNLOAD
        ).of_kind("a row cannot be unpacked") from error
    return array.astype(array.dtype.newbyteorder("="), copy=False)

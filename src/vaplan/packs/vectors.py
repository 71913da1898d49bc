"""Readers of a user's own vectors: for every video one array with one row a segment.

They are a folder of `.npy` and `.npz` files, one `.npz` or `.h5` file with an array for every
video, or a Parquet table with a row for every segment.
"""

import zipfile
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from jaxtyping import Bool, Float, Float32

from vaplan.packs import h5, npy
from vaplan.packs.files import (
    MAX_BYTES,
    PackError,
    check_unpacked_size,
    format_names,
    format_shape,
    regular_size,
)

WRITE_AGAIN = "write it again"
MAX_PACKING = 1_000  # times that vectors may be smaller on disk
LONGEST_SEGMENTS = 48 * 3600  # of a video; larger numbers are typing errors
ARRAY_SUFFIXES = (".npy", ".npz")
H5_SUFFIXES = (".h5", ".hdf5")
COLUMNS = ("video", "segment", "vector")
DAMAGED_ARCHIVE = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    OSError,
    NotImplementedError,
    RuntimeError,
    ValueError,
    MemoryError,
)


@dataclass(frozen=True)
class Vectors:
    """The vectors of one video.

    Attributes:
        feature: One vector a segment, 0 where masked.
        mask: Whether a segment has a vector.
    """

    feature: Float32[np.ndarray, "time feature"]
    mask: Bool[np.ndarray, " time"]


@dataclass(frozen=True)
class VectorSource:
    """Vectors of many videos; see `open_vectors`.

    Attributes:
        videos: Ids of the videos.
        read_video: Reads the vectors of a video, or raises `PackError`.
        place: Returns the file of a video.
        skipped: Number of files that hold no vectors.
    """

    videos: tuple[str, ...]
    read_video: Callable[[str], Vectors]
    place: Callable[[str], Path]
    skipped: int = 0

    def results(self, videos: Sequence[str]) -> Iterator[tuple[str, Any]]:
        """Yield every video with its `Vectors`, or with the `PackError`.

        Args:
            videos: Ids of the videos.
        """
        for video in videos:
            try:
                yield video, self.read_video(video)
            except PackError as error:
                yield video, error


@contextmanager
def open_vectors(path: Path) -> Iterator[VectorSource]:
    """Open a folder or a file of vectors.

    Args:
        path: Folder of `.npy` and `.npz` files, also in sub-folders, or one `.npz`, `.h5` or
            `.parquet` file.

    Raises:
        PackError: It is none of these, it is damaged, or it holds no vectors.
        MissingExtra: It is an `.h5` file, and `h5py` is not installed.
    """
    suffix = path.suffix.lower()
    with ExitStack() as stack:
        if path.is_dir():
            source = _open_folder(path)
        elif suffix == ".npz":
            source = _open_archive(path, stack)
        elif suffix in H5_SUFFIXES:
            source = _open_h5(path, stack)
        elif suffix == ".parquet":
            source = _open_table(path)
        else:
            regular_size(path)
            raise PackError(
                f"a file that ends in {suffix!r}, expected .npz, .h5 or .parquet",
                file=path,
                fix="give a folder of .npy files, or one file of these kinds",
            )
        yield source


def as_vectors(array: np.ndarray, *, file: Path) -> Float32[np.ndarray, "time feature"]:
    """Check that an array has one row of finite numbers for each segment.

    Args:
        array: Array of one video.
        file: File of the array, for errors.

    Raises:
        PackError: It has another shape, or numbers that float32 cannot represent.
    """
    if array.ndim != 2 or 0 in array.shape:
        raise PackError(
            f"shape {format_shape(array.shape)}, expected segments x width",
            file=file,
            fix="save one row of numbers for each second of the video",
        ).of_kind("no matrix of segments x width")
    with np.errstate(over="ignore", invalid="ignore"):  # checked below
        vectors = array.astype(np.float32)
    is_finite = np.isfinite(vectors).all(axis=1)
    if not is_finite.all():
        bad = np.flatnonzero(~is_finite).tolist()
        segments = format_names([str(segment) for segment in bad])
        raise PackError(
            f"NaN, infinite or too large numbers in segment {segments}",
            file=file,
            fix="compute these vectors again",
        ).of_kind("NaN, infinite or too large numbers")
    return vectors


def read_archive(archive: zipfile.ZipFile, name: str, *, file: Path) -> np.ndarray:
    """Read an array of an open `.npz` file.

    Args:
        archive: The open file.
        name: Name of the array.
        file: Path of the file, for errors.

    Raises:
        PackError: The array is not valid.
    """
    member = f"{name}.npy"
    check_unpacked_size(archive.getinfo(member).file_size, file=file)
    try:
        content = archive.read(member)
    except DAMAGED_ARCHIVE as error:
        what = "an array cannot be unpacked"
        raise PackError(f"{what} ({error})", file=file, fix=WRITE_AGAIN).of_kind(
            what
        ) from error
    return npy.from_bytes(content, file=file, fix=WRITE_AGAIN)


@contextmanager
def open_archive(path: Path) -> Iterator[tuple[zipfile.ZipFile, list[str]]]:
    """Open an `.npz` file and list the names of its arrays.

    Args:
        path: File of `np.savez`.

    Raises:
        PackError: It is no such file, or two arrays have one name.
    """
    regular_size(path)
    try:
        archive = zipfile.ZipFile(path)
    except DAMAGED_ARCHIVE as error:
        raise PackError(
            f"no valid .npz file ({error})", file=path, fix=WRITE_AGAIN
        ) from error
    with archive:
        members = [name for name in archive.namelist() if name.endswith(".npy")]
        names = [name.removesuffix(".npy") for name in members]
        if len(set(names)) < len(names):
            raise PackError("two arrays of one name", file=path, fix=WRITE_AGAIN)
        yield archive, names


def read_table(path: Path, columns: Sequence[str]) -> dict[str, Any]:
    """Read columns of a Parquet table, the vectors as lists of float32.

    Args:
        path: Parquet file.
        columns: Names of the columns; `vector` has lists of numbers, `segment` whole numbers,
            the others texts.

    Raises:
        PackError: The file is damaged, or a column is missing or has another type.
    """
    regular_size(path)
    try:
        file = pq.ParquetFile(path)
        missing = [name for name in columns if name not in file.schema_arrow.names]
        if missing:
            raise PackError(
                f"no column {missing[0]!r}, only {', '.join(file.schema_arrow.names)}",
                file=path,
                fix=f"write the columns {', '.join(columns)}",
            )
        _check_count(file.metadata, path)
        table = file.read(columns=list(columns))
        _check_columns(table.schema, path)
        types = {
            "segment": pa.int64(),
            "vector": pa.large_list(pa.float32()),
        }
        cast = {
            name: table[name].cast(types.get(name, pa.string()), safe=False)
            for name in columns
        }
        return {name: _join_chunks(column) for name, column in cast.items()}
    except (pa.ArrowException, OSError, ValueError) as error:
        text = " ".join(str(error).split())
        raise PackError(
            f"no valid Parquet table ({text})", file=path, fix=WRITE_AGAIN
        ) from error


def _check_count(metadata: pq.FileMetaData, path: Path) -> None:
    """Check that the file holds about as many numbers as its size allows."""
    groups = map(metadata.row_group, range(metadata.num_row_groups))
    numbers = sum(
        group.column(column).num_values
        for group in groups
        for column in range(group.num_columns)
    )
    size = numbers * np.dtype(np.float32).itemsize
    if size > max(MAX_BYTES, MAX_PACKING * path.stat().st_size):
        raise PackError(
            f"{numbers:,} numbers are packed into {path.stat().st_size:,} bytes",
            file=path,
            fix=WRITE_AGAIN,
        )


def _check_columns(schema: pa.Schema, path: Path) -> None:
    for field in schema:
        kind = field.type
        if field.name == "vector":
            is_list = (
                pa.types.is_list(kind)
                or pa.types.is_large_list(kind)
                or pa.types.is_fixed_size_list(kind)
            )
            is_valid = is_list and pa.types.is_floating(kind.value_type)
            expected = "lists of floating point numbers"
        elif field.name == "segment":
            is_valid = pa.types.is_integer(kind)
            expected = "whole numbers"
        else:
            is_valid = pa.types.is_string(kind) or pa.types.is_large_string(kind)
            if pa.types.is_dictionary(kind):
                is_valid = pa.types.is_string(kind.value_type)
            expected = "texts"
        if not is_valid:
            raise PackError(
                f"column {field.name!r} has the type {kind}, expected {expected}",
                file=path,
                fix="convert the column",
            )


def _join_chunks(column: pa.ChunkedArray) -> pa.Array:
    return pa.concat_arrays(column.chunks) if column.chunks else column.combine_chunks()


def join_rows(rows: pa.Array, *, file: Path) -> Float[np.ndarray, "row feature"]:
    """Stack lists of numbers; a missing number becomes NaN.

    Args:
        rows: Lists, none of which is missing.
        file: File of the lists, for errors.

    Raises:
        PackError: The lists are not of one length.
    """
    widths = pc.unique(pc.list_value_length(rows)).to_pylist()
    if len(widths) > 1:
        raise PackError(
            f"vectors of {format_names([str(width) for width in widths])} numbers, "
            "expected one width",
            file=file,
            fix=WRITE_AGAIN,
        ).of_kind("vectors of different widths in one video")
    numbers: np.ndarray = rows.flatten().to_numpy(zero_copy_only=False)
    return numbers.reshape(len(rows), widths[0])


def _name_video(error: PackError, video: str) -> PackError:
    """Return an error of a file with many videos that also names the video."""
    named = PackError(f"{video!r}: {error.what}", file=error.file, fix=error.fix)
    return named.of_kind(error.kind or error.what)


def _open_folder(folder: Path) -> VectorSource:
    files = defaultdict[str, list[Path]](list)
    skipped = 0
    for path in sorted(folder.rglob("*")):
        if path.is_dir():
            continue
        if path.suffix.lower() in ARRAY_SUFFIXES and not path.name.startswith("."):
            files[path.relative_to(folder).with_suffix("").as_posix()].append(path)
        else:
            skipped += 1
    if not files:
        raise PackError(
            "no .npy or .npz file in it",
            file=folder,
            fix="give the folder of these files, or one .npz, .h5 or .parquet file",
        )

    def read(video: str) -> Vectors:
        path, *others = files[video]
        if others:
            raise PackError(
                f"{others[0].name} holds vectors of the same video",
                file=path,
                fix="keep one of the files",
            ).of_kind("two files of one video")
        return _whole(as_vectors(_read_file(path), file=path))

    return VectorSource(tuple(files), read, lambda video: files[video][0], skipped)


def _read_file(path: Path) -> np.ndarray:
    if path.suffix.lower() == ".npy":
        return npy.read(path, None, fix=WRITE_AGAIN)
    with open_archive(path) as (archive, names):
        if len(names) != 1:
            raise PackError(
                f"{len(names)} arrays in it, expected one",
                file=path,
                fix="save one array a file, or give this file itself",
            )
        return read_archive(archive, names[0], file=path)


def _whole(feature: np.ndarray) -> Vectors:
    return Vectors(feature, np.ones(len(feature), dtype=bool))


def _open_archive(path: Path, stack: ExitStack) -> VectorSource:
    archive, names = stack.enter_context(open_archive(path))
    return _of_file(path, names, lambda name: read_archive(archive, name, file=path))


def _open_h5(path: Path, stack: ExitStack) -> VectorSource:
    file = stack.enter_context(h5.open_file(path, fix=WRITE_AGAIN))
    arrays = h5.list_arrays(file)
    return _of_file(
        path,
        list(arrays),
        lambda name: h5.read_array(arrays[name], file=path, fix=WRITE_AGAIN),
    )


def _of_file(
    path: Path, names: Sequence[str], read_array: Callable[[str], np.ndarray]
) -> VectorSource:
    """Return a source of one file with an array for every video."""
    if not names:
        raise PackError(
            "no array in it", file=path, fix="save one array for each video"
        )

    def read(video: str) -> Vectors:
        try:
            return _whole(as_vectors(read_array(video), file=path))
        except PackError as error:
            raise _name_video(error, video) from error

    return VectorSource(tuple(names), read, lambda _: path)


def _open_table(path: Path) -> VectorSource:
    columns = read_table(path, COLUMNS)
    if columns["video"].null_count or columns["segment"].null_count:
        raise PackError(
            "a row without a video or a segment", file=path, fix="complete the row"
        )
    if not len(columns["video"]):
        raise PackError("no row in it", file=path, fix="write one row a segment")
    rows = _rows_by_video(columns["video"])
    segments = columns["segment"].to_numpy()

    def read(video: str) -> Vectors:
        try:
            return _scatter(
                segments[rows[video]], columns["vector"].take(rows[video]), path
            )
        except PackError as error:
            raise _name_video(error, video) from error

    return VectorSource(tuple(rows), read, lambda _: path)


def _rows_by_video(videos: pa.Array) -> Mapping[str, np.ndarray]:
    """Return the rows of each video, in the order of the first ones."""
    encoded = videos.dictionary_encode()
    codes = encoded.indices.to_numpy()
    order = np.argsort(codes, kind="stable")
    edges = np.flatnonzero(np.diff(codes[order])) + 1
    groups = np.split(order, edges)
    return dict(zip(encoded.dictionary.to_pylist(), groups, strict=True))


def _scatter(segments: np.ndarray, vectors: pa.Array, path: Path) -> Vectors:
    """Put the vectors of a video in the order of time; segments without a row are masked."""
    _check_segments(segments, path)
    has_vector = vectors.is_valid().to_numpy(zero_copy_only=False)
    if not has_vector.any():
        raise PackError("no vector", file=path, fix="leave this video out")

    rows = as_vectors(join_rows(vectors.drop_null(), file=path), file=path)
    existing = segments[has_vector]
    mask = np.zeros(int(segments.max()) + 1, dtype=bool)
    mask[existing] = True
    feature = np.zeros((len(mask), rows.shape[1]), np.float32)
    feature[existing] = rows
    return Vectors(feature, mask)


def _check_segments(segments: np.ndarray, path: Path) -> None:
    """Raise PackError if a number of a segment is out of range or occurs twice."""
    if segments.min() < 0 or segments.max() >= LONGEST_SEGMENTS:
        wrong = segments.min() if segments.min() < 0 else segments.max()
        raise PackError(
            f"segment {wrong}, expected 0 to {LONGEST_SEGMENTS - 1:,}",
            file=path,
            fix="number the seconds of a video from 0",
        ).of_kind("a wrong segment number")
    if len(np.unique(segments)) < len(segments):
        raise PackError(
            "two rows of one segment", file=path, fix="keep one row a segment"
        )

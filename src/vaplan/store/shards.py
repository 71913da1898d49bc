"""The shards of a store: Parquet files, each named by its number and the digest of its bytes."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from jaxtyping import Bool, Integer, Shaped

from vaplan import objects
from vaplan.errors import MachineError, StoreError, VaplanError
from vaplan.store.card import Card, short_hash
from vaplan.store.parts import FOLDERS
from vaplan.store.rows import REWRITE, SCHEMA, from_row
from vaplan.writing import write_bytes

SHARDS = "shard-*.parquet"


def list_shards(folder: Path) -> list[Path]:
    """List the shards of a store and its parts, the oldest first.

    A job numbers its shards from the highest number that existed when it started. Of the jobs
    that ran at the same time, each wrote other videos.

    Args:
        folder: Folder of the store.
    """
    paths = [
        *objects.glob(folder, SHARDS),
        *objects.glob(folder, f"{FOLDERS}/{SHARDS}"),
    ]
    return sorted(paths, key=lambda path: (shard_number(path), path))


def shard_number(shard: Path) -> int:
    """Return the position of a shard in the order of writing.

    Args:
        shard: File of the shard.
    """
    parts = shard.name.split("-")
    return int(parts[1])


def write_shard(folder: Path, number: int, rows: Sequence[dict[str, Any]]) -> Path:
    """Write rows as a new shard: all of them or none.

    Args:
        folder: Folder of the shards.
        number: Number of the shard.
        rows: Rows of the shard.
    """
    sink = pa.BufferOutputStream()
    table = pa.Table.from_pylist(rows, schema=SCHEMA)
    pq.write_table(
        table, sink, compression="none", use_dictionary=False, write_statistics=False
    )
    content = sink.getvalue().to_pybytes()
    path = folder / f"shard-{number:06d}-{short_hash(content)}.parquet"
    write_bytes(path, content)
    return path


def read_columns(shard: Path, columns: Sequence[str]) -> pa.Table:
    """Read columns of a shard.

    Args:
        shard: File of the shard.
        columns: Names of the columns.

    Raises:
        StoreError: The shard is damaged.
        MachineError: The file cannot be read.
    """
    if not objects.is_remote(shard):
        return _parse(shard, columns, source=shard, size=shard.stat().st_size)
    content = _read_bytes(shard)  # a request for each column would take longer
    return _parse(shard, columns, source=pa.BufferReader(content), size=len(content))


def is_unchanged(shard: Path) -> bool:
    """Return whether the bytes of a shard are those that were written.

    Args:
        shard: File of the shard.

    Raises:
        MachineError: The file cannot be read.
    """
    return short_hash(_read_bytes(shard)) in shard.name


def read_shard(shard: Path) -> tuple[pa.Table, bool]:
    """Read a shard and return whether its bytes are unchanged.

    Args:
        shard: File of the shard.

    Raises:
        StoreError: The shard is damaged.
        MachineError: The file cannot be read.
    """
    content = _read_bytes(shard)
    source = pa.BufferReader(content)
    table = _parse(shard, SCHEMA.names, source=source, size=len(content))
    return table, short_hash(content) in shard.name


def group_by_shard(
    videos: Sequence[str], table: pa.Table
) -> Iterator[tuple[int, Integer[np.ndarray, " row"], Integer[np.ndarray, " row"]]]:
    """Group the latest rows of videos by shard.

    Args:
        videos: Ids of the videos.
        table: Latest rows of all videos.

    Yields:
        Index of a shard, its rows, and the positions of their videos.
    """
    if not videos:
        return
    ids = pa.array(videos, pa.string())
    table_rows = pc.index_in(ids, value_set=table["video"])
    index = table_rows.to_numpy(zero_copy_only=False)
    shard = table["shard"].to_numpy()[index]
    row = table["row"].to_numpy()[index]
    order = np.argsort(shard, kind="stable")
    steps = np.diff(shard[order])
    edges = np.flatnonzero(steps) + 1
    for positions in np.split(order, edges):
        yield int(shard[positions[0]]), row[positions], positions


@dataclass(frozen=True)
class Block:
    """Rows of a shard, one after the other.

    Attributes:
        segments: Number of segments of each video.
        mask: Whether a segment has a vector, of all videos.
        has_feature: Whether a video has features.
        feature: Features of the videos that have some.
    """

    segments: Integer[np.ndarray, " video"]
    mask: Bool[np.ndarray, " time"]
    has_feature: Bool[np.ndarray, " video"]
    feature: Shaped[np.ndarray, "featured_time feature"]


def read_block(shard: Path, rows: Integer[np.ndarray, " row"], card: Card) -> Block:
    """Read the features of rows of a shard.

    Args:
        shard: File of the shard.
        rows: Rows of the shard.
        card: Provenance of the store.

    Raises:
        StoreError: One of these rows has changed; the error names the video.
    """
    table, is_unchanged = read_shard(shard)
    table = table.take(pa.array(rows))
    segments = table["segments"].to_numpy().astype(np.int64)
    has_feature = table["embedding"].is_valid().to_numpy()
    mask, mask_sizes = join_bytes(table["mask"])
    content, sizes = join_bytes(table["embedding"])
    segment_bytes = card.dimension * np.dtype(card.dtype).itemsize
    expected = np.where(has_feature, segments * segment_bytes, 0)
    features_fit = np.array_equal(sizes, expected)
    masks_fit = np.array_equal(mask_sizes, segments)
    has_expected_sizes = features_fit and masks_fit
    feature = np.empty((0, card.dimension))
    if has_expected_sizes:
        values = content.view(card.dtype)
        feature = values.reshape(-1, card.dimension)
    is_finite = np.isfinite(feature).all()
    if not (is_unchanged and has_expected_sizes and is_finite):
        for row in table.to_pylist():  # raises an error that names the changed row
            from_row(row, dimension=card.dimension, dtype=card.dtype, file=shard)
    return Block(segments, mask.view(bool), has_feature, feature)


def join_bytes(
    column: pa.ChunkedArray,
) -> tuple[Shaped[np.ndarray, " byte"], Integer[np.ndarray, " row"]]:
    """Join the cells of a column without a copy.

    Args:
        column: Column of bytes.

    Returns:
        All bytes, and the number of bytes of each row; 0 for a null.
    """
    cells = column.combine_chunks().cast(pa.large_binary())
    _, offsets, content = cells.buffers()
    first = cells.offset
    last = first + len(cells)
    edges = np.frombuffer(offsets, np.int64)[first : last + 1]
    values = np.empty(0, np.uint8)
    if content:
        values = np.frombuffer(content, np.uint8)
    joined = values[edges[0] : edges[-1]]
    return joined, np.diff(edges)


def _read_bytes(shard: Path) -> bytes:
    try:
        return objects.read_bytes(shard)
    except OSError as error:
        raise _describe_failure(shard, error) from error


def _parse(shard: Path, columns: Sequence[str], *, source: Any, size: int) -> pa.Table:
    try:
        file = pq.ParquetFile(source)
        table = file.read([*columns], use_threads=False)
        table.validate(full=True)
        problem = find_problem(table, columns, size=size)
    except (OSError, pa.ArrowException) as error:
        raise _describe_failure(shard, error) from error

    if problem:
        raise StoreError(f"cannot be read ({problem})", file=shard, fix=REWRITE)
    return table


def find_problem(table: pa.Table, columns: Sequence[str], *, size: int) -> str:
    """Describe what no writer of shards would have written, or return an empty text.

    Args:
        table: Rows of a file.
        columns: Names of the columns that it must have.
        size: Bytes of the file.
    """
    for name in columns:
        if table.column_names.count(name) != 1:
            return f"it must have one column {name!r}"
        if table[name].type != SCHEMA.field(name).type:
            return f"column {name!r} holds {table[name].type}"
        if table[name].null_count and name != "embedding":
            return f"column {name!r} has an empty cell"
    if "segments" in columns and len(table):
        extremes = pc.min_max(table["segments"]).as_py()
        if not 0 <= extremes["min"] <= extremes["max"] <= size:  # a mask takes a byte
            return "it names more segments than it holds"
    return ""


def _describe_failure(shard: Path, error: Exception) -> VaplanError:
    if isinstance(error, OSError) and error.errno:  # the shard may be intact
        return MachineError(
            f"cannot be read: {error.strerror}",
            file=shard,
            fix="repair its permissions or the disk",
        )
    return StoreError(f"cannot be read ({error})", file=shard, fix=REWRITE)

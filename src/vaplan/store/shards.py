"""The shards of a store: Parquet files, named by their number and the hash of their bytes."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from jaxtyping import Bool, Integer, Shaped

from vaplan.errors import MachineError, StoreError, VaplanError
from vaplan.store.card import Card, short_hash
from vaplan.store.rows import REWRITE, SCHEMA, from_row
from vaplan.writing import write_bytes


def list_shards(folder: Path) -> list[Path]:
    """List the shards of a store in the order of writing."""
    return sorted(folder.glob("shard-*.parquet"))


def shard_number(shard: Path) -> int:
    """Return the position of a shard in the order of writing."""
    parts = shard.name.split("-")
    return int(parts[1])


def write_shard(folder: Path, number: int, rows: Sequence[dict[str, Any]]) -> Path:
    """Write rows as a new shard: all of them or none.

    Args:
        folder: Folder of the store.
        number: Number of the shard.
        rows: Rows of the shard, as columns of SCHEMA.

    Returns:
        The file of the shard.
    """
    sink = pa.BufferOutputStream()
    table = pa.Table.from_pylist(rows, schema=SCHEMA)
    pq.write_table(
        table, sink, compression="none", use_dictionary=False, write_statistics=False
    )
    content = sink.getvalue().to_pybytes()
    path = folder / f"shard-{number:06d}-{short_hash(content)}.parquet"
    return write_bytes(path, content)


def read_columns(shard: Path, columns: Sequence[str]) -> pa.Table:
    """Read columns of a shard.

    Args:
        shard: File of the shard.
        columns: Names of the columns.

    Raises:
        StoreError: The shard is damaged.
        MachineError: The file cannot be read.
    """
    return _read_table(shard, columns, source=shard)


def read_shard(shard: Path) -> tuple[pa.Table, bool]:
    """Read a shard.

    Returns:
        All rows, and whether the bytes of the file are unchanged.

    Raises:
        StoreError: The shard is damaged.
        MachineError: The file cannot be read.
    """
    try:
        content = shard.read_bytes()
    except OSError as error:
        raise _unreadable(shard, error) from error
    table = _read_table(shard, SCHEMA.names, source=pa.BufferReader(content))
    is_unchanged = short_hash(content) in shard.name
    return table, is_unchanged


def read_latest(folder: Path, columns: Sequence[str]) -> pa.Table:
    """Read columns of the latest row of every video, sorted by video.

    Args:
        folder: Folder of the store.
        columns: Names of the columns; `video` is one of them.

    Returns:
        The columns, and the columns `shard` and `row` with the position of the row.
    """
    tables = [read_columns(shard, columns) for shard in list_shards(folder)]
    empty_table = SCHEMA.empty_table().select(columns)
    table = pa.concat_tables([empty_table, *tables]).combine_chunks()
    row_counts = [len(shard_table) for shard_table in tables]
    first_rows = np.cumsum([0, *row_counts[:-1]])[: len(row_counts)]
    shard = np.repeat(np.arange(len(tables)), row_counts)
    row = np.arange(len(table)) - np.repeat(first_rows, row_counts)
    table = table.append_column("shard", pa.array(shard))
    table = table.append_column("row", pa.array(row))
    order = pa.table({"video": table["video"], "order": np.arange(len(table))})
    latest_rows = order.group_by("video").aggregate([("order", "max")])
    return table.take(latest_rows.sort_by("video")["order_max"])


def group_by_shard(
    videos: Sequence[str], table: pa.Table
) -> Iterator[tuple[int, Integer[np.ndarray, " row"], Integer[np.ndarray, " row"]]]:
    """Group the latest rows of videos by shard.

    Args:
        videos: Ids of the videos.
        table: Latest rows of all videos, by `read_latest`.

    Yields:
        Index of the shard, rows of the shard, and indices of their videos in `videos`.
    """
    if not videos:
        return
    video_ids = pa.array(videos, pa.string())
    table_row = pc.index_in(video_ids, value_set=table["video"])
    table_row = table_row.to_numpy(zero_copy_only=False)
    shard = table["shard"].to_numpy()[table_row]
    row = table["row"].to_numpy()[table_row]
    order = np.argsort(shard, kind="stable")
    edges = np.flatnonzero(np.diff(shard[order])) + 1
    for indices in np.split(order, edges):
        yield int(shard[indices[0]]), row[indices], indices


@dataclass(frozen=True)
class Block:
    """The features of some rows of a shard, joined.

    Attributes:
        segments: Number of segments of each row.
        mask: Masks of all rows.
        has_feature: Whether a row has a feature.
        feature: Features of the rows that have one, with masked segments.
    """

    segments: Integer[np.ndarray, " video"]
    mask: Bool[np.ndarray, " time"]
    has_feature: Bool[np.ndarray, " video"]
    feature: Shaped[np.ndarray, "feature_time feature"]


def read_block(shard: Path, rows: Integer[np.ndarray, " row"], card: Card) -> Block:
    """Read the features of some rows of a shard.

    Args:
        shard: File of the shard.
        rows: Rows of the shard.
        card: Card of the store.

    Raises:
        StoreError: One of these rows was changed; the message names its video.
    """
    table, is_unchanged = read_shard(shard)
    table = table.take(pa.array(rows))
    segments = table["segments"].to_numpy().astype(np.int64)
    has_feature = table["embedding"].is_valid().to_numpy()
    mask, mask_sizes = _join_cells(table["mask"])
    content, sizes = _join_cells(table["embedding"])
    segment_bytes = card.dimension * np.dtype(card.dtype).itemsize
    expected_sizes = np.where(has_feature, segments * segment_bytes, 0)
    fits_card = np.array_equal(sizes, expected_sizes)
    fits_mask = np.array_equal(mask_sizes, segments)
    has_expected_sizes = fits_card and fits_mask
    if has_expected_sizes:
        feature = content.view(card.dtype).reshape(-1, card.dimension)
    else:
        feature = np.empty((0, card.dimension))
    is_valid = is_unchanged and has_expected_sizes and np.isfinite(feature).all()
    if not is_valid:
        # raises an error that names the changed row, if it is one of these
        for row in table.to_pylist():
            from_row(row, dimension=card.dimension, dtype=card.dtype)
    return Block(segments, mask.view(bool), has_feature, feature)


def _join_cells(
    column: pa.ChunkedArray,
) -> tuple[Shaped[np.ndarray, " byte"], Integer[np.ndarray, " row"]]:
    """Join the cells of a column of bytes without a copy.

    Returns:
        The bytes, and the number of bytes of each cell; a null has none.
    """
    cells = column.combine_chunks().cast(pa.large_binary())
    _, offsets, content = cells.buffers()
    all_edges = np.frombuffer(offsets, np.int64)
    last = cells.offset + len(cells)
    edges = all_edges[cells.offset : last + 1]
    values = np.empty(0, np.uint8)
    if content:
        values = np.frombuffer(content, np.uint8)
    return values[edges[0] : edges[-1]], np.diff(edges)


def _read_table(shard: Path, columns: Sequence[str], *, source: Any) -> pa.Table:
    try:
        file = pq.ParquetFile(source)
        return file.read([*columns], use_threads=False)
    except (OSError, pa.ArrowException) as error:
        raise _unreadable(shard, error) from error


def _unreadable(shard: Path, error: Exception) -> VaplanError:
    if isinstance(error, OSError) and error.errno:  # the shard itself may be intact
        return MachineError(
            f"cannot be read: {error.strerror}",
            file=shard,
            fix="repair its permissions or the disk",
        )
    return StoreError(f"cannot be read ({error})", file=shard, fix=REWRITE)

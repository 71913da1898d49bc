"""The shards of a store: Parquet files, each named by its number and by the digest of its bytes."""

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
from vaplan.store.card import Card, digest
from vaplan.store.rows import REWRITE, SCHEMA, from_row
from vaplan.writing import write_bytes


def listed(folder: Path) -> list[Path]:
    """The shards there are, oldest first."""
    return sorted(folder.glob("shard-*.parquet"))


def number(shard: Path) -> int:
    """The place of a shard in the order of writing."""
    return int(shard.name.split("-")[1])


def write(folder: Path, at: int, rows: Sequence[dict[str, Any]]) -> Path:
    """Write rows as a new shard: all of them or none.

    Args:
        folder: Folder of the files.
        at: Number of the shard.
        rows: Rows of the shard.
    """
    sink = pa.BufferOutputStream()
    table = pa.Table.from_pylist(rows, schema=SCHEMA)
    pq.write_table(
        table, sink, compression="none", use_dictionary=False, write_statistics=False
    )
    content = sink.getvalue().to_pybytes()
    path = folder / f"shard-{at:06d}-{digest(content)}.parquet"
    write_bytes(path, content)
    return path


def load(shard: Path, columns: Sequence[str]) -> pa.Table:
    """Some columns of a shard.

    Args:
        shard: File of the shard.
        columns: Names of the columns.
    """
    return _parsed(shard, columns, source=shard)


def load_whole(shard: Path) -> tuple[pa.Table, bool]:
    """Read a shard and whether its bytes are unchanged."""
    try:
        content = shard.read_bytes()
    except OSError as error:
        raise _unreadable(shard, error) from error
    return _parsed(shard, SCHEMA.names, source=pa.BufferReader(content)), digest(
        content
    ) in shard.name


def latest(folder: Path, columns: Sequence[str]) -> pa.Table:
    """Return columns of the latest row of every video, with its shard and row.

    Args:
        folder: Folder of the files.
        columns: Names of the columns.
    """
    tables = [load(shard, columns) for shard in listed(folder)]
    every = pa.concat_tables(
        [SCHEMA.empty_table().select(columns), *tables]
    ).combine_chunks()
    counts = [len(table) for table in tables]
    shard = np.repeat(np.arange(len(tables)), counts)
    row = np.arange(len(every)) - np.repeat(
        np.cumsum([0, *counts[:-1]])[: len(counts)], counts
    )
    every = every.append_column("shard", pa.array(shard)).append_column(
        "row", pa.array(row)
    )
    order = pa.table({"video": every["video"], "order": np.arange(len(every))})
    newest = (
        order.group_by("video")
        .aggregate([("order", "max")])
        .sort_by("video")["order_max"]
    )
    return every.take(newest)


def by_shard(
    videos: Sequence[str], table: pa.Table
) -> Iterator[tuple[int, Integer[np.ndarray, " row"], Integer[np.ndarray, " row"]]]:
    """Group the latest rows of videos by shard.

    Args:
        videos: Ids of the videos.
        table: Latest rows of all videos.
    """
    if not videos:
        return
    positions = pc.index_in(
        pa.array(videos, pa.string()), value_set=table["video"]
    ).to_numpy(zero_copy_only=False)
    shard, row = (table[name].to_numpy()[positions] for name in ("shard", "row"))
    order = np.argsort(shard, kind="stable")
    for places in np.split(order, np.flatnonzero(np.diff(shard[order])) + 1):
        yield int(shard[places[0]]), row[places], places


@dataclass(frozen=True)
class Block:
    """Some rows of a shard, one after the other: their segments, masked or not."""

    segments: Integer[np.ndarray, " video"]
    mask: Bool[np.ndarray, " time"]
    featured: Bool[np.ndarray, " video"]  # which rows have a feature
    feature: Shaped[np.ndarray, "featured_time feature"]  # of those that have one


def block(shard: Path, rows: Integer[np.ndarray, " row"], card: Card) -> Block:
    """The features of some rows of a shard.

    Args:
        shard: File of the shard.
        rows: Rows of the shard.
        card: Provenance of the store.

    Raises: StoreError naming the video, unless every one of these rows is what was written.
    """
    table, whole = load_whole(shard)
    table = table.take(pa.array(rows))
    segments = table["segments"].to_numpy().astype(np.int64)
    featured = table["embedding"].is_valid().to_numpy()
    mask, masked = _joined(table["mask"])
    content, sizes = _joined(table["embedding"])
    expected = np.where(
        featured, segments * card.dimension * np.dtype(card.dtype).itemsize, 0
    )
    fits = np.array_equal(sizes, expected) and np.array_equal(masked, segments)
    feature = (
        content.view(card.dtype).reshape(-1, card.dimension)
        if fits
        else np.empty((0, card.dimension))
    )
    if not (whole and fits and np.isfinite(feature).all()):
        for (
            row
        ) in table.to_pylist():  # the one that changed is named, if it is among these
            from_row(row, dimension=card.dimension, dtype=card.dtype)
    return Block(segments, mask.view(bool), featured, feature)


def _joined(
    column: pa.ChunkedArray,
) -> tuple[Shaped[np.ndarray, " byte"], Integer[np.ndarray, " row"]]:
    """All bytes of a column of bytes, without a copy, and how many are of which row; none of a
    null."""
    cells = column.combine_chunks().cast(pa.large_binary())
    _, offsets, content = cells.buffers()
    edges = np.frombuffer(offsets, np.int64)[
        cells.offset : cells.offset + len(cells) + 1
    ]
    values = np.frombuffer(content, np.uint8) if content else np.empty(0, np.uint8)
    return values[edges[0] : edges[-1]], np.diff(edges)


def _parsed(shard: Path, columns: Sequence[str], *, source: Any) -> pa.Table:
    try:
        return pq.ParquetFile(source).read([*columns], use_threads=False)
    except (OSError, pa.ArrowException) as error:
        raise _unreadable(shard, error) from error


def _unreadable(shard: Path, error: Exception) -> VaplanError:
    if isinstance(error, OSError) and error.errno:  # the shard may be whole
        return MachineError(
            f"cannot be read: {error.strerror}",
            file=shard,
            fix="repair its permissions or the disk",
        )
    return StoreError(f"cannot be read ({error})", file=shard, fix=REWRITE)

"""An index of many shards: a copy of their small columns, so that a large store is read quickly.

The shards are the store. A shard is in the index by its name, which contains the digest of its
bytes; rows of shards that no longer exist are ignored, and shards that are not in the index are
read. The index may be deleted at any time, and one that is damaged is ignored.
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from vaplan.errors import VaplanError
from vaplan.objects import glob, read_bytes
from vaplan.store import shards
from vaplan.store.card import short_hash
from vaplan.store.rows import SCHEMA
from vaplan.writing import write_bytes

INDEX_FILE = "index.bin"
COLUMNS = ("video", "status", "reason", "segments", "checksum")
MIN_SHARDS = 16  # that are not in the index, until it is written again
MAX_SEGMENTS = 2**20  # of a video
KEY = b"shards"  # of the names and the numbers of rows, in the metadata
DIGEST_BYTES = len(short_hash(b""))


@dataclass(frozen=True)
class Index:
    """The rows of the shards of one folder.

    Attributes:
        rows: Columns of all rows, in the order of the shards.
        position: First row and number of rows of each shard, by its name.
    """

    rows: pa.Table
    position: dict[str, tuple[int, int]]

    def read(self, shard: Path, columns: Sequence[str]) -> pa.Table | None:
        """Return columns of a shard; None if it is not in the index.

        Args:
            shard: File of the shard.
            columns: Names of the columns.
        """
        if shard.name not in self.position:
            return None
        first, count = self.position[shard.name]
        return self.rows.select(columns).slice(first, count)


# `empty_table` of a schema imports pandas, which takes half a second.
EMPTY = Index(
    pa.Table.from_batches([], pa.schema([SCHEMA.field(name) for name in COLUMNS])), {}
)


def read_index(folder: Path) -> Index:
    """Read the index of a folder; it is empty if there is none that is intact.

    Args:
        folder: Folder of a store or of a part.
    """
    try:
        content = read_bytes(folder / INDEX_FILE)
    except OSError:
        return EMPTY
    body = memoryview(content)[:-DIGEST_BYTES]
    if short_hash(body).encode() != content[-DIGEST_BYTES:]:
        return EMPTY
    try:
        return _parse(body)
    except (pa.ArrowException, OSError, ValueError, LookupError, TypeError):
        return EMPTY


def _parse(body: memoryview) -> Index:
    """Read the table of an index and the names of its shards."""
    rows = pq.ParquetFile(pa.BufferReader(pa.py_buffer(body))).read()
    rows.validate(full=True)
    names: list[str]
    counts: list[int]
    names, counts = json.loads(rows.schema.metadata[KEY])
    problem = shards.find_problem(rows, COLUMNS, size=MAX_SEGMENTS)
    if problem or sum(counts) != len(rows) or min(counts, default=0) < 0:
        return EMPTY
    first_rows = np.cumsum([0, *counts[:-1]]).tolist()
    position = dict(zip(names, zip(first_rows, counts, strict=True), strict=True))
    return Index(rows.replace_schema_metadata(None), position)


def read_latest(paths: Sequence[Path], columns: Sequence[str]) -> pa.Table:
    """Return columns of the latest row of every video, with the index of its shard and row.

    Args:
        paths: Files of the shards, the oldest first.
        columns: Names of the columns.
    """
    tables = [*_read_shards(paths, columns)]
    empty = SCHEMA.empty_table().select(columns)
    rows = pa.concat_tables([empty, *tables]).combine_chunks()
    row_counts = [len(table) for table in tables]
    row_in_all = np.arange(len(rows))
    first_rows = np.cumsum([0, *row_counts])
    first_row_of_shard = np.repeat(first_rows[:-1], row_counts)
    shard = np.repeat(np.arange(len(tables)), row_counts)
    row = row_in_all - first_row_of_shard
    rows = rows.append_column("shard", pa.array(shard))
    rows = rows.append_column("row", pa.array(row))
    order = pa.table({"video": rows["video"], "order": row_in_all})
    newest = order.group_by("video").aggregate([("order", "max")])
    newest_rows = newest.sort_by("video")["order_max"]
    return rows.take(newest_rows)


def _read_shards(paths: Sequence[Path], columns: Sequence[str]) -> Iterator[pa.Table]:
    """Yield columns of each shard, from the index of its folder where it is there."""
    indexes = {folder: read_index(folder) for folder in {path.parent for path in paths}}
    for path in paths:
        rows = indexes[path.parent].read(path, columns)
        yield shards.read_columns(path, columns) if rows is None else rows


def update_index(folder: Path) -> None:
    """Write the index of a folder again if many shards are not in it.

    A shard that cannot be read, or a full disk, leaves the index as it is.

    Args:
        folder: Folder that no other process writes into.
    """
    paths = sorted(glob(folder, shards.SHARDS))
    index = read_index(folder)
    new_paths = [path for path in paths if path.name not in index.position]
    if len(new_paths) < MIN_SHARDS:
        return

    with suppress(VaplanError):
        tables = list[pa.Table]()
        for path in paths:
            rows = index.read(path, COLUMNS)
            if rows is None:
                rows = shards.read_columns(path, COLUMNS)
            tables.append(rows)
        _write_index(folder, [path.name for path in paths], tables)


def _write_index(
    folder: Path, names: Sequence[str], tables: Sequence[pa.Table]
) -> None:
    shape = json.dumps([names, [len(table) for table in tables]]).encode()
    rows = pa.concat_tables(tables).combine_chunks()

    sink = pa.BufferOutputStream()
    pq.write_table(
        rows.replace_schema_metadata({KEY: shape}),
        sink,
        use_dictionary=["status", "reason"],
        write_statistics=False,
    )

    body = sink.getvalue().to_pybytes()
    write_bytes(folder / INDEX_FILE, body + short_hash(body).encode())

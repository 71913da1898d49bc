"""The feature store: for each encoder, one row a video with its features or a reason.

A store is a folder of Parquet shards and a list of planned videos. A shard is written to a
temporary file and renamed, so an existing shard is complete, and a job that was killed continues
with the missing videos. Of several rows of one video the latest counts. Jobs that fill one store
at the same time each write a part, a folder with shards and a plan of its own; a store is read with
all its parts.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Bool, Float32

from vaplan import objects
from vaplan.errors import StoreError, VaplanError
from vaplan.locks import lock_folder
from vaplan.ragged import Lengths, Spans
from vaplan.store import shards
from vaplan.store.card import (
    Card,
    changed_file_error,
    encode_json,
    normalise_json,
    read_json,
    short_hash,
)
from vaplan.store.index import read_latest, update_index
from vaplan.store.parts import FOLDERS, Part
from vaplan.store.rows import STATUSES, Entry, from_row, is_intact, to_row
from vaplan.store.text import TextVectors, read_text, write_text
from vaplan.writing import machine_errors, write_bytes

__all__ = ["Card", "Entry", "Part", "Store", "TextVectors", "Writer", "find_stores"]

CARD_FILE = "provenance.json"
PLAN_FILE = "plan.json"


@dataclass(frozen=True)
class Store:
    """The features of one encoder; see `Store.create` and `Store.open`.

    Attributes:
        folder: Folder of the shards.
        card: Provenance of the features.
        part: Part that is written; None to write the store itself.
    """

    folder: Path
    card: Card
    part: Part | None = None

    @classmethod
    def create(
        cls,
        root: Path | str,
        encoder: str,
        provenance: dict[str, Any],
        *,
        planned: Sequence[str],
        dtype: str = "float16",
        part: Part | None = None,
    ) -> "Store":
        """Create or open the store of an encoder and plan videos.

        Args:
            root: Folder of all stores.
            encoder: Name of the encoder with its modality, such as `audio:embedded`.
            provenance: JSON values that identify the encoder: hash of the weights,
                preprocessing, versions, and its "dimension".
            planned: Ids of the videos to plan.
            dtype: Number type; "float16" for L2-normalised features, else that of the source.
            part: Part to write; other jobs may write other parts at the same time.

        Raises:
            StoreError: The store was filled by another encoder of this name.
        """
        provenance = normalise_json(provenance)
        card = Card(encoder, provenance["dimension"], dtype, provenance)
        existing_stores = find_stores(root)
        if encoder in existing_stores:
            existing_stores[encoder].card.check_provenance(
                provenance, dtype=dtype, file=existing_stores[encoder].folder
            )
            store = replace(existing_stores[encoder], part=part)
        else:
            store = cls(Path(root) / card.folder_name, card, part)
            with lock_folder(store.own_folder, kind="store"):
                _write_card(store)

        store.plan(planned)
        return store

    @classmethod
    def open(
        cls, root: Path | str, encoder: str, *, provenance: dict[str, Any] | None = None
    ) -> "Store":
        """Open the store of an encoder.

        Args:
            root: Folder of all stores.
            encoder: Name of the encoder with its modality.
            provenance: Provenance of the encoder, to compare with that of the store.

        Raises:
            StoreError: There is no such store, or another encoder filled it.
            MachineError: The store has another format.
        """
        existing_stores = find_stores(root)
        if encoder not in existing_stores:
            names = ", ".join(existing_stores) or "nothing"
            raise StoreError(
                f"store of another encoder: it has no {encoder}, only {names}",
                file=root,
                fix="name one of these, or run `vaplan features` with that encoder",
            )
        if provenance is not None:
            existing_stores[encoder].card.check_provenance(
                normalise_json(provenance), file=existing_stores[encoder].folder
            )
        return existing_stores[encoder]

    @property
    def own_folder(self) -> Path:
        """Return the folder that is written: that of the part, or that of the store."""
        return self.folder / self.part.folder_name if self.part else self.folder

    @property
    def planned(self) -> list[str]:
        """Return the ids of the planned videos of the store and all its parts, in order."""
        videos = dict[str, None]()
        for path in self._list_plans():
            videos.update(dict.fromkeys(read_plan(path.parent)))
        return list(videos)

    def _list_plans(self) -> list[Path]:
        own = objects.glob(self.folder, PLAN_FILE)
        return sorted([*own, *objects.glob(self.folder, f"{FOLDERS}/{PLAN_FILE}")])

    def plan(self, videos: Iterable[str]) -> None:
        """Add videos to the planned ones.

        Args:
            videos: Ids of the videos.
        """
        path = self.own_folder / PLAN_FILE
        videos = list(videos)
        if objects.exists(path) and set(videos) <= set(read_plan(self.own_folder)):
            return
        with lock_folder(self.own_folder, kind="store"):
            ids = dict.fromkeys([*read_plan(self.own_folder), *videos])
            write_bytes(path, encode_json(list(ids)))

    @contextmanager
    def open_writer(self) -> Iterator["Writer"]:
        """Lock the store, or the part, and yield its only writer.

        Raises:
            MachineError: Another process writes into the store; the error names it.
        """
        with lock_folder(self.own_folder, kind="store"):
            update_index(self.own_folder)
            existing_shards = shards.list_shards(self.folder)
            numbers = [shards.shard_number(shard) for shard in existing_shards]
            next_number = max(numbers, default=-1) + 1
            planned = read_plan(self.own_folder)
            try:
                yield Writer(self, frozenset(planned), next_number)
            finally:
                update_index(self.own_folder)

    def add(self, entries: Sequence[Entry]) -> None:
        """Write one shard; see `Writer.add`.

        Args:
            entries: Entries of planned videos.
        """
        with self.open_writer() as writer:
            writer.add(entries)

    def write_text(self, text: TextVectors) -> None:
        """Write the vectors of class sentences, in place of earlier ones.

        Args:
            text: Vectors of the classes, of the size of the features.

        Raises:
            StoreError: The size differs.
        """
        if text.dimension != self.card.dimension:
            raise StoreError(
                f"text vectors of {text.dimension} numbers, but {self.card.encoder} has "
                f"{self.card.dimension}",
                file=self.folder,
                fix="embed the sentences with the model of the features",
            )
        with lock_folder(self.own_folder, kind="store"):
            write_text(self.folder, text)

    def read_text(self) -> TextVectors | None:
        """Read the vectors of class sentences; None if there are none.

        Raises:
            StoreError: Their file has changed.
        """
        return read_text(self.folder)

    def select_changed(self, entries: Iterable[Entry]) -> Iterator[Entry]:
        """Yield the entries that the store lacks, or has with other features.

        A failure does not replace features, and an equal failure is not written again.

        Args:
            entries: One entry a video.
        """
        table = self._read_latest(["video", "status", "reason", "checksum"])
        latest = {row["video"]: row for row in table.to_pylist()}
        for entry in entries:
            row = latest.get(entry.video)
            if row is None or self._is_changed(entry, row):
                yield entry

    def _is_changed(self, entry: Entry, row: dict[str, Any]) -> bool:
        if entry.status == "failed":
            return bool(row["status"] == "failed" and row["reason"] != entry.reason)
        new = to_row(entry, dimension=self.card.dimension, dtype=self.card.dtype)
        return bool(new["checksum"] != row["checksum"])

    def read_statuses(self) -> dict[str, tuple[str, str]]:
        """Return the status and reason of each video with a row.

        It is fast, because no features are read.
        """
        columns = ["video", "status", "reason"]
        table = self._read_latest(columns)
        videos, statuses, reasons = (table[name].to_pylist() for name in columns)
        return dict(zip(videos, zip(statuses, reasons, strict=True), strict=True))

    def list_missing(
        self, videos: Iterable[str], *, retry: str | None = None
    ) -> list[str]:
        """List videos without a row, or with a failure whose reason contains `retry`.

        Args:
            videos: Ids of the videos.
            retry: Text in the reason of failures to list as well.
        """
        table = self._read_latest(["video", "status", "reason"])
        ids = pa.array(dict.fromkeys(videos), pa.string())
        due = pc.is_null(pc.index_in(ids, value_set=table["video"]))
        if retry is not None:
            failed = table.filter(pc.equal(table["status"], "failed"))
            is_retried = [
                retry.casefold() in reason.casefold()
                for reason in failed["reason"].to_pylist()
            ]
            retried = failed["video"].filter(pa.array(is_retried, pa.bool_()))
            due = pc.or_(due, pc.is_in(ids, value_set=retried))
        missing: list[str] = ids.filter(due).to_pylist()
        return missing

    def read_entries(self) -> Iterator[Entry]:
        """Yield the entry of every video in the order of writing, one shard in memory at a time.

        Raises:
            StoreError: A row has changed.
        """
        paths = shards.list_shards(self.folder)
        table = read_latest(paths, ["video"])
        dimension = self.card.dimension
        videos = table["video"].to_pylist()
        for shard, rows, _ in shards.group_by_shard(videos, table):
            content, _ = shards.read_shard(paths[shard])
            latest_rows = content.take(pa.array(np.sort(rows)))
            for row in latest_rows.to_pylist():
                yield from_row(
                    row,
                    dimension=dimension,
                    dtype=self.card.dtype,
                    file=paths[shard],
                )

    def read_blocks(self) -> Iterator[tuple[list[str], shards.Block]]:
        """Yield the features of all videos, one shard in memory at a time.

        Yields:
            Ids of the videos of a block, and their features.

        Raises:
            StoreError: A row has changed.
        """
        paths = shards.list_shards(self.folder)
        table = read_latest(paths, ["video"])
        videos = table["video"].to_pylist()
        for shard, rows, positions in shards.group_by_shard(videos, table):
            block = shards.read_block(paths[shard], rows, self.card)
            yield [videos[position] for position in positions], block

    def lengths(self, videos: Sequence[str]) -> Lengths:
        """Return the number of segments of videos, without reading their features.

        Args:
            videos: Ids of the videos.

        Raises:
            StoreError: A video has no row.
        """
        return self._lengths(self._read_latest(["video", "segments"]), videos)

    def _lengths(self, table: pa.Table, videos: Sequence[str]) -> Lengths:
        ids = table["video"].to_pylist()
        segments = dict(zip(ids, table["segments"].to_pylist(), strict=True))
        lacking = [video for video in videos if video not in segments]
        if lacking:
            raise StoreError(
                f"{len(lacking)} of {len(videos)} videos are not in the store, the first is "
                f"{lacking[0]}",
                file=self.folder,
                fix="run `vaplan features` to fill it",
            )
        return Lengths.of([segments[video] for video in videos])

    def read(
        self,
        videos: Sequence[str],
        *,
        lengths: Lengths | None = None,
        zeros: Callable[..., np.ndarray] = np.zeros,
    ) -> tuple[
        Float32[np.ndarray, "segment feature"], Bool[np.ndarray, " segment"], Lengths
    ]:
        """Read the features of videos, their segments end to end.

        One shard is in memory at a time.

        Args:
            videos: Ids of the videos.
            lengths: Number of segments to reserve for each video; by default its own.
            zeros: Makes the array of the features, for example in a file.

        Returns:
            Features, 0 where masked; the mask; and the number of segments of each video.

        Raises:
            StoreError: A video has no row, or its features have changed.
        """
        paths = shards.list_shards(self.folder)
        table = read_latest(paths, ["video", "segments"])
        if lengths is None:
            lengths = self._lengths(table, videos)
        feature = zeros((lengths.total, self.card.dimension), np.float32)
        mask = np.zeros(lengths.total, dtype=bool)
        for shard, rows, videos_of_shard in shards.group_by_shard(videos, table):
            block = shards.read_block(paths[shard], rows, self.card)
            spans = Spans(lengths.starts[videos_of_shard], block.segments)
            mask[spans.positions()] = block.mask
            has_feature = block.has_feature
            featured = Spans(spans.starts[has_feature], spans.counts[has_feature])
            feature[featured.positions()] = block.feature
        return feature, mask, lengths

    def content_hash(self) -> str:
        """Compute a digest of all features that does not depend on order and shards."""
        return _content_hash(self._read_latest(["video", "checksum"]))

    def describe(self) -> dict[str, Any]:
        """Describe the content of the store as JSON values."""
        columns = ["video", "status", "reason", "segments", "checksum"]
        paths = shards.list_shards(self.folder)
        table = read_latest(paths, columns)
        counts = _count_values(table["status"])
        reasons = _count_values(table["reason"])
        reasons.pop("", None)

        planned = pa.array(self.planned, pa.string())
        is_written = pc.is_in(planned, value_set=table["video"])

        return {
            **asdict(self.card),
            "folder": objects.to_uri(self.folder),
            "planned": len(planned),
            "lacking": len(planned) - (pc.sum(is_written).as_py() or 0),
            **{status: counts.get(status, 0) for status in STATUSES},
            "segments": pc.sum(table["segments"]).as_py() or 0,
            "reasons": reasons,
            "text": list(text.classes) if (text := self.read_text()) else [],
            "shards": len(paths),
            "bytes": sum(status.size for status in objects.stat_all(paths)),
            "content_hash": _content_hash(table),
        }

    def verify(self) -> list[str]:
        """Read every byte and describe each change since it was written.

        A planned video without a row is not damage; see `list_missing`. A store can be verified
        while a job writes into it.
        """
        problems = list[str]()
        intact = list[Path]()
        verified = set[str]()
        for shard in shards.list_shards(self.folder):
            name = shard.relative_to(self.folder)
            try:
                if shards.is_unchanged(shard):
                    intact.append(shard)
                    continue
                table, _ = shards.read_shard(shard)
            except VaplanError as error:
                problems.append(f"{name}: {error.what}")
                continue
            verified.update(table["video"].to_pylist())
            problems.append(f"{name}: changed since it was written")
            for row in table.to_pylist():
                if not is_intact(row):
                    problems.append(f"{name}: the row of {row['video']} changed")
        verified.update(read_latest(intact, ["video"])["video"].to_pylist())
        if objects.read_bytes(self.folder / CARD_FILE) != self.card.to_bytes():
            problems.append(f"{CARD_FILE}: changed since it was written")
        try:
            self.read_text()
        except StoreError as error:
            problems.append(f"{Path(error.file or '').name}: {error.what}")
        if not self._plans_are_intact(verified):
            problems.append(f"{PLAN_FILE}: missing, or changed since it was written")
        return problems

    def _plans_are_intact(self, videos: set[str]) -> bool:
        """Return whether the plans contain the videos; they are read after them, and once."""
        for path in self._list_plans():
            content = objects.read_bytes(path)
            try:
                planned = json.loads(content)
                if content != encode_json(planned):
                    return False
                videos = videos - {*planned}
            except (ValueError, TypeError, RecursionError):
                return False
        return not videos

    def _read_latest(self, columns: list[str]) -> pa.Table:
        return read_latest(shards.list_shards(self.folder), columns)


@dataclass
class Writer:
    """The only writer of a locked store; see `Store.open_writer`.

    Attributes:
        store: Store to write into.
        planned: Ids of the planned videos.
        number: Number of the next shard.
    """

    store: Store
    planned: frozenset[str]
    number: int

    def add(self, entries: Sequence[Entry]) -> None:
        """Write entries as one new shard: all of them or, if killed, none.

        Args:
            entries: Entries of planned videos.

        Raises:
            StoreError: A video is not planned, or its features are not valid.
        """
        unplanned = sorted({entry.video for entry in entries} - self.planned)
        if unplanned:
            raise StoreError(
                f"{unplanned[0]} is not planned",
                file=self.store.folder,
                fix="call `plan` first",
            )
        card = self.store.card
        rows = [
            to_row(entry, dimension=card.dimension, dtype=card.dtype)
            for entry in entries
        ]
        shards.write_shard(self.store.own_folder, self.number, rows)
        self.number += 1


def read_plan(folder: Path) -> list[str]:
    """Return the ids of the planned videos of one folder, in order.

    Args:
        folder: Folder of a store or of a part.

    Raises:
        StoreError: The plan has changed.
    """
    path = folder / PLAN_FILE
    videos: list[str] = read_json(path) if objects.exists(path) else []
    if not isinstance(videos, list) or not all(isinstance(v, str) for v in videos):
        raise changed_file_error(path)
    return videos


def _write_card(store: Store) -> None:
    """Write the card of a store, which jobs for several parts may do at the same time."""
    content = store.card.to_bytes()
    if objects.is_remote(store.folder):
        write_bytes(store.folder / CARD_FILE, content)
        return
    own_card = write_bytes(store.own_folder / CARD_FILE, content)
    with machine_errors(store.folder):
        own_card.replace(store.folder / CARD_FILE)


def _content_hash(table: pa.Table) -> str:
    checksums = table["checksum"].combine_chunks().cast(pa.large_binary())
    content, _ = shards.join_bytes(pa.chunked_array([checksums]))
    return short_hash(content.tobytes())


def _count_values(column: pa.ChunkedArray) -> dict[str, int]:
    """Count the values of a column, in the order of their first occurrence."""
    counts = pc.value_counts(column)
    return {row["values"]: row["counts"] for row in counts.to_pylist()}


def find_stores(root: Path | str) -> dict[str, Store]:
    """Open the stores of all encoders in a folder.

    Args:
        root: Folder of all stores.

    Returns:
        Stores by the name of the encoder with its modality.

    Raises:
        MachineError: A store has another format.
        StoreError: Two stores are of one encoder.
    """
    stores = dict[str, Store]()
    for path in sorted(objects.glob(Path(root), f"*/{CARD_FILE}")):
        card = Card.read(path)
        if card.encoder in stores:
            raise StoreError(
                f"two stores of {card.encoder}: {stores[card.encoder].folder.name} and "
                f"{path.parent.name}",
                file=root,
                fix="compare their provenance.json, for example the device, and delete one",
            )
        stores[card.encoder] = Store(path.parent, card)
    return stores

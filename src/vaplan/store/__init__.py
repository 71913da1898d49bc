"""The feature store: for one encoder, one row a video, with features or the reason for none.

A store is a folder of Parquet shards. The planned videos are written first. A shard is written
beside its final name and then renamed, so that a shard that exists is complete, and a job that
was killed continues with the missing videos. Of several rows of one video the latest counts.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from jaxtyping import Bool, Float32

from vaplan.errors import StoreError, VaplanError
from vaplan.locks import lock_folder
from vaplan.store import shards
from vaplan.store.card import Card, encode_json, normalise_json, read_json, short_hash
from vaplan.store.rows import Entry, from_row, is_intact, to_row
from vaplan.writing import write_bytes

__all__ = ["Card", "Entry", "Store", "Writer", "find_stores"]

CARD_FILE = "provenance.json"
PLAN_FILE = "plan.json"


@dataclass(frozen=True)
class Store:
    """The features of one encoder, from `Store.create` or `Store.open`.

    Attributes:
        folder: Folder of the store.
        card: Provenance of the features.
    """

    folder: Path
    card: Card

    @classmethod
    def create(
        cls,
        root: Path | str,
        encoder: str,
        provenance: dict[str, Any],
        *,
        planned: Sequence[str],
        dtype: str = "float16",
    ) -> "Store":
        """Create or open the store of an encoder, and plan videos for it.

        Args:
            root: Folder of the stores.
            encoder: Store name of the encoder.
            provenance: All that the features depend on: hash of the weights, preprocessing,
                versions, and "dimension"; JSON values.
            planned: Ids of the videos.
            dtype: Type of the stored numbers: "float16" for features of length one, else
                that of the source.

        Raises:
            StoreError: The store is of another encoder with this name.
        """
        provenance = normalise_json(provenance)
        store = find_stores(root).get(encoder)
        if store is not None:
            store.card.check_provenance(provenance, dtype=dtype, file=store.folder)
        else:
            card = Card(encoder, provenance["dimension"], dtype, provenance)
            store = cls(Path(root) / card.folder_name, card)
            with lock_folder(store.folder, kind="store"):
                write_bytes(store.folder / CARD_FILE, card.to_bytes())
        store.plan(planned)
        return store

    @classmethod
    def open(
        cls, root: Path | str, encoder: str, *, provenance: dict[str, Any] | None = None
    ) -> "Store":
        """Open the store of an encoder.

        Args:
            root: Folder of the stores.
            encoder: Store name of the encoder.
            provenance: Provenance of the encoder, to check that it is still the same.

        Raises:
            StoreError: There is no store of the encoder, or the encoder is another one.
            MachineError: A store has another format.
        """
        stores = find_stores(root)
        if encoder not in stores:
            raise StoreError(
                f"store of another encoder: asked for {encoder}, it holds "
                f"{', '.join(stores) or 'nothing'}",
                file=root,
                fix="name one it holds, or run `vaplan features` with that encoder",
            )
        store = stores[encoder]
        if provenance is not None:
            store.card.check_provenance(normalise_json(provenance), file=store.folder)
        return store

    @property
    def planned(self) -> list[str]:
        """Ids of the planned videos, in order."""
        path = self.folder / PLAN_FILE
        videos: list[str] = read_json(path) if path.exists() else []
        return videos

    def plan(self, videos: Iterable[str]) -> None:
        """Add videos to the planned ones."""
        path = self.folder / PLAN_FILE
        videos = list(videos)
        if path.exists() and set(videos) <= set(self.planned):
            return
        with lock_folder(self.folder, kind="store"):
            all_videos = list(dict.fromkeys([*self.planned, *videos]))
            write_bytes(path, encode_json(all_videos))

    @contextmanager
    def open_writer(self) -> Iterator["Writer"]:
        """Lock the store, and write shards inside the block.

        Raises:
            MachineError: Another process writes the store; the message names it.
        """
        with lock_folder(self.folder, kind="store"):
            existing_shards = shards.list_shards(self.folder)
            numbers = [shards.shard_number(shard) for shard in existing_shards]
            next_number = max(numbers, default=-1) + 1
            yield Writer(self, frozenset(self.planned), next_number)

    def add(self, entries: Sequence[Entry]) -> None:
        """Write one shard; see `Writer.add`."""
        with self.open_writer() as writer:
            writer.add(entries)

    def read_statuses(self) -> dict[str, tuple[str, str]]:
        """Read the status of every video that has a row, and the reason for it.

        This is fast: no feature is read.
        """
        table = self._read_latest(["video", "status", "reason"])
        videos = table["video"].to_pylist()
        statuses = table["status"].to_pylist()
        reasons = table["reason"].to_pylist()
        values = zip(statuses, reasons, strict=True)
        return dict(zip(videos, values, strict=True))

    def list_missing(
        self, videos: Iterable[str], *, retry: str | None = None
    ) -> list[str]:
        """List videos without a row, and failures that are to be repeated.

        Args:
            videos: Ids of the videos.
            retry: Text in the reason of failures to repeat, in any case; None for no
                failure.
        """
        statuses = self.read_statuses()

        def is_missing(video: str) -> bool:
            if video not in statuses:
                return True
            status, reason = statuses[video]
            if status != "failed" or retry is None:
                return False
            return retry.casefold() in reason.casefold()

        return [video for video in dict.fromkeys(videos) if is_missing(video)]

    def read_entries(self) -> Iterator[Entry]:
        """Yield every video's entry in the order of writing, with one shard in memory."""
        table = self._read_latest(["video"])
        paths = shards.list_shards(self.folder)
        videos = table["video"].to_pylist()
        for shard, rows, _ in shards.group_by_shard(videos, table):
            shard_table, _ = shards.read_shard(paths[shard])
            latest_rows = shard_table.take(pa.array(np.sort(rows)))
            for row in latest_rows.to_pylist():
                yield from_row(
                    row, dimension=self.card.dimension, dtype=self.card.dtype
                )

    def read(
        self, videos: Sequence[str], *, zeros: Callable[..., np.ndarray] = np.zeros
    ) -> tuple[
        Float32[np.ndarray, "video time feature"], Bool[np.ndarray, "video time"]
    ]:
        """Read the features of videos, with one shard in memory.

        Args:
            videos: Ids of the videos.
            zeros: Function that allocates the array of the features, for example in a file.

        Returns:
            Features and mask of the videos in this order, padded to the longest; zeros and
            False where masked.

        Raises:
            StoreError: A video has no row, or features were changed.
        """
        table = self._read_latest(["video", "segments"])
        segment_counts = dict(
            zip(table["video"].to_pylist(), table["segments"].to_pylist(), strict=True)
        )
        self._check_rows_exist(videos, segment_counts)
        paths = shards.list_shards(self.folder)
        length = max((segment_counts[video] for video in videos), default=0)
        feature = zeros((len(videos), length, self.card.dimension), np.float32)
        mask = np.zeros((len(videos), length), dtype=bool)
        for shard, rows, indices in shards.group_by_shard(videos, table):
            block = shards.read_block(paths[shard], rows, self.card)
            is_segment = np.arange(length) < block.segments[:, None]
            video, time = np.nonzero(is_segment)
            mask[indices[video], time] = block.mask
            has_feature = is_segment & block.has_feature[:, None]
            video, time = np.nonzero(has_feature)
            feature[indices[video], time] = block.feature
        return feature, mask

    def content_hash(self) -> str:
        """Compute a hash of all features that does not depend on order and shards."""
        return _content_hash(self._read_latest(["video", "checksum"]))

    def describe(self) -> dict[str, Any]:
        """Describe the content of the store as JSON values."""
        columns = ["video", "status", "reason", "segments", "checksum"]
        table = self._read_latest(columns)
        paths = shards.list_shards(self.folder)
        planned = self.planned
        missing = set(planned) - set(table["video"].to_pylist())
        status_counts = Counter(table["status"].to_pylist())
        reasons = [reason for reason in table["reason"].to_pylist() if reason]
        return {
            **asdict(self.card),
            "folder": str(self.folder),
            "planned": len(planned),
            "lacking": len(missing),
            "ok": status_counts["ok"],
            "absent": status_counts["absent"],
            "failed": status_counts["failed"],
            "segments": sum(table["segments"].to_pylist()),
            "reasons": dict(Counter(reasons)),
            "shards": len(paths),
            "bytes": sum(path.stat().st_size for path in paths),
            "content_hash": _content_hash(table),
        }

    def verify(self) -> list[str]:
        """Read every byte and describe each change since it was written.

        A planned video without a row is no damage; see `list_missing`. A store can be
        verified while a job writes into it.
        """
        problems = list[str]()
        videos = set[str]()
        for shard in shards.list_shards(self.folder):
            try:
                table, is_unchanged = shards.read_shard(shard)
            except VaplanError as error:
                problems.append(f"{shard.name}: {error.what}")
                continue
            videos.update(table["video"].to_pylist())
            if not is_unchanged:
                problems.append(f"{shard.name}: changed since it was written")
                for row in table.to_pylist():
                    if not is_intact(row):
                        problems.append(
                            f"{shard.name}: the row of {row['video']} changed"
                        )
        if (self.folder / CARD_FILE).read_bytes() != self.card.to_bytes():
            problems.append(f"{CARD_FILE}: changed since it was written")
        if not self._is_plan_intact(videos):
            problems.append(f"{PLAN_FILE}: missing, or changed since it was written")
        return problems

    def _is_plan_intact(self, videos: set[str]) -> bool:
        """Return whether the plan is unchanged and contains the videos.

        A job may extend the plan meanwhile: it is read once, and after the videos.
        """
        path = self.folder / PLAN_FILE
        if not path.exists():
            return not videos
        content = path.read_bytes()
        try:
            planned = json.loads(content)
        except ValueError:
            return False
        return content == encode_json(planned) and videos <= {*planned}

    def _check_rows_exist(
        self, videos: Sequence[str], segment_counts: dict[str, int]
    ) -> None:
        missing = [video for video in videos if video not in segment_counts]
        if missing:
            raise StoreError(
                f"{len(missing)} of {len(videos)} videos are not in the store, "
                f"the first is {missing[0]}",
                file=self.folder,
                fix="run `vaplan features` to fill it",
            )

    def _read_latest(self, columns: list[str]) -> pa.Table:
        return shards.read_latest(self.folder, columns)


@dataclass
class Writer:
    """The only writer of a store while it has the lock, from `Store.open_writer`.

    Attributes:
        store: The store.
        planned: Ids of the planned videos.
        number: Number of the next shard.
    """

    store: Store
    planned: frozenset[str]
    number: int

    def add(self, entries: Sequence[Entry]) -> None:
        """Write the rows of planned videos as one new shard: all of them or none.

        Raises:
            StoreError: A video is not planned, or a feature is not one of the encoder.
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
        shards.write_shard(self.store.folder, self.number, rows)
        self.number += 1


def find_stores(root: Path | str) -> dict[str, Store]:
    """Find the stores below a folder, by store name of the encoder.

    Raises:
        MachineError: A store has another format.
    """
    stores = dict[str, Store]()
    card_files = sorted(Path(root).glob(f"*/{CARD_FILE}"))
    for path in card_files:
        card = Card.read(path)
        stores[card.encoder] = Store(path.parent, card)
    return stores


def _content_hash(table: pa.Table) -> str:
    checksums = table["checksum"].to_pylist()
    return short_hash(b"".join(checksums))

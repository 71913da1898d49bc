"""The feature store: for one encoder, one row a video, with its features or the reason why there
are none.

A store is a folder of Parquet shards. The planned videos stand in it first; a shard is written
beside and renamed, so a shard that exists is whole, and a job that was killed goes on with what
is lacking. Of several rows of one video the latest counts.
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
from vaplan.store.card import Card, canonical, digest, plain, read_json
from vaplan.store.rows import Entry, from_row, intact, to_row
from vaplan.writing import write_bytes

__all__ = ["Card", "Entry", "Store", "Writer", "stores"]

CARD, PLAN = "provenance.json", "plan.json"


@dataclass(frozen=True)
class Store:
    """The features of one encoder; made by `Store.create`, found by `Store.open`."""

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
        """Make an encoder's store below `root`, or find it there, and plan videos for it.

        Args:
            provenance: What makes the encoder this one: weights hash, preprocessing, versions,
                and its "dimension"; JSON values.
            dtype: "float16" for L2-normalised features, else the source's own.

        Raises: StoreError if the store was made by another encoder of this name.
        """
        provenance = plain(provenance)
        card = Card(encoder, provenance["dimension"], dtype, provenance)
        existing_stores = stores(root)
        if encoder in existing_stores:
            existing_stores[encoder].card.refuse_other(
                provenance, dtype=dtype, file=existing_stores[encoder].folder
            )
        store = existing_stores.get(encoder, cls(Path(root) / card.folder_name, card))
        if encoder not in existing_stores:
            with lock_folder(store.folder, kind="store"):
                write_bytes(store.folder / CARD, card.sealed())
        store.plan(planned)
        return store

    @classmethod
    def open(
        cls, root: Path | str, encoder: str, *, provenance: dict[str, Any] | None = None
    ) -> "Store":
        """Find an encoder's store below `root`; with `provenance`, only if the encoder is the
        same still.

        Args:
            root: Folder of the store.
            encoder: Store name of the encoder.
            provenance: Provenance of the encoder.

        Raises: StoreError for no store, or one of another encoder; MachineError for one of
            another format.
        """
        existing_stores = stores(root)
        if encoder not in existing_stores:
            what = (
                f"store of another encoder: asked for {encoder}, it holds "
                f"{', '.join(existing_stores) or 'nothing'}"
            )
            raise StoreError(
                what,
                file=root,
                fix="name one it holds, or run `vaplan features` with that encoder",
            )
        if provenance is not None:
            existing_stores[encoder].card.refuse_other(
                plain(provenance), file=existing_stores[encoder].folder
            )
        return existing_stores[encoder]

    @property
    def planned(self) -> list[str]:
        """Planned videos of the store, in order."""
        path = self.folder / PLAN
        videos: list[str] = read_json(path) if path.exists() else []
        return videos

    def plan(self, videos: Iterable[str]) -> None:
        """Add videos to the planned ones."""
        path, videos = self.folder / PLAN, [*videos]
        if path.exists() and not {*videos} - {*self.planned}:
            return
        with lock_folder(self.folder, kind="store"):
            write_bytes(path, canonical([*dict.fromkeys([*self.planned, *videos])]))

    @contextmanager
    def writing(self) -> Iterator["Writer"]:
        """Be the store's only writer for a while; raises MachineError naming the writer there
        is."""
        with lock_folder(self.folder, kind="store"):
            last = max(map(shards.number, shards.listed(self.folder)), default=-1)
            yield Writer(self, frozenset(self.planned), last + 1)

    def add(self, entries: Sequence[Entry]) -> None:
        """Write one shard; see `Writer.add`."""
        with self.writing() as writer:
            writer.add(entries)

    def statuses(self) -> dict[str, tuple[str, str]]:
        """Per video that has a row its status and the reason for it; quick, as no feature is
        read."""
        names = ["video", "status", "reason"]
        video, status, reason = (
            column.to_pylist() for column in self._latest(names).select(names)
        )
        return dict(zip(video, zip(status, reason, strict=True), strict=True))

    def lacking(self, videos: Iterable[str], *, retry: str | None = None) -> list[str]:
        """List videos without a row, or with a failure whose reason contains `retry`.

        Args:
            videos: Ids of the videos.
            retry: Text in the reason of failures to list as well.
        """
        statuses = self.statuses()

        def done(video: str) -> bool:
            status, reason = statuses.get(video, ("", ""))
            again = (
                status == "failed"
                and retry is not None
                and retry.casefold() in reason.casefold()
            )
            return bool(status) and not again

        return [video for video in dict.fromkeys(videos) if not done(video)]

    def entries(self) -> Iterator[Entry]:
        """Every video's entry, in the order of writing; one shard is held at a time."""
        table, paths = self._latest(["video"]), shards.listed(self.folder)
        for shard, rows, _ in shards.by_shard(table["video"].to_pylist(), table):
            whole, _ = shards.load_whole(paths[shard])
            for row in whole.take(pa.array(np.sort(rows))).to_pylist():
                yield from_row(
                    row, dimension=self.card.dimension, dtype=self.card.dtype
                )

    def read(
        self, videos: Sequence[str], *, zeros: Callable[..., np.ndarray] = np.zeros
    ) -> tuple[
        Float32[np.ndarray, "video time feature"], Bool[np.ndarray, "video time"]
    ]:
        """The features of `videos` in that order, padded to the longest; zeros and False where
        masked.

        `zeros` makes the array of the features, outside the memory for example; one shard is held
        at a time.

        Args:
            videos: Ids of the videos.
            zeros: Function that makes the array.

        Raises: StoreError naming the videos that have no row, or features that are not what was
            written.
        """
        table, paths = self._latest(["video", "segments"]), shards.listed(self.folder)
        segments = dict(
            zip(table["video"].to_pylist(), table["segments"].to_pylist(), strict=True)
        )
        if lacking := [video for video in videos if video not in segments]:
            what = (
                f"{len(lacking)} of {len(videos)} videos are not in the store, the "
                f"first is {lacking[0]}"
            )
            raise StoreError(
                what, file=self.folder, fix="run `vaplan features` to fill it"
            )
        longest = max((segments[video] for video in videos), default=0)
        feature = zeros((len(videos), longest, self.card.dimension), np.float32)
        mask = np.zeros((len(videos), longest), dtype=bool)
        for shard, rows, places in shards.by_shard(videos, table):
            block = shards.block(paths[shard], rows, self.card)
            inside = np.arange(longest) < block.segments[:, None]
            v, t = np.nonzero(inside)
            mask[places[v], t] = block.mask
            v, t = np.nonzero(inside & block.featured[:, None])
            feature[places[v], t] = block.feature
        return feature, mask

    def content_hash(self) -> str:
        """Compute a digest of all features that does not depend on order and shards."""
        return _content_hash(self._latest(["video", "checksum"]))

    def info(self) -> dict[str, Any]:
        """Describe the content of the store as JSON values."""
        table, paths = (
            self._latest(["video", "status", "reason", "segments", "checksum"]),
            shards.listed(self.folder),
        )
        status, planned = Counter(table["status"].to_pylist()), self.planned
        return {
            **asdict(self.card),
            "folder": str(self.folder),
            "planned": len(planned),
            "lacking": len({*planned} - {*table["video"].to_pylist()}),
            **{kind: status[kind] for kind in ("ok", "absent", "failed")},
            "segments": sum(table["segments"].to_pylist()),
            "reasons": dict(
                Counter(reason for reason in table["reason"].to_pylist() if reason)
            ),
            "shards": len(paths),
            "bytes": sum(path.stat().st_size for path in paths),
            "content_hash": _content_hash(table),
        }

    def verify(self) -> list[str]:
        """Read every byte and describe each change since it was written.

        A planned video without a row is not damage; see `lacking`. A store can be verified
        while a job writes into it.
        """
        problems = list[str]()
        verified = set[str]()
        for shard in shards.listed(self.folder):
            try:
                table, whole = shards.load_whole(shard)
            except VaplanError as error:
                problems.append(f"{shard.name}: {error.what}")
                continue
            verified.update(table["video"].to_pylist())
            if not whole:
                changed = [row["video"] for row in table.to_pylist() if not intact(row)]
                problems.append(f"{shard.name}: changed since it was written")
                problems += [
                    f"{shard.name}: the row of {video} changed" for video in changed
                ]
        if (self.folder / CARD).read_bytes() != self.card.sealed():
            problems.append(f"{CARD}: changed since it was written")
        if not self._plan_is_intact(verified):
            problems.append(f"{PLAN}: not there, or changed since it was written")
        return problems

    def _plan_is_intact(self, videos: set[str]) -> bool:
        """Return whether the plan contains the videos; it is read after them, and once."""
        path = self.folder / PLAN
        if not path.exists():
            return not videos
        content = path.read_bytes()
        try:
            planned = json.loads(content)
        except ValueError:
            return False
        return content == canonical(planned) and videos <= {*planned}

    def _latest(self, columns: list[str]) -> pa.Table:
        return shards.latest(self.folder, columns)


@dataclass
class Writer:
    """The only writer of a store while it has the lock; made by `Store.writing`."""

    store: Store
    planned: frozenset[str]
    number: int  # of the next shard

    def add(self, entries: Sequence[Entry]) -> None:
        """Write the rows of some planned videos as one new shard: all of them, or, when killed,
        none."""
        unplanned = sorted({entry.video for entry in entries} - self.planned)
        if unplanned:
            raise StoreError(
                f"{unplanned[0]} is not planned",
                file=self.store.folder,
                fix="call `plan` first",
            )
        card = self.store.card
        shards.write(
            self.store.folder,
            self.number,
            [
                to_row(entry, dimension=card.dimension, dtype=card.dtype)
                for entry in entries
            ],
        )
        self.number += 1


def _content_hash(table: pa.Table) -> str:
    return digest(b"".join(table["checksum"].to_pylist()))


def stores(root: Path | str) -> dict[str, Store]:
    """The stores below a folder, by encoder name; raises MachineError if one is of another
    format."""
    cards = {
        path.parent: Card.read(path) for path in sorted(Path(root).glob(f"*/{CARD}"))
    }
    return {card.encoder: Store(folder, card) for folder, card in cards.items()}

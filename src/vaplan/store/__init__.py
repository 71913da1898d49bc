"""The feature store: for one encoder, one row a video, with its features or the reason why there are none.

A store is a folder of Parquet shards. The planned videos stand in it first; a shard is written beside and
renamed, so a shard that exists is whole, and a job that was killed goes on with what is lacking. Of several
rows of one video the latest counts.
"""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from jaxtyping import Bool, Float32

from vaplan.errors import MachineError, StoreError
from vaplan.store.card import FORMAT, Card, canonical, digest, plain
from vaplan.store.disk import locked, publish
from vaplan.store.rows import SCHEMA, Entry, from_row, intact, to_row

__all__ = ["Card", "Entry", "Store", "stores"]


@dataclass(frozen=True)
class Store:
    """The features of one encoder; made by `Store.create`, found by `Store.open`."""

    folder: Path
    card: Card
    _held: list[bool] = field(default_factory=list, repr=False, compare=False)  # whether we are writing

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
            provenance: What makes the encoder this one: weights hash, preprocessing, versions, and its
                "dimension"; JSON values.
            dtype: "float16" for L2-normalised features, else the source's own.

        Raises: StoreError if the store was made by another encoder of this name.
        """
        provenance = plain(provenance)
        card = Card(encoder, provenance["dimension"], dtype, provenance)
        known = stores(root)
        if encoder in known:
            known[encoder].card.refuse_other(provenance, dtype=dtype, file=known[encoder].folder)
        store = known.get(encoder, cls(Path(root) / card.folder_name, card))
        if encoder not in known:
            publish(store.folder / "provenance.json", canonical(asdict(card)))
        store.plan(planned)
        return store

    @classmethod
    def open(cls, root: Path | str, encoder: str, *, provenance: dict[str, Any] | None = None) -> "Store":
        """Find an encoder's store below `root`; with `provenance`, only if the encoder is the same still.

        Raises: StoreError for no store, or one of another encoder; MachineError for one of another format.
        """
        known = stores(root)
        if encoder not in known:
            what = f"store of another encoder: asked for {encoder}, it holds {', '.join(known) or 'nothing'}"
            raise StoreError(what, file=root, fix="name one it holds, or run `vaplan features` with that encoder")
        if provenance is not None:
            known[encoder].card.refuse_other(plain(provenance), file=known[encoder].folder)
        return known[encoder]

    @property
    def planned(self) -> list[str]:
        """The videos the store is to hold, in the order they were planned."""
        path = self.folder / "plan.json"
        videos: list[str] = json.loads(path.read_text("utf-8")) if path.exists() else []
        return videos

    def plan(self, videos: Iterable[str]) -> None:
        """Add videos to the planned ones."""
        before = self.planned
        new = dict.fromkeys([*before, *videos])
        if len(new) > len(before) or not before:
            with self.writing():
                publish(self.folder / "plan.json", canonical([*new]))

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Be the store's only writer for a while; raises MachineError naming the writer there is."""
        with nullcontext() if self._held else locked(self.folder):
            self._held.append(True)
            try:
                yield
            finally:
                self._held.pop()

    def add(self, entries: Sequence[Entry]) -> None:
        """Write the rows of some planned videos as one new shard: all of them, or, when killed, none."""
        unplanned = sorted({entry.video for entry in entries} - {*self.planned})
        if unplanned:
            raise StoreError(f"{unplanned[0]} is not planned", file=self.folder, fix="call `plan` first")
        rows = [to_row(entry, dimension=self.card.dimension, dtype=self.card.dtype) for entry in entries]
        sink = pa.BufferOutputStream()
        table = pa.Table.from_pylist(rows, schema=SCHEMA)
        pq.write_table(table, sink, compression="none", use_dictionary=False, write_statistics=False)
        content = sink.getvalue().to_pybytes()
        with self.writing():
            number = 1 + max((int(shard.name.split("-")[1]) for shard in self._shards()), default=-1)
            publish(self.folder / f"shard-{number:06d}-{digest(content)}.parquet", content)

    def statuses(self) -> dict[str, tuple[str, str]]:
        """Per video that has a row its status and the reason for it; quick, as no feature is read."""
        rows = self._latest(["video", "status", "reason"]).values()
        return {row["video"]: (row["status"], row["reason"]) for row in rows}

    def lacking(self, videos: Iterable[str], *, retry: str | None = None) -> list[str]:
        """Those of `videos` without a row, or with a failed one whose reason contains `retry`."""
        statuses = self.statuses()

        def done(video: str) -> bool:
            status, reason = statuses.get(video, ("", ""))
            again = status == "failed" and retry is not None and retry.casefold() in reason.casefold()
            return bool(status) and not again

        return [video for video in dict.fromkeys(videos) if not done(video)]

    def entries(self) -> Iterator[Entry]:
        """Every video's entry, by video id."""
        for _, row in sorted(self._latest(SCHEMA.names).items()):
            yield from_row(row, dimension=self.card.dimension)

    def read(
        self, videos: Sequence[str]
    ) -> tuple[Float32[np.ndarray, "video time feature"], Bool[np.ndarray, "video time"]]:
        """The features of `videos` in that order, padded to the longest; zeros and False where masked.

        Raises: StoreError naming the videos that have no row, or features that are not what was written.
        """
        rows = self._latest(SCHEMA.names, only=videos)
        lacking = [video for video in videos if video not in rows]
        if lacking:
            what = f"{len(lacking)} of {len(videos)} videos are not in the store, the first is {lacking[0]}"
            raise StoreError(what, file=self.folder, fix="run `vaplan features` to fill it")
        longest = max((rows[video]["segments"] for video in videos), default=0)
        feature = np.zeros((len(videos), longest, self.card.dimension), np.float32)
        mask = np.zeros((len(videos), longest), dtype=bool)
        for v, video in enumerate(videos):
            entry = from_row(rows[video], dimension=self.card.dimension)
            mask[v, : len(entry.mask)] = entry.mask
            if entry.feature is not None:
                feature[v, : len(entry.mask)] = entry.feature
        return feature, mask

    def content_hash(self) -> str:
        """A digest of all features, whatever the order and grouping in which they were written."""
        rows = self._latest(["video", "checksum"])
        return digest(b"".join(row["checksum"] for _, row in sorted(rows.items())))

    def info(self) -> dict[str, Any]:
        """What the store holds, as JSON values."""
        rows = self._latest(["video", "status", "reason", "segments"])
        status = Counter(row["status"] for row in rows.values())
        return {
            **asdict(self.card),
            "folder": str(self.folder),
            "planned": len(self.planned),
            "lacking": len(self.lacking(self.planned)),
            **{kind: status[kind] for kind in ("ok", "absent", "failed")},
            "segments": sum(row["segments"] for row in rows.values()),
            "reasons": dict(Counter(row["reason"] for row in rows.values() if row["reason"])),
            "shards": len(self._shards()),
            "bytes": sum(shard.stat().st_size for shard in self._shards()),
            "content_hash": self.content_hash(),
        }

    def verify(self) -> list[str]:
        """Every problem there is: a changed byte, a changed row, a planned video without a row."""
        problems, seen = [], set()
        for shard in self._shards():
            if digest(shard.read_bytes()) not in shard.name:
                problems.append(f"{shard.name}: changed since it was written")
            try:
                rows = _load(shard, SCHEMA.names)
            except StoreError as error:
                problems.append(f"{shard.name}: {error.what}")
                continue
            seen |= {row["video"] for row in rows}
            problems += [f"{shard.name}: the row of {r['video']} changed" for r in rows if not intact(r)]
        return problems + [f"no row: {video}" for video in self.planned if video not in seen]

    def _shards(self) -> list[Path]:
        return sorted(self.folder.glob("shard-*.parquet"))

    def _latest(self, columns: list[str], *, only: Sequence[str] | None = None) -> dict[str, dict[str, Any]]:
        rows = (row for shard in self._shards() for row in _load(shard, columns, only=only))
        return {row["video"]: row for row in rows}


def stores(root: Path | str) -> dict[str, Store]:
    """The stores below a folder, by encoder name; raises MachineError if one is of another format."""
    found = {}
    for path in sorted(Path(root).glob("*/provenance.json")):
        card = json.loads(path.read_text("utf-8"))
        if card.get("format") != FORMAT:
            what = f"store of format {card.get('format')}; this vaplan reads format {FORMAT}"
            raise MachineError(what, file=path, fix=f"use vaplan {card.get('vaplan')} or make a new store")
        found[card["encoder"]] = Store(path.parent, Card(**card))
    return found


def _load(shard: Path, columns: list[str], *, only: Sequence[str] | None = None) -> list[dict[str, Any]]:
    try:
        table = pq.read_table(shard, columns=columns)
    except (OSError, pa.ArrowException) as error:
        raise StoreError(f"cannot be read ({error})", file=shard, fix="run `vaplan store verify`") from error
    if only is not None:
        table = table.filter(pc.is_in(table["video"], pa.array(only, pa.string())))
    rows: list[dict[str, Any]] = table.to_pylist()
    return rows

"""Progress of the jobs that fill a store, read from its shards while they run."""

import re
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Float, Integer

from vaplan.objects import glob, stat_all
from vaplan.store import Store, read_plan, shards
from vaplan.store.index import read_latest
from vaplan.store.parts import FOLDERS
from vaplan.store.rows import STATUSES

RATE_SECONDS = 1800.0  # a rate is a mean over this time before the last shard
IDLE_SECONDS = 900.0  # without a shard, after which no job seems to run
SLOW_SHARE = 0.5  # of the median rate of all parts


@dataclass(frozen=True)
class PartProgress:
    """Progress of one part of a store, or of the store itself.

    Attributes:
        name: Name of the part; empty for shards outside all parts.
        planned: Number of planned videos.
        ok: Number of videos with features.
        absent: Number of videos without the modality.
        failed: Number of videos that failed.
        missing: Number of planned videos without a row.
        rate: Videos a second at the end of the last job; None if fewer than two shards tell it.
        last_write: Seconds since the last shard was written; None without a shard.
    """

    name: str
    planned: int
    ok: int
    absent: int
    failed: int
    missing: int
    rate: float | None
    last_write: float | None

    @property
    def is_running(self) -> bool:
        """Return whether videos are missing and a shard was written a short time ago."""
        if self.last_write is None or not self.missing:
            return False
        return self.last_write < IDLE_SECONDS

    @property
    def seconds_left(self) -> float | None:
        """Return the time until no video is missing; None if it is not known."""
        if not self.missing:
            return 0.0
        return self.missing / self.rate if self.rate and self.is_running else None


@dataclass(frozen=True)
class StoreProgress:
    """Progress of a store.

    Attributes:
        encoder: Name of the encoder with its modality.
        parts: Progress of the parts; a single one for a store without parts.
        reasons: Number of failed videos by reason, the most frequent first. File names and
            numbers are left out of the reasons.
    """

    encoder: str
    parts: tuple[PartProgress, ...]
    reasons: dict[str, int]

    @property
    def missing(self) -> int:
        """Return the number of planned videos without a row."""
        return sum(part.missing for part in self.parts)

    @property
    def rate(self) -> float | None:
        """Return the videos a second of all parts that seem to run; None if none does."""
        rates = [part.rate for part in self.parts if part.is_running and part.rate]
        return sum(rates) if rates else None

    @property
    def seconds_left(self) -> float | None:
        """Return the time until the last part has ended; None if one does not run."""
        seconds = [part.seconds_left for part in self.parts]
        known = [value for value in seconds if value is not None]
        return max(known, default=0.0) if len(known) == len(seconds) else None

    def slow_parts(self) -> list[str]:
        """List the parts that run at less than half the median rate of all parts."""
        rates = {
            part.name: part.rate
            for part in self.parts
            if part.is_running and part.rate is not None
        }
        limit = SLOW_SHARE * float(np.median([*rates.values()])) if rates else 0.0
        return [name for name, rate in rates.items() if rate < limit]

    def stopped_parts(self) -> list[str]:
        """List the parts that lack videos and seem to have no job."""
        return [
            part.name for part in self.parts if part.missing and not part.is_running
        ]


def read_progress(store: Store, *, now: float | None = None) -> StoreProgress:
    """Read the progress of a store; jobs may write into it at the same time.

    Args:
        store: Store to read.
        now: Seconds of the clock since 1970; by default the present.
    """
    now = time.time() if now is None else now
    paths = shards.list_shards(store.folder)
    written = np.array([status.changed for status in stat_all(paths)])
    table = read_latest(paths, ["video", "status", "reason"])
    folders = [store.folder, *sorted(glob(store.folder, FOLDERS), key=_part_number)]
    folder_of_shard = np.array([folders.index(path.parent) for path in paths], int)
    folder_of_row = folder_of_shard[table["shard"].to_numpy()]
    rows = np.bincount(table["shard"].to_numpy(), minlength=len(paths))

    parts = list[PartProgress]()
    for number, folder in enumerate(folders):
        planned = read_plan(folder)
        in_folder = folder_of_shard == number
        if not planned and not in_folder.any():
            continue

        statuses = table["status"].filter(pa.array(folder_of_row == number))
        counts = Counter(statuses.to_pylist())
        times = written[in_folder]
        parts.append(
            PartProgress(
                name=folder.name if number else "",
                planned=len(planned),
                **{status: counts[status] for status in STATUSES},
                missing=_count_missing(planned, table),
                rate=_rate(times, rows[in_folder]),
                last_write=max(0.0, now - float(times.max())) if len(times) else None,
            )
        )
    return StoreProgress(store.card.encoder, tuple(parts), _count_reasons(table))


def _count_reasons(table: pa.Table) -> dict[str, int]:
    """Count the failed videos by reason, the most frequent one first."""
    failed = table.filter(pc.equal(table["status"], "failed"))
    reasons = failed["reason"].to_pylist()
    videos = failed["video"].to_pylist()
    counts = Counter(
        shorten_reason(reason, video)
        for reason, video in zip(reasons, videos, strict=True)
    )
    return dict(counts.most_common())


def _part_number(folder: Path) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", folder.name))


def _count_missing(planned: Sequence[str], table: pa.Table) -> int:
    ids = pa.array(planned, pa.string())
    is_written = pc.is_in(ids, value_set=table["video"].combine_chunks())
    return len(planned) - int(pc.sum(is_written).as_py() or 0)


def _rate(
    times: Float[np.ndarray, " shard"], rows: Integer[np.ndarray, " shard"]
) -> float | None:
    """Compute the videos a second of the last shards.

    The first shard in the window only marks the start, because its videos were encoded before.

    >>> _rate(np.array([0.0, 10.0, 20.0]), np.array([64, 50, 50]))
    5.0

    Args:
        times: Times at which the shards were written, in seconds.
        rows: Number of videos of each shard.
    """
    order = np.argsort(times, kind="stable")
    times = times[order]
    rows = rows[order]
    recent = times > times.max(initial=0.0) - RATE_SECONDS
    if recent.sum() < 2:
        return None
    times = times[recent]
    rows = rows[recent]
    seconds = float(times[-1] - times[0])
    return float(rows[1:].sum()) / seconds if seconds > 0 else None


def shorten_reason(reason: str, video: str) -> str:
    """Return a reason without file, fix and numbers, so that equal causes have one text.

    >>> shorten_reason("media/a1.mp4: empty file. Fix: copy it again.", "a1")
    'empty file'
    >>> shorten_reason("gave no result within 600 s", "a1")
    'gave no result within N s'

    Args:
        reason: Reason of one failure.
        video: Id of the video.
    """
    what = reason.partition(" Fix: ")[0].strip().rstrip(".")
    place, separator, rest = what.partition(": ")
    if separator and ("/" in place or video in place):
        what = rest
    what = what.replace(video, "…")
    return re.sub(r"\d+(\.\d+)?", "N", what)

"""Media files to feature vectors: every file is decoded once and encoded by every encoder that lacks it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from vaplan import encoders
from vaplan.annotations import Annotations
from vaplan.arrays import AUDIO
from vaplan.encoders import Encoder
from vaplan.errors import VaplanError
from vaplan.media import Segments
from vaplan.stages.data import Encoders, MediaFolder
from vaplan.stages.workers import Failed, supervised
from vaplan.store import Entry, Store

Progress = Callable[[int, int, str], None]  # done, of, what went wrong with the last one
Pair = tuple[int, str]  # modality and encoder name
Entries = dict[Pair, Entry]

SHARD = 64  # videos written together; what an interruption can cost


@dataclass(frozen=True)
class Outcome:
    """What happened to the videos of a data set; `failed` holds ids and one-line reasons."""

    done: int
    already: int
    failed: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Job:
    """One file to decode, and the encoders to run on it."""

    video: str
    path: Path
    encoders: tuple[Pair, ...]


def features(
    data: Annotations,
    media: Path,
    store: Path,
    *,
    names: Encoders,
    workers: int | None = None,
    retry: str | None = None,
    progress: Progress | None = None,
) -> Outcome:
    """Bring the store up to date with the data set; what is there already is not touched.

    Args:
        names: Encoder names per modality, in modality order.
        retry: Try those again whose recorded failure contains this text.
    """
    pairs = [(modality, name) for modality, group in enumerate(names) for name in group]
    stores = {pair: _create(store, pair, planned=data.ids) for pair in pairs}
    lacking = {pair: set(stores[pair].lacking(data.ids, retry=retry)) for pair in pairs}
    jobs, failed = _plan(data, MediaFolder(media, table=data.source), lacking)
    _write(stores, [_all_failed(job, reason) for job, reason in failed])
    done, total, buffer, reasons = 0, len(jobs) + len(failed), list[Entries](), list[tuple[str, str]]()

    def tell(video: str, reason: str) -> None:
        nonlocal done
        done += 1
        if reason:
            reasons.append((video, reason))
        if progress:
            progress(done, total, reason)

    for job, reason in failed:
        tell(job.video, reason)
    for job, result in supervised(encode, jobs, workers=workers, prepare=_prepare, arguments=[pairs]):
        reason = result.reason if isinstance(result, Failed) else ""
        buffer.append(_all_failed(job, reason) if isinstance(result, Failed) else result)
        tell(job.video, reason)
        if len(buffer) == SHARD:
            _write(stores, buffer)
            buffer.clear()
    _write(stores, buffer)
    return Outcome(total - len(reasons), len(data.ids) - total, tuple(reasons))


def _create(root: Path, pair: Pair, *, planned: Sequence[str]) -> Store:
    encoder = encoders.load(pair[1], pair[0])
    about = {**encoder.provenance, "dimension": encoder.dimension}
    return Store.create(root, encoders.store_name(pair[1], pair[0]), about, planned=planned)


def _plan(
    data: Annotations, folder: MediaFolder, lacking: dict[Pair, set[str]]
) -> tuple[list[Job], list[tuple[Job, str]]]:
    """What to decode, and what cannot be found."""
    jobs, failed = list[Job](), list[tuple[Job, str]]()
    for video in data.videos:
        pairs = tuple(pair for pair, ids in lacking.items() if video.video in ids)
        if not pairs:
            continue
        try:
            jobs.append(Job(video.video, folder.find(video), pairs))
        except VaplanError as error:
            failed.append((Job(video.video, Path(), pairs), str(error)))
    return jobs, failed


def _all_failed(job: Job, reason: str) -> Entries:
    nothing = np.zeros(0, dtype=bool)
    return {pair: Entry(job.video, None, nothing, "failed", reason) for pair in job.encoders}


def _write(stores: dict[Pair, Store], done: Sequence[Entries]) -> None:
    for pair, store in stores.items():
        if rows := [entries[pair] for entries in done if pair in entries]:
            store.add(rows)


_LOADED: dict[Pair, Encoder] = {}  # a worker's encoders


def _prepare(pairs: Sequence[Pair]) -> None:
    torch.set_num_threads(1)
    _LOADED.update({pair: encoders.load(pair[1], pair[0]) for pair in pairs})


def encode(job: Job) -> Entries:
    """Decode one file and encode it with the worker's encoders."""
    loaded = {pair: _LOADED[pair] for pair in job.encoders}
    decoded = encoders.decode(job.path, list(loaded.values()))
    return {pair: entry(job.video, decoded, encoder) for pair, encoder in loaded.items()}


def entry(video: str, decoded: Segments, encoder: Encoder) -> Entry:
    """One video's row in one encoder's store; a modality that the file lacks is absent, never zeros."""
    mask = decoded.mask[:, encoder.modality]
    if not mask.any():
        kind = "sound" if encoder.modality == AUDIO else "picture"
        return Entry(video, None, mask, "absent", f"the file has no {kind}", decoded.warnings)
    return Entry(video, encoder.embed(decoded), mask, "ok", "", decoded.warnings)

"""Media files to feature vectors: every file is decoded once and encoded by every encoder that lacks it."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from vaplan import encoders
from vaplan.annotations import Annotations
from vaplan.arrays import AUDIO
from vaplan.encoders import Encoded, Encoder
from vaplan.errors import VaplanError
from vaplan.stages.data import NO_FILE, Encoders, MediaFolder
from vaplan.stages.workers import Failed, supervised
from vaplan.store import Entry, Store, Writer

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
    limit: int | None = None,
    progress: Progress | None = None,
) -> Outcome:
    """Bring the store up to date with the data set; what is there already is not touched.

    Args:
        names: Encoder names per modality, in modality order.
        retry: Try those again whose recorded failure contains this text; files that were not there are looked for
            again in any case.
        limit: Decode at most so many files now.
    """
    pairs = [(modality, name) for modality, group in enumerate(names) for name in group]
    stores = {pair: _create(store, pair, planned=data.ids) for pair in pairs}
    folder = MediaFolder(media, table=data.source)
    with ExitStack() as held:  # another job on this store has to wait until this one ends
        writers = {pair: held.enter_context(store.writing()) for pair, store in stores.items()}
        return _fill(data, folder, writers, retry=retry, limit=limit, workers=workers, progress=progress)


def _fill(
    data: Annotations,
    folder: MediaFolder,
    writers: dict[Pair, Writer],
    *,
    retry: str | None,
    limit: int | None,
    workers: int | None,
    progress: Progress | None,
) -> Outcome:
    new = {pair: set(writer.store.lacking(data.ids)) for pair, writer in writers.items()}
    again = [text for text in (retry, NO_FILE) if text is not None]
    lacking = {
        pair: new[pair].union(*(writer.store.lacking(data.ids, retry=text) for text in again))
        for pair, writer in writers.items()
    }
    jobs, failed = _plan(data, folder, lacking)
    jobs = jobs[:limit]
    absent = [(job.video, _all_failed(job, reason)) for job, reason in failed]
    _write(writers, [{p: row for p, row in rows.items() if video in new[p]} for video, rows in absent])  # once
    done, total, buffer, reasons = 0, len(jobs) + len(failed), list[Entries](), list[tuple[str, str]]()
    already = len(data.ids) - len(set().union(*lacking.values()))

    def tell(video: str, reason: str) -> None:
        nonlocal done
        done += 1
        if reason:
            reasons.append((video, reason))
        if progress:
            progress(done, total, reason)

    for job, reason in failed:
        tell(job.video, reason)
    try:
        for job, result in supervised(encode, jobs, workers=workers, prepare=_prepare, arguments=[list(writers)]):
            reason = result.reason if isinstance(result, Failed) else ""
            buffer.append(_all_failed(job, reason) if isinstance(result, Failed) else result)
            tell(job.video, reason)
            if len(buffer) == SHARD:
                _write(writers, buffer)
                buffer.clear()
    finally:  # an interruption keeps what is finished
        _write(writers, buffer)
    return Outcome(total - len(reasons), already, tuple(reasons))


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


def _write(writers: dict[Pair, Writer], done: Sequence[Entries]) -> None:
    for pair, writer in writers.items():
        if rows := [entries[pair] for entries in done if pair in entries]:
            writer.add(rows)


_LOADED: dict[Pair, Encoder] = {}  # a worker's encoders


def _prepare(pairs: Sequence[Pair]) -> None:
    torch.set_num_threads(1)
    _LOADED.update({pair: encoders.load(pair[1], pair[0]) for pair in pairs})


def encode(job: Job) -> Entries:
    """Decode one file and encode it with the worker's encoders."""
    encoded = encoders.encode(job.path, [_LOADED[pair] for pair in job.encoders])
    return {pair: entry(job.video, encoded, number, pair[0]) for number, pair in enumerate(job.encoders)}


def entry(video: str, encoded: Encoded, number: int, modality: int) -> Entry:
    """One video's row in the store of the encoder of this number; a modality that the file lacks is absent."""
    mask = encoded.mask[:, modality]
    if not mask.any():
        kind = "sound" if modality == AUDIO else "picture"
        return Entry(video, None, mask, "absent", f"the file has no {kind}", encoded.warnings)
    return Entry(video, encoded.vectors[number], mask, "ok", "", encoded.warnings)

"""Media files to feature vectors: every file is decoded once and encoded by every encoder that
lacks it."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from pathlib import Path

import numpy as np
import torch

from vaplan import encoders as encoder_models
from vaplan.annotations import Annotations
from vaplan.annotations.media_files import NO_FILE, MediaFolder
from vaplan.arrays import AUDIO
from vaplan.dataset import Encoders
from vaplan.encoders import EncodedVideo, Encoder
from vaplan.encoders.compute import AUTO_COMPUTE, Compute
from vaplan.errors import MediaError, StoreError
from vaplan.media import CENTRE, Cut, time_limit
from vaplan.store import Entry, Store, Writer, find_stores
from vaplan.workers import Engine, Failed, Progress, run_supervised
from vaplan.workers.processes import run_in_order
from vaplan.writing import delay_interruptions

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
    media: Path | str,
    store: Path | str,
    *,
    encoders: Encoders,
    workers: int | None = None,
    retry: str | None = None,
    limit: int | None = None,
    progress: Progress | None = None,
    engine: Engine = run_in_order,
    compute: Compute = AUTO_COMPUTE,
    sampling: str = CENTRE,
    allow_outside: bool = False,
    timeout: float | None = None,
) -> Outcome:
    """Bring the store up to date with the data set; what is there already is not touched.

    Args:
        encoders: Names of the encoders per modality, in modality order.
        retry: Try those again whose recorded failure contains this text; files that were not
            there are looked for again in any case.
        limit: Decode at most so many files now.
        engine: What runs the workers.
        compute: Where and how exactly the encoders run; what is left open is as it was when a
            store was begun.
        sampling: When pictures are taken; see `media.Cut`.
        allow_outside: Accept paths of videos that lead out of the media folder.
        timeout: Seconds that one file may take; by default ten minutes and one second per
            MB.
    """
    Cut(sampling=sampling)  # refuses a name that does not exist
    pairs = [
        (modality, name) for modality, group in enumerate(encoders) for name in group
    ]
    store_folder = Path(store)
    folder = MediaFolder(Path(media), table=data.source, allow_outside=allow_outside)
    stores = {
        pair: _create(
            store_folder, pair, planned=data.ids, compute=compute, sampling=sampling
        )
        for pair in pairs
    }
    computes = {
        pair: compute.with_defaults(Compute.from_provenance(open_store.card.provenance))
        for pair, open_store in stores.items()
    }
    with (
        ExitStack() as stack
    ):  # another job on this store has to wait until this one ends
        writers = {
            pair: stack.enter_context(store.open_writer())
            for pair, store in stores.items()
        }
        jobs, unfound = _plan(data, folder, stores, retry=retry)
        already, jobs = len(data.ids) - len(jobs) - len(unfound), jobs[:limit]
        total = len(jobs) + len(unfound)
        work = partial(encode, sampling=sampling)
        results = run_supervised(
            work,
            jobs,
            workers=workers,
            prepare=_prepare,
            arguments=[computes],
            seconds=timeout or _time_limit,
            engine=engine,
        )
        failed = _fill(writers, chain(unfound, results), total=total, progress=progress)
    return Outcome(total - len(failed), already, tuple(failed))


def _time_limit(job: Job) -> float:
    return time_limit(job.path)


def _create(
    root: Path, pair: Pair, *, planned: Sequence[str], compute: Compute, sampling: str
) -> Store:
    """Make or find a store; one that is there says by its provenance what is left open of
    `compute`."""
    name = encoder_models.store_name(pair[1], pair[0])
    if begun := find_stores(root).get(name):
        _refuse_other_sampling(begun, sampling)
        was = Compute.from_provenance(begun.card.provenance)
        compute = compute.with_defaults(was)
        if compute.provenance != was.provenance:
            options = f"--device {was.device} --precision {was.precision}"
            what = f"store of another encoder: {name} was begun with {options}"
            raise StoreError(
                what,
                file=begun.folder,
                fix="leave the two options out, or give another --store",
            )
    encoder = encoder_models.load(pair[1], pair[0], compute=compute)
    provenance = {**encoder.provenance, "dimension": encoder.dimension}
    provenance |= {} if sampling == CENTRE else {"sampling": sampling}
    return Store.create(root, name, provenance, planned=planned)


def _refuse_other_sampling(begun: Store, sampling: str) -> None:
    was = begun.card.provenance.get("sampling", CENTRE)
    if was != sampling:
        what = f"store of another sampling: {begun.card.encoder} was begun with --sampling {was}, not {sampling}"
        raise StoreError(
            what,
            file=begun.folder,
            fix=f"say --sampling {was}, or give another --store",
        )


def _plan(
    data: Annotations,
    folder: MediaFolder,
    stores: dict[Pair, Store],
    *,
    retry: str | None,
) -> tuple[list[Job], list[tuple[Job, Failed]]]:
    """What to decode, and what cannot be found, which is recorded once."""
    new = {pair: set(store.list_missing(data.ids)) for pair, store in stores.items()}
    again = [text for text in (retry, NO_FILE) if text is not None]
    lacking = {
        pair: new[pair].union(
            *(store.list_missing(data.ids, retry=text) for text in again)
        )
        for pair, store in stores.items()
    }
    jobs, unfound = list[Job](), list[tuple[Job, Failed]]()
    for video in data.videos:
        if not any(video.video in ids for ids in lacking.values()):
            continue
        try:
            jobs.append(
                Job(video.video, folder.find(video), _pairs(lacking, video.video))
            )
        except MediaError as error:
            unfound.append(
                (Job(video.video, Path(), _pairs(new, video.video)), Failed(str(error)))
            )
    return jobs, unfound


def _pairs(missing: dict[Pair, set[str]], video: str) -> tuple[Pair, ...]:
    return tuple(pair for pair, videos in missing.items() if video in videos)


def _fill(
    writers: dict[Pair, Writer],
    results: Iterator[tuple[Job, Entries | Failed]],
    *,
    total: int,
    progress: Progress | None,
) -> list[tuple[str, str]]:
    """Write what comes, shard by shard; return the videos that failed, with the reasons."""
    waiting, failed = _Waiting(writers), list[tuple[str, str]]()
    try:
        for done, (job, result) in enumerate(results, start=1):
            reason = result.reason if isinstance(result, Failed) else ""
            waiting.add(
                _all_failed(job, reason) if isinstance(result, Failed) else result
            )
            if reason:
                failed.append((job.video, reason))
            if progress:
                progress(done, total, reason)
    finally:  # an interruption keeps what is finished
        waiting.write()
    return failed


def _all_failed(job: Job, reason: str) -> Entries:
    nothing = np.zeros(0, dtype=bool)
    return {
        pair: Entry(job.video, None, nothing, "failed", reason) for pair in job.encoders
    }


@dataclass
class _Waiting:
    """Videos that wait until there are enough for a shard."""

    writers: dict[Pair, Writer]
    videos: list[Entries] = field(default_factory=list)

    def add(self, entries: Entries) -> None:
        self.videos.append(entries)
        if len(self.videos) >= SHARD:
            self.write()

    def write(self) -> None:
        """Write the videos; those that cannot be written once are not tried again."""
        with delay_interruptions():
            videos = self.videos
            self.videos = []
            for pair, writer in self.writers.items():
                rows = [entries[pair] for entries in videos if pair in entries]
                if rows:
                    writer.add(rows)


_LOADED: dict[Pair, Encoder] = {}  # a worker's encoders


def _prepare(computes: dict[Pair, Compute]) -> None:
    torch.set_num_threads(1)
    _LOADED.update(
        {
            pair: encoder_models.load(pair[1], pair[0], compute=compute)
            for pair, compute in computes.items()
        }
    )


def encode(job: Job, *, sampling: str = CENTRE) -> Entries:
    """Decode one file and encode it with the worker's encoders."""
    encoded = encoder_models.encode(
        job.path, [_LOADED[pair] for pair in job.encoders], sampling=sampling
    )
    return {
        pair: entry(job.video, encoded, number, pair[0])
        for number, pair in enumerate(job.encoders)
    }


def entry(video: str, encoded: EncodedVideo, number: int, modality: int) -> Entry:
    """One video's row in the store of the encoder of this number; a modality that the file lacks
    is absent."""
    mask = encoded.mask[:, modality]
    if not mask.any():
        kind = "sound" if modality == AUDIO else "picture"
        return Entry(
            video, None, mask, "absent", f"the file has no {kind}", encoded.warnings
        )
    return Entry(video, encoded.vectors[number], mask, "ok", "", encoded.warnings)

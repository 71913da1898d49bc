"""`vaplan features`: encode media files and write their features into a store.

Each file is decoded once and encoded by every encoder whose features it lacks.
"""

import socket
import time
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
from vaplan.annotations.media_files import NOT_FOUND, MediaFolder
from vaplan.arrays import AUDIO
from vaplan.dataset import Encoders
from vaplan.encoders import Encoder, remote
from vaplan.encoders.checkpoints import FOLDER, Checkpoint, delete_checkpoint
from vaplan.encoders.compute import AUTO, AUTOMATIC, PLAIN, Compute
from vaplan.encoders.encoded import Encoded
from vaplan.encoders.remote import Pipeline
from vaplan.encoders.service import open_pipeline
from vaplan.errors import MachineError, MediaError, StoreError
from vaplan.media import CENTRE, Sampling, time_limit
from vaplan.objects import is_remote, local_copy, named_errors
from vaplan.store import Entry, Part, Store, Writer, find_stores
from vaplan.workers import Engine, Failed, FileProgress, Progress, run_supervised
from vaplan.workers.processes import ProgressReporter, run_in_order
from vaplan.writing import delay_interruptions

Pair = tuple[int, str]  # modality and encoder name
Entries = dict[Pair, Entry]

SHARD = (
    64  # videos in a shard; an interruption loses none of them, a kill at most these
)
SHARD_SECONDS = 30.0  # a shard is written after this time, even with fewer videos


@dataclass(frozen=True)
class Outcome:
    """Numbers of videos by result.

    Attributes:
        done: Number of videos that were encoded now.
        already: Number of videos that were encoded before.
        failed: Ids of the videos that failed, with one-line reasons.
    """

    done: int
    already: int
    failed: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Job:
    """A file to decode and the encoders to run on it.

    Attributes:
        video: Id of the video.
        path: Media file.
        encoders: Modality and name of each encoder.
    """

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
    file_progress: FileProgress | None = None,
    engine: Engine = run_in_order,
    compute: Compute = AUTOMATIC,
    sampling: str = CENTRE,
    allow_outside: bool = False,
    timeout: float | None = None,
    part: Part | None = None,
    pipeline: bool | None = None,
) -> Outcome:
    """Encode the videos of a data set that the store lacks.

    Args:
        data: Videos.
        media: Folder of the media files.
        store: Feature store; it is created if it does not exist.
        encoders: Names of the encoders per modality, in modality order.
        workers: Number of worker processes.
        retry: Try videos again whose recorded failure contains this text. Videos that had
            no file are always looked for again.
        limit: Largest number of files to decode now.
        progress: Called after every video.
        file_progress: Called within videos that take longer than a few seconds.
        engine: Runs the workers.
        compute: Device and precision of the encoders. A value that is not given is the one
            that the store was started with.
        sampling: Rule of the sampling times of frames; see `media.Sampling`.
        allow_outside: Accept paths of videos that lead out of the media folder.
        timeout: Seconds that one file may take without progress; by default ten minutes
            and one second per MB.
        part: Part of the videos to encode, into its own part of the store. Jobs for other
            parts may run at the same time; all must have the same data set.
        pipeline: Encode in one process for each device, while the workers only decode; by
            default on a GPU, if the engine runs on this machine.

    Returns:
        Numbers of videos by result, and the failures.

    Raises:
        StoreError: The store was started with another encoder or sampling.
        UsageError: The sampling rule is unknown, or `pipeline` does not go with the engine.
    """
    Sampling(rule=sampling)  # raises if the rule is unknown
    pairs = [
        (modality, name) for modality, names in enumerate(encoders) for name in names
    ]
    if part:
        data = data.select_videos(part.select(data.ids))

    folder = MediaFolder(Path(media), table=data.source, allow_outside=allow_outside)
    parts = Path(store) / FOLDER
    create_store = partial(
        _create_store,
        Path(store),
        planned=data.ids,
        compute=compute,
        sampling=sampling,
        part=part,
    )
    stores = {pair: create_store(pair) for pair in pairs}
    computes = {
        pair: compute.with_defaults(Compute.of(pair_store.card.provenance))
        for pair, pair_store in stores.items()
    }

    with ExitStack() as stack:  # another job on this store waits until this one ends
        writers = {
            pair: stack.enter_context(pair_store.open_writer())
            for pair, pair_store in stores.items()
        }
        jobs, not_found = _plan(data, folder, stores, retry=retry)
        already = len(data.ids) - len(jobs) - len(not_found)
        jobs = jobs[:limit]
        total = len(jobs) + len(not_found)
        devices = _devices(compute, computes)
        served = stack.enter_context(
            open_pipeline(
                devices,
                pipeline=pipeline,
                engine=engine,
                is_needed=bool(jobs),
                imports=[__name__],
            )
        )
        results = run_supervised(
            partial(encode, sampling=sampling, parts=parts),
            jobs,
            workers=workers or (served.workers if served else None),
            prepare=_load_encoders,
            arguments=[computes, Path(media), served],
            seconds=timeout or _time_limit,
            imports=encoder_models.LATE_IMPORTS,
            engine=engine,
            watch=partial(_report_progress, file_progress) if file_progress else None,
        )
        failed = _write_results(
            _ShardBuffer(writers, parts),
            chain(not_found, results),
            total=total,
            progress=progress,
            file_progress=file_progress,
        )
    return Outcome(total - len(failed), already, tuple(failed))


def _devices(compute: Compute, computes: dict[Pair, Compute]) -> Compute:
    """Return the devices of the job: the given ones, else the GPU of an encoder, else the CPU."""
    if compute.device != AUTO:
        return compute
    on_gpu = [one for one in computes.values() if one.is_gpu]
    return on_gpu[0] if on_gpu else PLAIN


def _time_limit(job: Job) -> float:
    return time_limit(job.path)


def _report_progress(
    file_progress: FileProgress, job: Job, segments: tuple[int, int]
) -> None:
    done, total = segments
    file_progress(job.video, min(done, total - 1), total)


def _create_store(
    root: Path,
    pair: Pair,
    *,
    planned: Sequence[str],
    compute: Compute,
    sampling: str,
    part: Part | None,
) -> Store:
    """Create the store of an encoder, or open it and compare its provenance."""
    modality, encoder_name = pair
    name = encoder_models.store_name(encoder_name, modality)
    if store := find_stores(root).get(name):
        _check_sampling(store, sampling)
        started_with = Compute.of(store.card.provenance)
        compute = compute.with_defaults(started_with)
        if compute.provenance != started_with.provenance:
            options = (
                f"--device {started_with.device} --precision {started_with.precision}"
            )
            raise StoreError(
                f"store of another encoder: {name} was started with {options}",
                file=store.folder,
                fix="omit the two options, or give another --store",
            )

    encoder = encoder_models.load(encoder_name, modality, compute=compute)
    provenance = {**encoder.provenance, "dimension": encoder.dimension}
    if sampling != CENTRE:
        provenance["sampling"] = sampling
    return Store.create(root, name, provenance, planned=planned, part=part)


def _check_sampling(store: Store, sampling: str) -> None:
    started_with = store.card.provenance.get("sampling", CENTRE)
    if started_with != sampling:
        raise StoreError(
            f"store of another sampling: {store.card.encoder} was started with --sampling "
            f"{started_with}, not {sampling}",
            file=store.folder,
            fix=f"use --sampling {started_with}, or give another --store",
        )


def _plan(
    data: Annotations,
    folder: MediaFolder,
    stores: dict[Pair, Store],
    *,
    retry: str | None,
) -> tuple[list[Job], list[tuple[Job, Failed]]]:
    """Return the files to decode, and the videos that have no file.

    That a video has no file is recorded once.
    """
    retried_reasons = [text for text in (retry, *NOT_FOUND) if text is not None]
    not_tried = dict[Pair, set[str]]()
    due = dict[Pair, set[str]]()
    for pair, store in stores.items():
        not_tried[pair] = set(store.list_missing(data.ids))
        again = [store.list_missing(data.ids, retry=text) for text in retried_reasons]
        due[pair] = not_tried[pair].union(*again)

    jobs = list[Job]()
    not_found = list[tuple[Job, Failed]]()
    for video in data.videos:
        pairs = _pairs(due, video.video)
        if not pairs:
            continue

        try:
            jobs.append(Job(video.video, folder.find(video), pairs))
        except MediaError as error:
            job = Job(video.video, Path(), _pairs(not_tried, video.video))
            not_found.append((job, Failed(str(error))))
    return jobs, not_found


def _pairs(videos_of: dict[Pair, set[str]], video: str) -> tuple[Pair, ...]:
    return tuple(pair for pair, videos in videos_of.items() if video in videos)


def _write_results(
    buffer: "_ShardBuffer",
    results: Iterator[tuple[Job, Entries | Failed]],
    *,
    total: int,
    progress: Progress | None,
    file_progress: FileProgress | None,
) -> list[tuple[str, str]]:
    """Write results shard by shard; return the videos that failed, with the reasons."""
    failed = list[tuple[str, str]]()
    try:
        for done, (job, result) in enumerate(results, start=1):
            reason = ""
            if isinstance(result, Failed):
                reason = result.reason
                failed.append((job.video, reason))
                buffer.add(_failed_entries(job, reason))
            else:
                buffer.add(result, job.path)
            if file_progress:
                file_progress(job.video, 1, 1)
            if progress:
                progress(done, total, reason)
    finally:  # an interruption loses no finished video
        buffer.write()
    return failed


def _failed_entries(job: Job, reason: str) -> Entries:
    mask = np.zeros(0, dtype=bool)
    return {
        pair: Entry(job.video, None, mask, "failed", reason) for pair in job.encoders
    }


@dataclass
class _ShardBuffer:
    """Encoded videos that are not in a shard yet.

    Attributes:
        writers: Writer of each encoder's features.
        parts: Folder of the checkpoints of long files.
        videos: Entries of each video.
        files: Media files of those that were encoded.
        started: Time of the first of these videos, in seconds of the monotonic clock.
    """

    writers: dict[Pair, Writer]
    parts: Path
    videos: list[Entries] = field(default_factory=list)
    files: list[Path] = field(default_factory=list)
    started: float = 0.0

    def add(self, entries: Entries, file: Path | None = None) -> None:
        """Add a video; write a shard if it is full or old enough.

        Args:
            entries: Entries of the video.
            file: Its media file, whose checkpoint the shard replaces; None if it failed.
        """
        now = time.monotonic()
        if not self.videos:
            self.started = now
        self.videos.append(entries)
        if file is not None:
            self.files.append(file)
        if len(self.videos) >= SHARD or now - self.started >= SHARD_SECONDS:
            self.write()

    def write(self) -> None:
        """Write the videos. Videos that cannot be written are not tried again."""
        with delay_interruptions():
            videos = self.videos
            files = self.files
            self.videos = []
            self.files = []
            for pair, writer in self.writers.items():
                rows = [entries[pair] for entries in videos if pair in entries]
                if rows:
                    writer.add(rows)
            for file in files:  # only now the features are durable elsewhere
                if not (is_remote(file) or is_remote(self.parts)):
                    delete_checkpoint(self.parts, file)


_ENCODERS: dict[Pair, Encoder] = {}  # of this worker process


def _load_encoders(
    computes: dict[Pair, Compute], media: Path, pipeline: Pipeline | None = None
) -> None:
    """Load the encoders of a worker process, whose machine must have the media files."""
    if not (
        is_remote(media) or media.is_dir()
    ):  # else every file there would count as unreadable
        raise MachineError(
            f"this folder of media files does not exist on {socket.gethostname()}",
            file=media,
            fix="mount it there under the same path",
        )
    torch.set_num_threads(1)
    remote.connect(pipeline)
    for pair, compute in computes.items():
        modality, name = pair
        _ENCODERS[pair] = encoder_models.load(name, modality, compute=compute)


def encode(job: Job, *, sampling: str = CENTRE, parts: Path) -> Entries:
    """Decode a file and encode it with the encoders of this worker process.

    Args:
        job: File and encoders.
        sampling: Rule of the sampling times of frames.
        parts: Folder of the checkpoints of long files.

    Raises:
        MediaError: The file cannot be decoded.
    """
    models = [_ENCODERS[pair] for pair in job.encoders]
    checkpoint = None
    if not (is_remote(job.path) or is_remote(parts)):
        checkpoint = Checkpoint(parts, job.path, models, sampling=sampling)
    with named_errors(job.path), local_copy(job.path) as file:
        encoded = encoder_models.encode(
            file,
            models,
            sampling=sampling,
            checkpoint=checkpoint,
            advance=ProgressReporter(),
        )
    return {
        pair: make_entry(job.video, encoded, number, pair[0])
        for number, pair in enumerate(job.encoders)
    }


def make_entry(video: str, encoded: Encoded, number: int, modality: int) -> Entry:
    """Make the store entry of a video; it is `absent` if the file lacks the modality.

    Args:
        video: Id of the video.
        encoded: Features of all encoders.
        number: Index of the encoder.
        modality: Modality of the encoder.
    """
    mask = encoded.mask[:, modality]
    if not mask.any():
        track = "audio" if modality == AUDIO else "video"
        reason = f"the file has no {track}"
        return Entry(video, None, mask, "absent", reason, encoded.warnings)
    return Entry(video, encoded.vectors[number], mask, "ok", "", encoded.warnings)

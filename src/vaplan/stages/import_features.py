"""Published features to a store: every array is checked, brought to segments, and kept in its own
type."""

from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vaplan.annotations import Annotations
from vaplan.annotations.ave import pack_row
from vaplan.annotations.llp import youtube_names
from vaplan.encoders import store_name
from vaplan.errors import UsageError, unknown
from vaplan.packs import (
    LAYOUTS,
    POOLINGS,
    ArrayFiles,
    Layout,
    Pack,
    PackError,
    RowFiles,
    Source,
    find_path,
)
from vaplan.stages.features import SHARD
from vaplan.stages.import_labels import import_labels
from vaplan.store import Entry, Store, Writer, find_stores
from vaplan.workers import Progress

SHARD_BYTES = (
    1 << 25
)  # features that are kept whole are written before there are SHARD of them


@dataclass(frozen=True)
class Imported:
    """What happened to the videos of a data set.

    Attributes:
        done: Videos that got features now.
        already: Videos that had all features before.
        failed: Ids and one-line reasons, one for every file that is not what it should be.
        stores: The features there are, as the store names them.
        absent: What else belongs to the pack and is not there, one line each.
        zeros: Videos with a feature array of zeros only, one line per encoder.
    """

    done: int
    already: int
    failed: tuple[tuple[str, str], ...]
    stores: tuple[str, ...]
    absent: tuple[str, ...]
    zeros: tuple[str, ...] = ()


@dataclass(frozen=True)
class Found:
    """A pack that is there; `dtype` is None if none of its files can be read."""

    pack: Pack
    source: Source
    dtype: str | None


@dataclass(frozen=True)
class Job:
    """A pack and its store, which is None while no file says what type of number it keeps."""

    found: Found
    store: Store | None
    lacking: tuple[str, ...]


def import_pack(
    layout: str,
    folder: Path,
    data: Annotations,
    store: Path,
    *,
    labels: Path | None = None,
    whole: bool = False,
    progress: Progress | None = None,
) -> Imported:
    """Bring published features of a data set into the store; what the store has is not read again.

    Args:
        layout: A name of `LAYOUTS`.
        folder: The pack, the folder that holds it, or one of its own folders.
        labels: Write the pack's segment pseudo labels as this table.
        whole: Keep every frame, or every position of a map, as numbers of its segment.

    Raises: AnnotationError for ids that cannot name the pack's files; PackError if nothing of the
    pack is there, or
        if a file that holds many videos is not what it should be. All of that before anything is
        written.
    """
    if layout not in LAYOUTS:
        raise UsageError(unknown("layout", layout, LAYOUTS))
    if not folder.is_dir():
        raise UsageError(
            "no such folder", file=folder, fix="give the folder of the published files"
        )
    located, absent = _find(LAYOUTS[layout], folder, data, whole=whole)
    if not located and not labels:
        raise PackError(
            f"nothing of the {layout} pack is there: {'; '.join(absent)}",
            file=folder,
            fix="check DIR",
        )
    unusable = list[tuple[str, str]]()
    if labels:
        unusable, without = import_labels(LAYOUTS[layout], folder, data, labels)
        absent += without
    jobs = [_job(pack, data.ids, store) for pack in located]
    failed, zeros = _fill_all(jobs, progress)
    touched = {video for job in jobs for video in job.lacking}
    return Imported(
        done=len(touched - {video for video, _ in failed}),
        already=len(data.ids) - len(touched) if jobs else 0,
        failed=(*unusable, *failed),
        stores=tuple(job.store.card.encoder for job in jobs if job.store),
        absent=tuple(absent),
        zeros=tuple(zeros),
    )


def _find(
    layout: Layout, folder: Path, data: Annotations, *, whole: bool
) -> tuple[list[Found], list[str]]:
    """The packs that are there, and a line for each that is not."""
    located, absent = list[Found](), list[str]()
    for published in layout.packs:
        source = (_rows if published.background else _files)(published, folder, data)
        if source:
            pack = published.without_pooling() if whole else published
            located.append(Found(pack, source, source.find_dtype(data.ids)))
        else:
            absent.append(
                f"no {published.encoder}, looked for {' and '.join(published.paths)}"
            )
    return located, absent


def _files(pack: Pack, folder: Path, data: Annotations) -> ArrayFiles | None:
    """A file a video, named by the first characters of its id."""
    pack_folder = find_path(folder, pack.paths)
    names = youtube_names(data)
    return (
        ArrayFiles(
            {video: pack_folder / f"{name}.npy" for video, name in names.items()},
            pack.shape,
        )
        if pack_folder
        else None
    )


def _rows(pack: Pack, folder: Path, data: Annotations) -> RowFiles | None:
    """A row a video, of the data set's own file or of that of the background clips."""
    own, background = (
        find_path(folder, places) for places in (pack.paths, pack.background)
    )
    if not own and not background:
        return None
    names = {
        False: own or folder / pack.paths[0],
        True: background or folder / pack.background[0],
    }
    keys = {video: pack_row(data, video) for video in data.ids}
    return RowFiles(
        {
            video: (names[is_background], row)
            for video, (is_background, row) in keys.items()
        },
        pack.shape,
    )


def _job(located: Found, videos: Sequence[str], root: Path) -> Job:
    """The store of a pack, made or found, and the videos it lacks; what failed before is tried
    again."""
    name = store_name(located.pack.encoder, located.pack.modality)
    existing_store = find_stores(root).get(name)
    dtype = existing_store.card.dtype if existing_store else located.dtype
    if dtype is None:
        return Job(located, None, tuple(videos))
    store = Store.create(
        root, name, located.pack.provenance(), planned=videos, dtype=dtype
    )
    return Job(located, store, tuple(store.list_missing(videos, retry="")))


def _fill_all(
    jobs: Sequence[Job], progress: Progress | None
) -> tuple[list[tuple[str, str]], list[str]]:
    """Bring every store up to date.

    Returns:
        The videos that cannot be read with the reasons, and a line for each encoder that has
        videos with zeros only.
    """
    failed = list[tuple[str, str]]()
    notes = list[str]()
    total = sum(len(job.lacking) for job in jobs)
    done = 0
    for job in jobs:
        zeros = list[str]()
        with job.store.open_writer() if job.store else nullcontext() as writer:
            for entry in _fill(job, writer):
                done += 1
                if progress:
                    progress(done, total, entry.reason)
                if entry.reason:
                    failed.append((entry.video, entry.reason))
                elif entry.feature is not None and not entry.feature.any():
                    zeros.append(entry.video)
        if zeros:
            notes.append(
                f"{len(zeros)} of {len(job.lacking)} videos have only zeros as features "
                f"of {job.found.pack.encoder}, the first is {zeros[0]!r}; "
                "check the published files"
            )
    return failed, notes


def _fill(job: Job, writer: Writer | None) -> Iterator[Entry]:
    """Bring the videos that lack into the store, shard by shard; a failure that it records
    already is not repeated."""
    statuses = job.store.read_statuses() if job.store else {}
    buffer, buffered_bytes = list[Entry](), 0
    for video, array in job.found.source.read_arrays(
        job.lacking, job.store.card.dtype if job.store else None
    ):
        entry = _entry(job, video, array)
        if statuses.get(video) != (entry.status, entry.reason):
            buffer.append(entry)
            buffered_bytes += entry.feature.nbytes if entry.feature is not None else 0
        if len(buffer) == SHARD or buffered_bytes > SHARD_BYTES:
            _write(writer, buffer)
            buffer, buffered_bytes = [], 0
        yield entry
    _write(writer, buffer)


def _write(writer: Writer | None, entries: Sequence[Entry]) -> None:
    if writer and entries:
        writer.add(entries)


def _entry(job: Job, video: str, array: np.ndarray | PackError) -> Entry:
    """One row of the store."""
    try:
        if isinstance(array, PackError):
            raise array
        feature = _segments(job, video, array)
    except PackError as error:
        return Entry(video, None, np.zeros(0, dtype=bool), "failed", str(error))
    mask = np.ones(len(feature), dtype=bool)
    return Entry(video, feature, mask, source=job.found.source.path_of(video).name)


def _segments(job: Job, video: str, array: np.ndarray) -> np.ndarray:
    """An array as one vector a segment, in the store's type."""
    with np.errstate(
        over="ignore", invalid="ignore"
    ):  # what is not finite is named below
        pooled = POOLINGS[job.found.pack.pooling](array, job.found.pack.segments)
        stored = pooled.astype(job.store.card.dtype if job.store else array.dtype)
        bad = np.flatnonzero(
            ~np.isfinite(stored.astype(np.float32)).all(axis=1)
        )  # as the store gives it back
    if len(bad):
        what = (
            "NaN, infinite or too large numbers for segment "
            f"{', '.join(map(str, bad))} of {video!r}"
        )
        raise PackError(
            what, file=job.found.source.path_of(video), fix="download it again"
        )
    return stored

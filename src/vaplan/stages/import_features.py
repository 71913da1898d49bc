"""`vaplan import han`, `valor` and `ave`: published features of a data set into a store.

Every array is checked, pooled to segments and stored in its own number type.
"""

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
    find,
    group_errors,
)
from vaplan.stages.features import SHARD
from vaplan.stages.import_labels import Failures, import_labels
from vaplan.store import Entry, Store, Writer, find_stores
from vaplan.workers import Progress

SHARD_BYTES = 1 << 25  # a shard of large features has fewer videos than SHARD


@dataclass(frozen=True)
class Imported:
    """Result of `import_pack`.

    Attributes:
        done: Number of videos that were imported now.
        already: Number of videos that were imported before.
        failed: Ids and one-line reasons of videos with a missing or damaged file.
        stores: Names of the imported features in the store.
        absent: One line for each part of the pack that does not exist.
        warnings: One line for each encoder that has videos with zeros only.
        problems: One line for each kind of failure.
    """

    done: int
    already: int
    failed: tuple[tuple[str, str], ...]
    stores: tuple[str, ...]
    absent: tuple[str, ...]
    warnings: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()


@dataclass(frozen=True)
class LocatedPack:
    """A pack of published features with existing files.

    Attributes:
        pack: Description of the pack.
        source: Reads the files.
        dtype: Number type of the arrays; None if no file can be read.
    """

    pack: Pack
    source: Source
    dtype: str | None


@dataclass(frozen=True)
class Job:
    """A pack to import.

    Attributes:
        located: The pack.
        store: Its store; None if the number type is unknown.
        lacking: Ids of the videos that the store lacks.
    """

    located: LocatedPack
    store: Store | None
    lacking: tuple[str, ...]

    @property
    def dtype(self) -> str | None:
        """Return the number type of the store."""
        return self.store.card.dtype if self.store else None


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
    """Import published features of the videos that the store lacks.

    Args:
        layout: Name of a layout in `LAYOUTS`.
        folder: Folder of the pack, its parent, or one of its sub-folders.
        data: Videos.
        store: Feature store; it is created if it does not exist.
        labels: Table to write with the pack's pseudo labels of segments.
        whole: Store all frames of a segment, or all regions of a map, instead of their mean.
        progress: Called after every video.

    Raises:
        UsageError: The layout is unknown, or the folder does not exist.
        AnnotationError: An id cannot name a file of the pack.
        PackError: No part of the pack exists, or a file with many videos is damaged. Nothing
            has been written then.
    """
    if layout not in LAYOUTS:
        raise UsageError(unknown("layout", layout, LAYOUTS))
    if not folder.is_dir():
        raise UsageError(
            "no such folder", file=folder, fix="give the folder of the published files"
        )

    located, absent = _locate_packs(LAYOUTS[layout], folder, data, whole=whole)
    if not located and not labels:
        raise PackError(
            f"it contains no part of the {layout} pack: {'; '.join(absent)}",
            file=folder,
            fix="check DIR",
        )

    failed_labels = Failures()
    if labels:
        failed_labels, lines = import_labels(LAYOUTS[layout], folder, data, labels)
        absent += lines
    jobs = [_plan_job(pack, data.ids, store) for pack in located]
    failed_features, warnings = _import_all(jobs, progress)

    due = {video for job in jobs for video in job.lacking}
    failed = [*failed_labels, *failed_features]
    return Imported(
        done=len(due - {video for video, _ in failed_features}),
        already=len(data.ids) - len(due) if jobs else 0,
        failed=tuple((video, str(error)) for video, error in failed),
        stores=tuple(job.store.card.encoder for job in jobs if job.store),
        absent=tuple(absent),
        warnings=tuple(warnings),
        problems=tuple(group_errors(failed)),
    )


def _locate_packs(
    layout: Layout, folder: Path, data: Annotations, *, whole: bool
) -> tuple[list[LocatedPack], list[str]]:
    """Return the packs whose files exist, and a line for each other pack."""
    located = list[LocatedPack]()
    absent = list[str]()
    for published in layout.packs:
        make_source = _row_files if published.background else _array_files
        source = make_source(published, folder, data)
        if source:
            pack = published.kept_whole() if whole else published
            located.append(LocatedPack(pack, source, source.dtype(data.ids)))
        else:
            places = " and ".join(published.places)
            absent.append(f"no {published.encoder}, looked for {places}")
    return located, absent


def _array_files(pack: Pack, folder: Path, data: Annotations) -> ArrayFiles | None:
    """Return a source with one file a video, named by the first characters of its id."""
    pack_folder = find(folder, pack.places)
    names = youtube_names(data)
    if not pack_folder:
        return None
    files = {video: pack_folder / f"{name}.npy" for video, name in names.items()}
    return ArrayFiles(files, pack.shape)


def _row_files(pack: Pack, folder: Path, data: Annotations) -> RowFiles | None:
    """Return a source with one row a video, in the file of the events or of the background."""
    events = find(folder, pack.places)
    background = find(folder, pack.background)
    if not events and not background:
        return None

    files = {
        False: events or folder / pack.places[0],
        True: background or folder / pack.background[0],
    }
    rows = dict[str, tuple[Path, int]]()
    for video in data.ids:
        is_background, row = pack_row(data, video)
        rows[video] = files[is_background], row
    return RowFiles(rows, pack.shape)


def _plan_job(located: LocatedPack, videos: Sequence[str], root: Path) -> Job:
    """Create or open the store of a pack; videos that failed before are tried again."""
    name = store_name(located.pack.encoder, located.pack.modality)
    existing_store = find_stores(root).get(name)
    dtype = existing_store.card.dtype if existing_store else located.dtype
    if dtype is None:
        return Job(located, None, tuple(videos))
    store = Store.create(
        root, name, located.pack.provenance(), planned=videos, dtype=dtype
    )
    return Job(located, store, tuple(store.list_missing(videos, retry="")))


def _import_all(
    jobs: Sequence[Job], progress: Progress | None
) -> tuple[Failures, list[str]]:
    """Import the features of all packs.

    Returns:
        The videos that cannot be read with the errors, and a line for each encoder that has
        videos with zeros only.
    """
    failed = Failures()
    warnings = list[str]()
    total = sum(len(job.lacking) for job in jobs)
    done = 0
    for job in jobs:
        zeros = list[str]()
        with job.store.open_writer() if job.store else nullcontext() as writer:
            for entry, error in _import_videos(job, writer):
                done += 1
                if progress:
                    progress(done, total, entry.reason)
                if error:
                    failed.append((entry.video, error))
                elif entry.feature is not None and not entry.feature.any():
                    zeros.append(entry.video)
        if zeros:
            warnings.append(
                f"{len(zeros)} of {len(job.lacking)} videos have only zeros as features "
                f"of {job.located.pack.encoder}, the first is {zeros[0]!r}; "
                "check the published files"
            )
    return failed, warnings


def _import_videos(
    job: Job, writer: Writer | None
) -> Iterator[tuple[Entry, PackError | None]]:
    """Import the missing videos of a pack, shard by shard, and yield each with its error.

    A failure that is recorded already is not recorded again.
    """
    statuses = job.store.read_statuses() if job.store else {}
    buffer = list[Entry]()
    buffer_bytes = 0
    for video, array in job.located.source.arrays(job.lacking, job.dtype):
        entry, error = _make_entry(job, video, array)
        if statuses.get(video) != (entry.status, entry.reason):
            buffer.append(entry)
            if entry.feature is not None:
                buffer_bytes += entry.feature.nbytes
        if len(buffer) == SHARD or buffer_bytes > SHARD_BYTES:
            _write(writer, buffer)
            buffer = []
            buffer_bytes = 0
        yield entry, error
    _write(writer, buffer)


def _write(writer: Writer | None, entries: Sequence[Entry]) -> None:
    if writer and entries:
        writer.add(entries)


def _make_entry(
    job: Job, video: str, array: np.ndarray | PackError
) -> tuple[Entry, PackError | None]:
    try:
        if isinstance(array, PackError):
            raise array
        feature = _pool_segments(job, video, array)
    except PackError as error:
        no_segments = np.zeros(0, dtype=bool)
        return Entry(video, None, no_segments, "failed", str(error)), error

    mask = np.ones(len(feature), dtype=bool)
    file = job.located.source.place(video)
    return Entry(video, feature, mask, source=file.name), None


def _pool_segments(job: Job, video: str, array: np.ndarray) -> np.ndarray:
    """Pool an array to one vector a segment, in the number type of the store."""
    pack = job.located.pack
    with np.errstate(over="ignore", invalid="ignore"):  # checked below
        pooled = POOLINGS[pack.pooling](array, pack.segments)
        stored = pooled.astype(job.dtype or array.dtype)
        is_finite = np.isfinite(stored.astype(np.float32)).all(axis=1)

    if not is_finite.all():
        segments = ", ".join(map(str, np.flatnonzero(~is_finite)))
        raise PackError(
            f"NaN, infinite or too large numbers for segment {segments} of {video!r}",
            file=job.located.source.place(video),
            fix="download it again",
        ).of_kind("NaN, infinite or too large numbers")
    return stored

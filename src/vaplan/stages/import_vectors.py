"""`vaplan import vectors`: a user's own vectors, and those of the class sentences, into a store."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from vaplan.annotations import Annotations
from vaplan.annotations.fields import check_id
from vaplan.encoders import own, store_name
from vaplan.errors import AnnotationError, StoreError, UsageError
from vaplan.packs import (
    PackError,
    Vectors,
    VectorSource,
    format_names,
    group_errors,
    open_vectors,
    read_text_vectors,
)
from vaplan.stages.features import SHARD
from vaplan.stages.import_features import SHARD_BYTES, Imported
from vaplan.store import Entry, Store, TextVectors, Writer, find_stores
from vaplan.store.text import LOGIT_SCALE
from vaplan.workers import Progress

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
ClassVectors = Mapping[str, Float32[np.ndarray, " feature"]]


def import_vectors(
    path: Path | str,
    name: str,
    modality: int,
    store: Path | str,
    *,
    text: Path | str | None = None,
    data: Annotations | None = None,
    float16: bool = False,
    logit_scale: float = LOGIT_SCALE,
    progress: Progress | None = None,
) -> Imported:
    """Import vectors into a feature store, where they are called `own:NAME`.

    A video whose vectors are in the store already is left as it is; vectors that differ
    replace those of the store. A failure costs its video and never replaces vectors.

    Args:
        path: Folder of `.npy` and `.npz` files, or one `.npz`, `.h5` or `.parquet` file.
        name: Name of the vectors.
        modality: AUDIO or VISUAL.
        store: Feature store; it is created if it does not exist.
        text: Vectors of the class sentences, as `.npz`, `.parquet` or `.csv`.
        data: Data set that the videos belong to. Ids that it does not have, and its videos
            without vectors, are failures.
        float16: Round the vectors to float16 instead of float32.
        logit_scale: Factor of cosines in the training of the text vectors' model.
        progress: Called after every video.

    Raises:
        UsageError: The name cannot be used.
        PackError: The path or the text cannot be read, or the text lacks classes of the data
            set. Nothing has been written then.
        StoreError: The store has vectors of this name with another width or number type, or
            the text has another width.
    """
    if not NAME.fullmatch(name):
        raise UsageError(
            f"the name {name!r}", fix="use letters, digits, '-', '_' and '.'"
        )
    if not 0 < logit_scale < np.inf:
        raise UsageError(
            f"the logit scale {logit_scale}", fix="give a positive number, such as 100"
        )

    dtype = "float16" if float16 else "float32"
    encoder = store_name(f"{own.KIND}:{name}", modality)
    existing = find_stores(store).get(encoder)
    classes = _read_text(Path(text), data) if text else {}
    text_width = len(next(iter(classes.values()))) if classes else 0
    if existing:
        _check_existing(existing, dtype, text_width, Path(text or ""))

    features = None
    with open_vectors(Path(path)) as source:
        accepted, refused = _sort_ids(source, data, Path(path))
        lacking = _lacking(data, source.videos, Path(path))
        importer = _Importer(
            source,
            dtype,
            width=existing.card.dimension if existing else text_width,
            origin="the vectors in the store" if existing else "the text vectors",
            failed=[*refused, *lacking],
            total=len(source.videos),
            progress=progress,
        )
        importer.report(len(source.videos) - len(accepted))
        entries = importer.read(accepted)
        if importer.width:
            features = Store.create(
                store,
                encoder,
                own.describe_vectors(name, importer.width),
                planned=[*accepted, *(data.ids if data else ())],
                dtype=dtype,
            )
            failures = [_failure(video, error) for video, error in lacking]
            importer.write(features, chain(entries, failures))
            if classes:
                features.write_text(TextVectors.of(classes, logit_scale=logit_scale))
        else:  # no vectors at all; reading them counts the failures
            list(entries)

    return Imported(
        done=importer.written,
        already=importer.valid - importer.written,
        failed=tuple((video, str(error)) for video, error in importer.failed),
        stores=(encoder,) if features else (),
        absent=importer.notes(),
        warnings=importer.warnings(),
        problems=tuple(group_errors(importer.failed)),
    )


@dataclass
class _Importer:
    """Reads the vectors of a source, checks them, and counts what it finds.

    Attributes:
        source: Vectors to read.
        dtype: Number type of the store.
        width: Size of a vector; 0 until it is known.
        origin: What the width comes from, for errors.
        failed: Ids and errors of videos.
        total: Number of videos, for the progress.
        progress: Called after every video.
        valid: Number of videos with vectors.
        written: Number of videos whose vectors were written.
        zeros: Ids of videos with vectors of zeros, and the number of these vectors.
    """

    source: VectorSource
    dtype: str
    width: int
    origin: str
    failed: list[tuple[str, PackError]]
    total: int
    progress: Progress | None = None
    valid: int = 0
    written: int = 0
    replaced: list[str] = field(default_factory=list)
    zeros: dict[str, int] = field(default_factory=dict)
    reported: int = 0

    def report(self, videos: int = 1) -> None:
        """Report that videos are done; failures are described at the end, by kind."""
        self.reported += videos
        if self.progress and self.reported:
            self.progress(self.reported, self.total, "")

    def read(self, videos: Sequence[str]) -> Iterator[Entry]:
        """Return the entries of videos, after the width is known.

        Without a known width it is the most common one of the first valid videos.
        """
        results = self.source.results(videos)
        first = list[tuple[str, Vectors | PackError]]()
        if not self.width:
            widths = Counter[int]()
            for video, result in results:
                first.append((video, result))
                if isinstance(result, Vectors):
                    widths[result.feature.shape[1]] += 1
                if widths.total() == SHARD:
                    break
            if widths:
                self.width = widths.most_common(1)[0][0]
                self.origin = "most others"
        return (
            self._make_entry(video, result) for video, result in chain(first, results)
        )

    def _make_entry(self, video: str, result: Vectors | PackError) -> Entry:
        self.report()
        try:
            if isinstance(result, PackError):
                raise result
            feature = self._check(video, result)
        except PackError as error:
            self.failed.append((video, error))
            return _failure(video, error)
        self.valid += 1
        zeros = int((~feature.any(axis=1) & result.mask).sum())
        if zeros:
            self.zeros[video] = zeros
        source = self.source.place(video).name
        return Entry(video, feature, result.mask, source=source)

    def _check(self, video: str, vectors: Vectors) -> np.ndarray:
        feature = vectors.feature
        width = feature.shape[1]
        if width != self.width:
            what = (
                f"{width} numbers a segment, expected {self.width} as in {self.origin}"
            )
            raise PackError(
                f"{video!r}: {what}",
                file=self.source.place(video),
                fix="compute all vectors with one model, or import the others with "
                "another --as",
            ).of_kind(what)
        with np.errstate(over="ignore"):  # checked in the next line
            stored = feature.astype(self.dtype).astype(np.float32)
        if not np.isfinite(stored).all():
            raise PackError(
                f"{video!r}: numbers too large for {self.dtype}",
                file=self.source.place(video),
                fix="omit --float16",
            ).of_kind(f"numbers too large for {self.dtype}")
        return feature

    def write(self, store: Store, entries: Iterable[Entry]) -> None:
        """Write the entries that the store lacks or has with other vectors."""
        statuses = store.read_statuses()
        buffer = list[Entry]()
        buffer_bytes = 0
        with store.open_writer() as writer:
            for entry in store.select_changed(entries):
                buffer.append(entry)
                if entry.feature is not None:
                    self.written += 1
                    buffer_bytes += entry.feature.nbytes
                    if statuses.get(entry.video, ("", ""))[0] == "ok":
                        self.replaced.append(entry.video)
                if len(buffer) == SHARD or buffer_bytes > SHARD_BYTES:
                    writer.add(buffer)
                    buffer = []
                    buffer_bytes = 0
            _write(writer, buffer)

    def notes(self) -> tuple[str, ...]:
        """Return lines that are worth knowing."""
        lines = list[str]()
        if self.source.skipped:
            lines.append(f"{self.source.skipped} files of other kinds were skipped")
        if self.replaced:
            names = format_names(self.replaced)
            lines.append(
                f"{len(self.replaced)} videos had other vectors, which were replaced: {names}"
            )
        return tuple(lines)

    def warnings(self) -> tuple[str, ...]:
        """Return a line about vectors of zeros, if there are any."""
        if not self.zeros:
            return ()
        line = (
            f"{sum(self.zeros.values()):,} vectors have only zeros, in "
            f"{len(self.zeros):,} of {self.valid:,} videos ({format_names([*self.zeros])}); "
            "if they mean that nothing is there, import a Parquet table without these "
            "segments"
        )
        return (line,)


def _write(writer: Writer, entries: Sequence[Entry]) -> None:
    if entries:
        writer.add(entries)


def _failure(video: str, error: PackError) -> Entry:
    return Entry(video, None, np.zeros(0, dtype=bool), "failed", str(error))


def _lacking(
    data: Annotations | None, videos: Sequence[str], path: Path
) -> list[tuple[str, PackError]]:
    """Return a failure for each video of the data set without vectors."""
    if data is None:
        return []
    error = PackError(
        "no vectors of a video of the data set",
        file=path,
        fix="add them; until then the video is left out",
    )
    with_vectors = set(videos)
    return [(video, error) for video in data.ids if video not in with_vectors]


def _sort_ids(
    source: VectorSource, data: Annotations | None, path: Path
) -> tuple[list[str], list[tuple[str, PackError]]]:
    """Separate the ids that can be imported from those that cannot."""
    in_data = set(data.ids) if data else None
    accepted = list[str]()
    refused = list[tuple[str, PackError]]()
    for video in source.videos:
        try:
            check_id(video, file=path, line=None)
        except AnnotationError as error:
            kind = PackError(error.what, file=path, fix=error.fix)
            refused.append((video, kind.of_kind("an id cannot be used")))
            continue
        if in_data is None or video in in_data:
            accepted.append(video)
            continue
        unknown_id = PackError(
            f"unknown id {video!r}: the data set has no such video",
            file=source.place(video),
            fix="name the file or the array as the video, with its folders; or omit --data",
        )
        refused.append((video, unknown_id.of_kind("unknown id")))
    return accepted, refused


def _read_text(path: Path, data: Annotations | None) -> ClassVectors:
    vectors = read_text_vectors(path)
    classes = data.taxonomy.classes if data else ()
    missing = [name for name in classes if name not in vectors]
    if missing:
        raise PackError(
            f"no vector for {len(missing)} of {len(classes)} classes of the data set: "
            f"{', '.join(missing)}",
            file=path,
            fix="add them, under the names of the classes",
        )
    return vectors


def _check_existing(store: Store, dtype: str, text_width: int, text: Path) -> None:
    card = store.card
    if card.dtype != dtype:
        option = "with" if card.dtype == "float16" else "without"
        raise StoreError(
            f"{card.encoder} is stored as {card.dtype}, now {dtype} is asked for",
            file=store.folder,
            fix=f"import {option} --float16, or under another name with --as",
        )
    if text_width and text_width != card.dimension:
        raise StoreError(
            f"text vectors of {text_width} numbers, but {card.encoder} has {card.dimension}",
            file=text,
            fix="embed the sentences with the model of the vectors, or give another --as",
        )

"""AVE (audio-visual events): 4,143 ten-second clips, each with one event that is audible and
visible.

A clip's id is `<YouTube id>@<line>`, the 0-based line of Annotations.txt that the split orders
index, because 45 YouTube ids occur in more than one line.
Source: Tian, Shi, Li, Duan, Xu, ECCV 2018 (arXiv 1803.08842); the files published with it.
"""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from vaplan.annotations.annotations import Annotations
from vaplan.annotations.fields import check_id, number
from vaplan.annotations.rows import BOTH, AnnotationRows, Issue, Row
from vaplan.errors import AnnotationError, MissingExtra, UsageError, unknown
from vaplan.reading import plain_text
from vaplan.taxonomy import AVE

ANNOTATIONS = "Annotations.txt"
SPLITS = ("train", "val", "test")
FIELDS = ("class", "YouTube id", "quality", "onset", "offset")
CLIP_SECONDS = 10
LONGEST_LINE_NUMBER = 9  # digits
MOST_CLIPS = 1_000_000  # in one file
FETCH = "fetch it again: `vaplan data fetch ave DIR`"
# `background@<row>`: clips that hold no event, published as features alone
BACKGROUND = "background"
BACKGROUND_FILES = (
    "labels_noisy.h5",
    "audio_feature_noisy.h5",
    "visual_feature_noisy.h5",
)
VERSIONS = {
    "official": "0d45342df6cff353a964acdde0ec1a770ca5ca8f654c67be903d7a37116f668a"
}


def read(folder: Path, *, annotations: str = "") -> AnnotationRows:
    """Read Annotations.txt and the orders of the splits (`*_order.h5` or `*_order.txt`) of a
    folder.

    The background clips belong to split `train` where one of their h5 files lies in the folder.

    Args:
        folder: Folder of the official files.
        annotations: Must be empty: there is one version.
    """
    if annotations:
        raise UsageError(
            "AVE has one version of its annotations",
            file=folder,
            fix="leave --annotations out",
        )
    if not folder.is_dir():
        raise AnnotationError(
            "no such folder",
            file=folder,
            fix=f"give the folder that holds {ANNOTATIONS}",
        )

    path = folder / ANNOTATIONS
    lines = plain_text(path).splitlines()
    orders = {split: _order_file(folder, split) for split in SPLITS}
    splits = _splits(orders, len(lines))
    rows = [
        row
        for index, text in enumerate(lines)
        for row in _rows(path, index, text, splits[index])
    ]
    return AnnotationRows(
        source=folder,
        taxonomy=AVE,
        rows=[*rows, *_background_rows(folder)],
        version=_version(lines),
        files=(path, *orders.values()),
        segments=CLIP_SECONDS,
        labelled=frozenset(SPLITS),
        localisation=True,
        recording=recording,
        issues=tuple(_several(path, rows)),
    )


def _background_rows(folder: Path) -> list[Row]:
    """Return a row for each background clip of the first of their files that exists."""
    for name in BACKGROUND_FILES:
        file = folder / name
        if file.exists():
            return [
                Row(f"{BACKGROUND}@{row}", split="train", file=file)
                for row in range(_count(file))
            ]
    return []


def _version(lines: Sequence[str]) -> str:
    """Identify the annotations by their content, whatever the line ends are."""
    content = hashlib.sha256("\n".join(lines).encode()).hexdigest()
    for name, official in VERSIONS.items():
        if content == official:
            return name
    return f"unknown ({content[:12]})"


def recording(video: str) -> str:
    """Return the YouTube id of a clip; that of a background clip is its own id."""
    name, _, _ = video.rpartition("@")
    return video if name == BACKGROUND else name


def _rows(path: Path, index: int, text: str, split: str) -> Iterator[Row]:
    """Return the rows of one line: the weak label of the clip, and its event in both modalities."""
    line, fields = index + 1, text.split("&")
    if len(fields) != len(FIELDS):
        what = f"{len(fields)} fields, expected {len(FIELDS)}: {'&'.join(FIELDS)}"
        raise AnnotationError(
            what,
            file=path,
            line=line,
            fix="fetch the official file: `vaplan data fetch ave DIR`",
        )

    name, youtube, _, *times = fields
    if name not in AVE.classes:
        raise AnnotationError(unknown("class", name, AVE.classes), file=path, line=line)
    check_id(youtube, file=path, line=line)

    onset, offset = (
        number(key, value, file=path, line=line)
        for key, value in zip(FIELDS[3:], times, strict=True)
    )

    video = f"{youtube}@{index}"
    yield Row(video, class_name=name, split=split, line=line, file=path)
    yield Row(video, BOTH, name, onset, offset, line=line, file=path)


def _order_file(folder: Path, split: str) -> Path:
    """Read the order of the clips of a split, as published (h5) or as text."""
    paths = [
        path
        for suffix in ("h5", "txt")
        if (path := folder / f"{split}_order.{suffix}").exists()
    ]
    if not paths:
        what = f"neither {split}_order.h5 nor {split}_order.txt is there"
        raise AnnotationError(
            what,
            file=folder,
            fix="fetch the official files: `vaplan data fetch ave DIR`",
        )
    return paths[0]


def _splits(orders: dict[str, Path], clips: int) -> list[str]:
    """Return the split of every line; each line belongs to exactly one split."""
    splits: list[str] = [""] * clips
    for split, path in orders.items():
        for position, index in enumerate(read_order(path), start=1):
            if not 0 <= index < clips:
                what = (
                    f"entry {position} is {index}, but {ANNOTATIONS} has {clips} lines"
                )
                raise AnnotationError(what, file=path, fix="use files of one release")
            if splits[index]:
                what = f"entry {position}, line {index}, belongs to {splits[index]} already"
                raise AnnotationError(what, file=path, fix="use the official orders")
            splits[index] = split
    if "" in splits:
        what = f"line {splits.index('') + 1} belongs to no split"
        raise AnnotationError(
            what,
            file=next(iter(orders.values())).parent,
            fix="use files of one release",
        )
    return splits


def read_order(path: Path) -> list[int]:
    """Return the lines of Annotations.txt in a split, counted from 0."""
    if path.suffix == ".h5":
        with _dataset(path, "order") as order:
            if len(order.shape) != 1 or order.dtype.kind not in "iu":
                raise AnnotationError(
                    "'order' is no list of whole numbers", file=path, fix=FETCH
                )
            return [int(index) for index in order[:]]
    lines = plain_text(path).splitlines()
    return [
        _whole(path, number, text)
        for number, text in enumerate(lines, start=1)
        if text.strip()
    ]


def _whole(path: Path, line: int, text: str) -> int:
    digits = text.strip()
    is_whole = digits.isascii() and digits.isdecimal()
    if not is_whole or len(digits) > LONGEST_LINE_NUMBER:
        raise AnnotationError(
            f"{text.strip()!r} is no line number",
            file=path,
            line=line,
            fix="write one a line",
        )
    return int(text)


def _count(path: Path) -> int:
    with _dataset(path, "avadataset") as clips:
        return len(clips)


@contextmanager
def _dataset(path: Path, key: str) -> Iterator[Any]:
    """Yield a data set of an h5 file, which is not read yet and has an entry a clip."""
    try:
        import h5py
    except ImportError as error:
        raise MissingExtra(
            "reading .h5 files needs h5py", file=path, fix="pip install 'vaplan[h5]'"
        ) from error
    try:
        with h5py.File(path, "r") as file:
            link = file.get(key, getlink=True)
            dataset: Any = file[key] if isinstance(link, h5py.HardLink) else None
            is_dataset = isinstance(dataset, h5py.Dataset) and bool(dataset.shape)
            if not is_dataset or dataset.is_virtual or dataset.external:
                raise ValueError("it is not an array in this file")
            if len(dataset) > MOST_CLIPS:
                raise ValueError(f"it has more than {MOST_CLIPS:,} entries")
            yield dataset
    except (OSError, LookupError, RuntimeError, TypeError, ValueError) as error:
        raise AnnotationError(
            f"no dataset {key!r} can be read: {error}", file=path, fix=FETCH
        ) from error


def _several(path: Path, rows: Sequence[Row]) -> Iterator[Issue]:
    """YouTube ids in more than one line."""
    lines: dict[str, list[int]] = {}
    for row in rows:
        if row.modality:
            lines.setdefault(recording(row.video), []).append(row.line)
    for youtube, numbers in lines.items():
        if len(numbers) > 1:
            what = f"{youtube} stands in lines {', '.join(map(str, numbers))}"
            yield Issue("recording in several clips", what, youtube, path, numbers[0])


def pack_row(data: Annotations, video: str) -> tuple[bool, int]:
    """Return whether a video is a background clip, and its row in the pack's files.

    Args:
        data: Data set of the video, named in the error.
        video: An id `NAME@ROW`.

    Raises:
        AnnotationError: The id does not end with `@ROW`.
    """
    name, _, row = video.rpartition("@")
    if not name or not row.isascii() or not row.isdigit():
        raise AnnotationError(
            f"{video!r} does not name a row of the pack's files",
            file=data.source,
            fix="use ids that end with @ROW, like those of ave:DIR",
        )
    return name == BACKGROUND, int(row)

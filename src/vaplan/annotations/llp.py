"""LLP (Look, Listen and Parse): 11,849 ten-second clips, weak labels for all, dense labels for
val and test.

Source: Tian, Li, Xu, ECCV 2020 (arXiv 2007.10558); the files published with it. Its audio
annotations exist in two
versions: three rows were corrected in April 2024, papers from before used the older ones.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from vaplan.annotations.annotations import Annotations
from vaplan.annotations.fields import check_id, seconds
from vaplan.annotations.media_files import YOUTUBE_ID_LENGTH
from vaplan.annotations.rows import AnnotationRows, Issue, Row
from vaplan.errors import AnnotationError, UsageError, unknown
from vaplan.reading import csv_text
from vaplan.taxonomy import LLP

SPLITS = {
    "train": "AVVP_train.csv",
    "val": "AVVP_val_pd.csv",
    "test": "AVVP_test_pd.csv",
}
LABELLED = ("val", "test")
DENSE = {"audio": "AVVP_eval_audio.csv", "visual": "AVVP_eval_visual.csv"}
FULL = "AVVP_dataset_full.csv"  # all clips again; not everybody ships it
CLIP_SECONDS = 10
VERSIONS = {
    "corrected": "c422c2f5b759dc34edfafc472f63ac8f411055048140ba11e480a66451c5f840",
    "legacy": "bb28f5cbf8193ecb780d6ea1e0c37f905285ed11faac09b8236a07e9b826b515",
}  # what `digest` says of the audio annotations
ID = re.compile(r"(?P<recording>.{11})_(?P<start>[0-9.]+)_(?P<end>[0-9.]+)")


def read(folder: Path, *, annotations: str = "") -> AnnotationRows:
    """Read the official files of a folder.

    Args:
        annotations: Which audio annotations: `corrected` or `legacy`, in the folder or in its
            sibling `FOLDER-legacy`; or a file of the same format. By default those of the folder,
            whichever they are.
    """
    if not folder.is_dir():
        raise AnnotationError(
            "no such folder",
            file=folder,
            fix="give the folder that holds AVVP_train.csv",
        )

    audio = _audio_file(folder, annotations)
    dense = {
        modality: audio if modality == "audio" else folder / name
        for modality, name in DENSE.items()
    }
    listed = [
        row for split, name in SPLITS.items() for row in _tags(folder / name, split)
    ]
    _refuse_conflicts(listed)
    full = [folder / FULL] if (folder / FULL).exists() else []
    ids = frozenset(row.video for row in listed)

    return AnnotationRows(
        source=folder,
        taxonomy=LLP,
        rows=[
            *listed,
            *(
                row
                for modality, path in dense.items()
                for row in _events(path, modality)
            ),
        ],
        version=version(audio),
        files=(*(folder / name for name in SPLITS.values()), *dense.values(), *full),
        segments=CLIP_SECONDS,
        listed=ids,
        labelled=frozenset(LABELLED),
        recording=lambda video: video[:YOUTUBE_ID_LENGTH],
        issues=(
            *_odd_ids(listed),
            *(issue for path in full for issue in _compare(path, ids)),
        ),
    )


def version(audio: Path) -> str:
    """Identify the audio annotations by their content: `corrected`, `legacy` or unknown."""
    content = digest(audio)
    return next(
        (
            name
            for name, digest_of_version in VERSIONS.items()
            if digest_of_version == content
        ),
        f"unknown ({content[:12]})",
    )


def digest(audio: Path) -> str:
    """Compute a hash of the fields of a file that does not depend on line ends."""
    header, lines = csv_text(audio, delimiter="\t")
    text = "\n".join(
        "\t".join(values) for values in (header, *(values for _, values in lines))
    )
    return hashlib.sha256(text.encode()).hexdigest()


def _audio_file(folder: Path, annotations: str) -> Path:
    """Return the file of the requested audio annotations."""
    default = folder / DENSE["audio"]
    if not annotations:
        return default
    if annotations not in VERSIONS:
        if not Path(annotations).is_file():
            fix = "give such a file, or leave the option out"
            raise UsageError(
                unknown("annotations", annotations, [*VERSIONS, "FILE"]),
                file=folder,
                fix=fix,
            )
        return Path(annotations)
    sibling = (
        folder.resolve().with_name(f"{folder.resolve().name}-legacy") / DENSE["audio"]
    )
    candidates = [path for path in (default, sibling) if path.is_file()]
    for path in candidates:
        if version(path) == annotations:
            return path
    contents = (
        ", ".join(f"{path} holds the {version(path)} ones" for path in candidates)
        or f"there is no {default}"
    )
    what = f"the {annotations} audio annotations are not there: {contents}"
    raise AnnotationError(
        what,
        file=folder,
        fix=f"put them into {sibling.parent}, or run `vaplan data fetch llp`",
    )


def _tags(path: Path, split: str) -> Iterator[Row]:
    for line, (video, labels) in _lines(path, ("filename", "event_labels")):
        names = [name.strip() for name in labels.split(",")]
        for name in names:
            _check_class(name, path, line)
            yield Row(video, class_name=name, split=split, line=line, file=path)


def _events(path: Path, modality: str) -> Iterator[Row]:
    for line, (video, onset, offset, name) in _lines(
        path, ("filename", "onset", "offset", "event_labels")
    ):
        _check_class(name, path, line)
        start, end = (
            seconds(key, text, file=path, line=line)
            for key, text in (("onset", onset), ("offset", offset))
        )
        if start is None or end is None:
            raise AnnotationError(
                "an event needs onset and offset",
                file=path,
                line=line,
                fix="fill them in",
            )
        yield Row(video, modality, name, start, end, line=line, file=path)


def _lines(path: Path, columns: tuple[str, ...]) -> Iterator[tuple[int, list[str]]]:
    """Read the rows of a tab-separated file with exactly these columns."""
    header, lines = csv_text(path, delimiter="\t")
    if tuple(header) != columns:
        what = f"the columns are {', '.join(header)}; expected {', '.join(columns)}, apart by tabs"
        raise AnnotationError(
            what,
            file=path,
            line=1,
            fix="fetch the official file: `vaplan data fetch llp DIR`",
        )
    for line, values in lines:
        if len(values) != len(columns):
            what = f"{len(values)} fields where the header has {len(columns)}"
            raise AnnotationError(
                what, file=path, line=line, fix="separate the fields by tabs"
            )
        check_id(values[0], file=path, line=line)
        yield line, values


def _check_class(name: str, path: Path, line: int) -> None:
    if name not in LLP.classes:
        raise AnnotationError(
            unknown("class", name, LLP.classes),
            file=path,
            line=line,
            fix="fetch the official file: `vaplan data fetch llp DIR`",
        )


def _refuse_conflicts(listed: Iterable[Row]) -> None:
    """Raise AnnotationError if a clip occurs in two lines or splits."""
    first: dict[str, Row] = {}
    for row in listed:
        earlier_row = first.setdefault(row.video, row)
        if (earlier_row.file, earlier_row.line) != (row.file, row.line):
            what = (
                f"video {row.video!r} stands in line {earlier_row.line} of "
                f"{earlier_row.file.name} already"
            )
            raise AnnotationError(
                what, file=row.file, line=row.line, fix="keep one of the two"
            )


def _odd_ids(listed: Iterable[Row]) -> Iterator[Issue]:
    """Ids that are not `<YouTube id>_<start>_<end>` in whole seconds; they are kept as they are."""
    for row in {row.video: row for row in listed}.values():
        parts = ID.fullmatch(row.video)
        if parts is None:
            yield Issue(
                "unusual id",
                f"{row.video} is not an id of LLP",
                row.video,
                row.file,
                row.line,
            )
        elif "." in parts["start"] + parts["end"]:
            what = f"{row.video} starts at a fraction of a second"
            yield Issue("fractional id", what, row.video, row.file, row.line)


def _compare(path: Path, ids: frozenset[str]) -> Iterator[Issue]:
    """List the clips that only the full list or only the splits contain."""
    full = {
        video: line for line, (video, _) in _lines(path, ("filename", "event_labels"))
    }
    for video, line in full.items():
        if video not in ids:
            yield Issue("in no split", f"{video} stands in no split", video, path, line)
    for video in sorted(ids - full.keys()):
        yield Issue("not in the full list", f"{video} is not listed", video, path)


def youtube_names(data: Annotations) -> dict[str, str]:
    """Return the YouTube id of every video, by which published packs name their files.

    Raises:
        AnnotationError: Two videos of the data set have the same YouTube id.
    """
    video_of = dict[str, str]()
    for video in data.ids:
        name = video[:YOUTUBE_ID_LENGTH]
        first = video_of.setdefault(name, video)
        if first != video:
            raise AnnotationError(
                f"{first!r} and {video!r} start with the same characters, but the pack "
                f"names its files by {name!r} only",
                file=data.source,
                fix="import a data set with one of the two",
            )
    return {video: name for name, video in video_of.items()}

"""Videos to review: the rows of a table, or the files of a folder of timelines."""

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

from vaplan.annotations.annotations import Annotations, Video, merge_rows
from vaplan.annotations.columns import read_columns
from vaplan.annotations.fields import LONGEST_SECONDS, check_id, check_text, number
from vaplan.annotations.rows import AnnotationRows
from vaplan.annotations.table import read_rows, taxonomy_file
from vaplan.errors import AnnotationError, UsageError, VaplanError, excerpt, unknown
from vaplan.modalities import MODALITIES
from vaplan.reading import csv_text, json_object
from vaplan.taxonomy import Taxonomy
from vaplan.timeline import Event
from vaplan.writing import shorten_name

NO_CLASSES = Taxonomy(("none",))  # a taxonomy cannot be empty
SCORES = ".scores.csv"  # ending of the file with the scores of every segment
REVIEWED = ".reviewed"
TIMELINE_FIX = "write it with `vaplan parse`, or move it out of the folder"


@dataclass(frozen=True)
class ReviewVideo:
    """A video and the events that a method gave it.

    Attributes:
        video: Id, tags, path and split.
        events: Events before the review.
        seconds: Length of the video; None if the source does not have it.
        missing: Modality, start and end in seconds of the spans that could not be decoded.
        warnings: Warnings of the decoder.
        scores: File with the scores of every segment, if there is one.
    """

    video: Video
    events: tuple[Event, ...] = ()
    seconds: float | None = None
    missing: tuple[tuple[str, float, float], ...] = ()
    warnings: tuple[str, ...] = ()
    scores: Path | None = None

    @property
    def name(self) -> str:
        """Return the id of the video."""
        return self.video.video


@dataclass(frozen=True)
class Collection:
    """Videos to review.

    Attributes:
        source: Table or folder.
        videos: Videos in the order of the source.
        classes: Names of the classes, sorted or in the order of the taxonomy file.
        is_closed: Whether a taxonomy file forbids other classes.
        problems: One line for each file that cannot be read.
    """

    source: Path
    videos: tuple[ReviewVideo, ...]
    classes: tuple[str, ...]
    is_closed: bool = False
    problems: tuple[str, ...] = ()

    def by_name(self) -> dict[str, ReviewVideo]:
        """Return the videos by their ids."""
        return {video.name: video for video in self.videos}


def read_collection(source: Path) -> Collection:
    """Read a table of events, or a folder of timelines that `vaplan parse` wrote.

    Events of one class and modality that overlap or touch are one event, as everywhere in
    vaplan. A file of a folder that cannot be read is a problem of the collection.

    Args:
        source: Table (CSV or Parquet) or folder.

    Raises:
        UsageError: The source is the result of a review.
        AnnotationError: The table cannot be read, or the folder has no timeline.
    """
    if source.stem.endswith(REVIEWED):
        raise UsageError(
            "this table is the result of a review",
            file=source,
            fix="give the table that was reviewed; the review then continues",
        )
    return _read_folder(source) if source.is_dir() else _read_table(source)


def reviewed_path(source: Path, ending: str = ".csv") -> Path:
    """Name a file of a review: the source's name, `.reviewed` and an ending.

    >>> reviewed_path(Path("data/labels.csv")).as_posix()
    'data/labels.reviewed.csv'

    Args:
        source: Table or folder that is reviewed.
        ending: Ending with its dot.
    """
    resolved = source.resolve()
    stem = resolved.name if resolved.is_dir() else resolved.stem
    return source.parent.joinpath(stem + REVIEWED + ending)


def _read_table(source: Path) -> Collection:
    if source.with_suffix(".json").is_file():
        # imports torch, so it is read for such tables only
        from vaplan.annotations.label_tables import refuse_label_probability

        refuse_label_probability(source)
    rows = read_any_rows(source)
    return Collection(
        source,
        tuple(_videos_of(merge_rows(rows))),
        () if rows.taxonomy is NO_CLASSES else rows.taxonomy.classes,
        is_closed=taxonomy_file(source) is not None,
    )


def read_any_rows(path: Path) -> AnnotationRows:
    """Read a table that may have no row, or rows of videos without events only.

    The taxonomy of such a table is `NO_CLASSES`.

    Args:
        path: Table, CSV or Parquet.

    Raises:
        AnnotationError: The table cannot be read.
    """
    _, lines = read_columns(path)
    has_classes = any(cells.get("class") or cells.get("tags") for _, cells in lines)
    is_empty = not has_classes and taxonomy_file(path) is None
    return read_rows(
        path, taxonomy=NO_CLASSES if is_empty else None, may_be_empty=is_empty
    )


def _videos_of(data: Annotations) -> Iterator[ReviewVideo]:
    for video in data.videos:
        yield ReviewVideo(video, data.events.get(video.video, ()))


def _read_folder(folder: Path) -> Collection:
    videos = dict[str, ReviewVideo]()
    file_of = dict[str, Path]()
    spellings = dict[str, str]()  # of the classes, by the name without case
    problems = list[str]()
    for file in _timeline_files(folder):
        try:
            for video in _read_file(file):
                _refuse_second_file(video, file, file_of)
                _refuse_look_alike(video, file, spellings)
                videos[video.name] = video
                file_of[video.name] = file
        except VaplanError as error:
            problems.append(str(error))
    if not videos:
        first = f"; the first problem: {problems[0]}" if problems else ""
        raise AnnotationError(
            f"this folder contains no timeline{first}",
            file=folder,
            fix="give the folder that `vaplan parse --out` wrote",
        )
    return Collection(
        folder,
        tuple(videos.values()),
        tuple(sorted(spellings.values())),
        problems=tuple(problems),
    )


def _timeline_files(folder: Path) -> Iterator[Path]:
    """Yield the JSON files, and the CSV files without a JSON file of the same name."""
    for file in sorted(folder.rglob("*")):
        is_hidden = any(part.startswith(".") for part in file.relative_to(folder).parts)
        if is_hidden or not file.is_file():
            continue
        is_lone_csv = (
            file.suffix == ".csv"
            and not file.name.endswith(SCORES)
            and not file.with_suffix(".json").exists()
        )
        if file.suffix == ".json" or is_lone_csv:
            yield file


def _read_file(file: Path) -> Iterable[ReviewVideo]:
    if file.suffix == ".json":
        timeline = read_timeline(file)
        own_name = PurePosixPath(timeline.name).name
        return [replace(timeline, scores=_find_scores(file, own_name))]
    data = merge_rows(read_any_rows(file))
    scores = _find_scores(file)
    return [replace(video, scores=scores) for video in _videos_of(data)]


def _find_scores(file: Path, *more_names: str) -> Path | None:
    """Return the file with the scores that lies beside a file of events, if there is one.

    Args:
        file: File of events; that of the scores has its name without the ending.
        more_names: Other names; a long one is shortened as `vaplan parse` shortens it.
    """
    names = (file.name.removesuffix(file.suffix), *more_names)
    paths = [file.with_name(shorten_name(name, SCORES)) for name in names]
    return next((path for path in paths if path.is_file()), None)


def _refuse_second_file(
    video: ReviewVideo, file: Path, file_of: Mapping[str, Path]
) -> None:
    other = file_of.get(video.name)
    if other is not None:
        raise AnnotationError(
            f"video {video.name!r} is in {other.name}, too", file=file, fix="keep one"
        )


def _refuse_look_alike(
    video: ReviewVideo, file: Path, spellings: dict[str, str]
) -> None:
    """Two classes that differ in case alone would make a table that cannot be read."""
    for name in [*video.video.tags, *(event.class_name for event in video.events)]:
        first = spellings.setdefault(name.casefold(), name)
        if first != name:
            raise AnnotationError(
                f"class {name!r} is written {first!r} in another file",
                file=file,
                fix="write a class in one way",
            )


def read_timeline(file: Path) -> ReviewVideo:
    """Read a timeline that `vaplan parse` wrote as JSON.

    Args:
        file: JSON file with `video`, `seconds`, `events`, `missing` and `warnings`.

    Raises:
        AnnotationError: It is no such file, or a value is not valid.
    """
    document = json_object(
        file, what="a timeline", fix=TIMELINE_FIX, error=AnnotationError
    )
    name = document.get("video")
    if not isinstance(name, str) or not isinstance(document.get("events"), list):
        raise AnnotationError(
            "not a timeline: `video` or `events` is missing",
            file=file,
            fix=TIMELINE_FIX,
        )
    check_id(name, file=file, line=None)
    events = tuple(read_event(value, file) for value in document["events"])
    spans = _list(document, "missing", file)
    warnings = _list(document, "warnings", file)
    return ReviewVideo(
        Video(name),
        tuple(sorted(events, key=lambda e: (e.onset, e.modality, e.class_name))),
        _seconds(document, "seconds", file),
        tuple(_span(value, file) for value in spans),
        tuple(str(text) for text in warnings),
    )


def read_event(value: object, file: Path) -> Event:
    """Read one event of a JSON document.

    Args:
        value: Mapping with `modality`, `class`, `onset`, `offset` and, perhaps, `score`.
        file: File, for errors.

    Raises:
        AnnotationError: A key is missing or a value is not valid.
    """
    modality, onset, offset = _span(value, file)
    assert isinstance(value, dict)
    name = value.get("class")
    if not isinstance(name, str) or not name or name != name.strip():
        raise AnnotationError(
            f"class is {excerpt(name)}, expected a name", file=file, fix=TIMELINE_FIX
        )
    check_text("class", name, file=file, line=None)
    score = value.get("score")
    if score is not None and not _is_number(score):
        raise AnnotationError(
            f"score is {excerpt(score)}, expected a number or null",
            file=file,
            fix=TIMELINE_FIX,
        )
    return Event(modality, name, onset, offset, None if score is None else float(score))


def _span(value: object, file: Path) -> tuple[str, float, float]:
    if not isinstance(value, dict):
        raise AnnotationError(
            f"{excerpt(value)} is no event", file=file, fix=TIMELINE_FIX
        )
    modality = value.get("modality")
    if modality not in MODALITIES:
        raise AnnotationError(
            unknown("modality", str(modality), MODALITIES), file=file, fix=TIMELINE_FIX
        )
    onset = _seconds(value, "onset", file)
    offset = _seconds(value, "offset", file)
    if onset is None or offset is None or onset >= offset:
        raise AnnotationError(
            f"onset {onset} s must come before offset {offset} s",
            file=file,
            fix=TIMELINE_FIX,
        )
    return str(modality), onset, offset


def _seconds(document: Mapping[str, Any], key: str, file: Path) -> float | None:
    value = document.get(key)
    if value is None:
        return None
    if not _is_number(value) or not 0 <= value <= LONGEST_SECONDS:
        raise AnnotationError(
            f"{key} is {excerpt(value)}, expected seconds from 0 to "
            f"{LONGEST_SECONDS:,.0f}",
            file=file,
            fix=TIMELINE_FIX,
        )
    return float(value)


def _list(document: Mapping[str, Any], key: str, file: Path) -> list[Any]:
    value = document.get(key, [])
    if not isinstance(value, list):
        raise AnnotationError(f"{key} is no list", file=file, fix=TIMELINE_FIX)
    return value


def _is_number(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return abs(value) <= sys.float_info.max


def read_score_curves(file: Path) -> dict[str, Any]:
    """Read the scores of every segment that `vaplan parse --scores` wrote.

    Args:
        file: CSV with the columns modality, onset, offset, and one column a class.

    Returns:
        A JSON value: `classes`, and for each modality a list of rows with onset, offset
        and the score of every class.

    Raises:
        AnnotationError: The file is no such table.
    """
    header, lines = csv_text(file, at_most=64 * 1024 * 1024)
    if header[:3] != ["modality", "onset", "offset"] or len(header) < 4:
        raise AnnotationError(
            f"columns are {excerpt(header)}, expected modality, onset, offset and classes",
            file=file,
            line=1,
            fix="write it with `vaplan parse --scores`",
        )
    rows: dict[str, list[list[float]]] = {modality: [] for modality in MODALITIES}
    for line, (modality, *texts) in lines:
        if modality not in MODALITIES or len(texts) != len(header) - 1:
            raise AnnotationError(
                f"a row of {len(texts) + 1} fields with modality {excerpt(modality)}",
                file=file,
                line=line,
                fix="write it again with `vaplan parse --scores`",
            )
        rows[modality].append(_numbers(texts, file, line))
    return {"classes": header[3:], **rows}


def _numbers(texts: Sequence[str], file: Path, line: int) -> list[float]:
    return [number("score", text, file=file, line=line) for text in texts]

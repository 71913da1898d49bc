"""OV-AVEBench: ten-second clips, each with the seconds in which its event is audible and visible.

A folder holds `ovave_dataset_meta.csv` (`split, cls_name, cls_type, vid_name`) and the labels,
`released_ovavel_dataset_anno.json` or `ovavel_dataset_anno.json` (`{ID: {"category": …, "label":
"[0, 1, …]"}}`, one number a second). A class of type `open` is in no training video.
Source: Zhou, Guo, Guo, Mao, Hu, Zhong, Chang, Wang, CVPR 2025, arXiv 2411.11278;
https://github.com/jasongief/OV-AVEL.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool

from vaplan.annotations.fields import check_id, check_text
from vaplan.annotations.published import (
    check_fields,
    expect,
    expect_item,
    refuse_version,
)
from vaplan.annotations.rows import BOTH, AnnotationRows, Issue, Row
from vaplan.errors import AnnotationError, unknown
from vaplan.reading import csv_text, json_value
from vaplan.taxonomy import from_names
from vaplan.timeline import runs

META = "ovave_dataset_meta.csv"
LABELS = ("released_ovavel_dataset_anno.json", "ovavel_dataset_anno.json")
FIELDS = ("split", "cls_name", "cls_type", "vid_name")
TYPES = ("close", "open")
SPLITS = ("train", "val", "test")
CLIP_SECONDS = 10
MARKS = re.compile(rf"\[ *[01](?:, *[01]){{{CLIP_SECONDS - 1}}} *\]")

Marks = tuple[str, Bool[np.ndarray, " time"]]  # a class, and its marked seconds


@dataclass(frozen=True)
class Clip:
    """One line of the list of clips."""

    video: str
    class_name: str
    split: str
    line: int


def read(folder: Path, *, annotations: str = "") -> AnnotationRows:
    """Read the clips of a folder with their events.

    A clip with a marked second is tagged with its class; one without is background. Labels of
    clips that the list does not name are left out and are issues.

    Args:
        folder: Folder of the official files.
        annotations: Must be empty: there is one version.

    Raises:
        UsageError: A version is asked for.
        AnnotationError: A file is missing or cannot be read; the error names the line, or the
            value and its place.
    """
    refuse_version(folder, annotations, "OV-AVEBench")
    meta, labels = folder / META, _labels_file(folder)
    listed = list(_clips(meta))
    clips = dict[str, Clip]()
    for clip in listed:
        clips.setdefault(clip.video, clip)
    marks = {
        video: _marks(video, value, clips.get(video), labels)
        for video, value in expect(json_value(labels), dict, "", file=labels).items()
    }
    _refuse_unlabelled(listed, marks, meta, labels)
    return AnnotationRows(
        source=folder,
        taxonomy=from_names(clip.class_name for clip in listed),
        rows=[
            *_tags(clips.values(), marks, meta),
            *_events(marks, labels),
        ],
        version=labels.name,
        files=(meta, labels),
        segments=CLIP_SECONDS,
        listed=frozenset(clips),
        labelled=frozenset(SPLITS),
        localisation=True,
        issues=tuple(_repeated(listed, clips, meta)),
    )


def _labels_file(folder: Path) -> Path:
    files = [file for name in LABELS if (file := folder / name).is_file()]
    if not files:
        raise AnnotationError(
            f"neither {' nor '.join(LABELS)} is there",
            file=folder,
            fix="put the files of meta_anno_files of the official repository there",
        )
    return files[0]


def _clips(file: Path) -> Iterator[Clip]:
    header, lines = csv_text(file)
    if tuple(header) != FIELDS:
        raise AnnotationError(
            f"the columns are {', '.join(header)}; expected {', '.join(FIELDS)}",
            file=file,
            line=1,
            fix="give the published file",
        )
    for line, values in lines:
        check_fields(values, FIELDS, file=file, line=line)
        split, name, kind, video = values
        check_id(video, file=file, line=line)
        check_text("cls_name", name, file=file, line=line)
        for column, value, known in (
            ("split", split, SPLITS),
            ("cls_type", kind, TYPES),
        ):
            if value not in known:
                raise AnnotationError(
                    unknown(column, value, known),
                    file=file,
                    line=line,
                    fix="compare it with the published file",
                )
        if not name:
            raise AnnotationError(
                f"{video} has no class", file=file, line=line, fix="fill in cls_name"
            )
        yield Clip(video, name, split, line)


def _marks(video: str, value: object, clip: Clip | None, file: Path) -> Marks:
    """Read the class of a clip and its marked seconds."""
    check_id(video, file=file, line=None)
    place = f"[{video[:60]!r}]"
    entry = expect(value, dict, place, file=file)
    name = expect_item(entry, "category", str, place, file=file)
    text = expect_item(entry, "label", str, place, file=file)
    if clip is not None and clip.class_name != name:
        raise AnnotationError(
            f"{place}.category is {name[:60]!r}, but {META} has {clip.class_name!r} in "
            f"line {clip.line}",
            file=file,
            fix="use files of one release",
        )
    if not MARKS.fullmatch(text):
        raise AnnotationError(
            f"{place}.label is {text[:60]!r}, expected {CLIP_SECONDS} times 0 or 1, "
            "such as [0, 1, …]",
            file=file,
            fix="compare it with the published file",
        )
    return name, np.array([digit == "1" for digit in text if digit in "01"])


def _tags(
    clips: Iterable[Clip], marks: Mapping[str, Marks], file: Path
) -> Iterator[Row]:
    """Return one row for each clip: its class if a second is marked, else no class."""
    for clip in clips:
        _, seconds = marks[clip.video]
        name = clip.class_name if seconds.any() else ""
        yield Row(
            clip.video, class_name=name, split=clip.split, line=clip.line, file=file
        )


def _events(marks: Mapping[str, Marks], file: Path) -> Iterator[Row]:
    for video, (name, seconds) in marks.items():
        for start, stop in runs(seconds):
            yield Row(video, BOTH, name, float(start), float(stop), file=file)


def _refuse_unlabelled(
    listed: Sequence[Clip], marks: Mapping[str, Marks], meta: Path, labels: Path
) -> None:
    missing = [clip for clip in listed if clip.video not in marks]
    if not listed or missing:
        what = "the list has no clips"
        if missing:
            what = (
                f"{len(missing)} of {len(listed)} clips are not in {labels.name}, the "
                f"first is {missing[0].video!r}"
            )
        raise AnnotationError(
            what,
            file=meta,
            line=missing[0].line if missing else None,
            fix="use files of one release",
        )


def _repeated(
    listed: Sequence[Clip], clips: Mapping[str, Clip], file: Path
) -> Iterator[Issue]:
    for clip in listed:
        first = clips[clip.video]
        if first is not clip:
            what = f"{clip.video} is in line {first.line} already, which counts"
            yield Issue("clip listed twice", what, clip.video, file, clip.line)

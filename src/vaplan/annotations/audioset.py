"""AudioSet: ten-second clips of YouTube with tags, and with sound events where they were labelled.

A clip's id is `<YouTube id>_<start in milliseconds>`, as in the files of strong labels, so the
tags and the events of one clip meet. Labels are ids such as `/m/09x0r`; their names are in
files that are published with them.
Sources: Gemmeke et al., ICASSP 2017 (tags); Hershey et al., ICASSP 2021, arXiv 2105.07031
(strong labels); https://research.google.com/audioset/.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from vaplan.annotations.fields import check_id, check_text, seconds
from vaplan.annotations.published import (
    check_fields,
    classes_of,
    expect,
    expect_item,
    one_modality,
    refuse_version,
    split_of,
    youtube_id,
)
from vaplan.annotations.rows import AnnotationRows, Issue, Row
from vaplan.errors import AnnotationError
from vaplan.modalities import AUDIO, MODALITIES
from vaplan.reading import csv_rows, json_value

SEGMENTS = ("YTID", "start_seconds", "end_seconds", "positive_labels")
STRONG = ("segment_id", "start_time_seconds", "end_time_seconds", "label")
PATTERNS = ("*segments*.csv", "*strong*.tsv")  # of the files in a folder
FRAME_LABELS = "framed"  # files with a yes or no for each frame; they are not read
CLIP_SECONDS = 10
LABEL = re.compile(r"/[a-z]/\w+")
SOUND = MODALITIES[AUDIO]


def read(path: Path, *, annotations: str = "") -> AnnotationRows:
    """Read a file of segments or of strong labels, or all of them in a folder.

    Files whose name contains `train` are split `train`, those with `eval` are `test`. The names
    of the labels come from `class_labels_indices.csv`, `mid_to_display_name.tsv` and
    `ontology.json` in the same folder; a label without a name keeps its id, and is an issue.

    Args:
        path: `*segments*.csv`, `*strong*.tsv`, or a folder that holds them.
        annotations: Must be empty: there is one version.

    Raises:
        UsageError: A version is asked for.
        AnnotationError: A file is missing or cannot be read; the error names file and line.
    """
    refuse_version(path, annotations, "AudioSet")
    files = _list_files(path)
    folder = files[0].parent
    names, name_files = read_names(folder)
    ids = [row for file in files for row in _rows(file)]
    rows = [
        replace(row, class_name=names.get(row.class_name, row.class_name))
        for row in ids
    ]
    return AnnotationRows(
        source=path,
        taxonomy=classes_of(rows, path),
        rows=rows,
        version=", ".join(file.name for file in files),
        files=(*files, *name_files),
        segments=CLIP_SECONDS,
        recording=youtube_id,
        issues=(*_without_name(ids, names), *one_modality(rows)),
    )


def read_names(folder: Path) -> tuple[dict[str, str], tuple[Path, ...]]:
    """Read the names of the labels from the files of a folder.

    Args:
        folder: Folder that holds at least one of the files in `NAME_READERS`.

    Returns:
        Names by id of the label, and the files; the first file that names a label counts.

    Raises:
        AnnotationError: No such file is there, or one cannot be read.
    """
    files = tuple(file for name in NAME_READERS if (file := folder / name).is_file())
    if not files:
        raise AnnotationError(
            f"no file of label names is there: {', '.join(NAME_READERS)}",
            file=folder,
            fix="put one of them beside the labels",
        )
    names = dict[str, str]()
    for file in files:
        for label, name, line in NAME_READERS[file.name](file):
            check_text("name", name, file=file, line=line)
            if name:
                names.setdefault(label, name)
    return names, files


Name = tuple[str, str, int | None]  # id of a label, its name, and the line


def _indices(file: Path) -> Iterator[Name]:
    for line, values in csv_rows(file):
        check_fields(values, ("index", "mid", "display_name"), file=file, line=line)
        if values[1] != "mid":  # the header
            yield values[1], values[2], line


def _display_names(file: Path) -> Iterator[Name]:
    for line, values in csv_rows(file, delimiter="\t"):
        check_fields(values, ("mid", "display_name"), file=file, line=line)
        yield values[0], values[1], line


def _ontology(file: Path) -> Iterator[Name]:
    for position, item in enumerate(expect(json_value(file), list, "", file=file)):
        place = f"[{position}]"
        entry = expect(item, dict, place, file=file)
        label = expect_item(entry, "id", str, place, file=file)
        name = expect_item(entry, "name", str, place, file=file)
        yield label, name, None


NAME_READERS: Mapping[str, Callable[[Path], Iterator[Name]]] = {
    "class_labels_indices.csv": _indices,
    "mid_to_display_name.tsv": _display_names,
    "ontology.json": _ontology,
}


def _list_files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    found = [file for pattern in PATTERNS for file in sorted(path.glob(pattern))]
    files = [file for file in found if FRAME_LABELS not in file.name]
    if not files:
        raise AnnotationError(
            f"no file is named {' or '.join(PATTERNS)}",
            file=path,
            fix="put files such as balanced_train_segments.csv there",
        )
    return files


def _rows(file: Path) -> Iterator[Row]:
    """Read a file whose labels are ids: tags, or events if it ends with `.tsv`."""
    reader = _events if file.suffix == ".tsv" else _tags
    return reader(file, split_of(file.stem))


def _tags(file: Path, split: str) -> Iterator[Row]:
    for line, values in csv_rows(file, skip_spaces=True):
        if values[0].startswith("#"):
            continue
        check_fields(values, SEGMENTS, file=file, line=line)
        start = seconds(SEGMENTS[1], values[1], file=file, line=line)
        if start is None:
            raise AnnotationError(
                "a segment without its start",
                file=file,
                line=line,
                fix="compare it with the published file",
            )

        clip = f"{values[0]}_{round(1000 * start)}" if values[0] else ""
        check_id(clip, file=file, line=line)
        for label in values[3].split(","):
            _check_label(label, file, line)
            yield Row(clip, class_name=label, split=split, line=line, file=file)


def _events(file: Path, split: str) -> Iterator[Row]:
    lines = csv_rows(file, delimiter="\t")
    _, header = next(lines, (1, []))
    if tuple(header) != STRONG:
        raise AnnotationError(
            f"the columns are {', '.join(header)}; expected {', '.join(STRONG)}",
            file=file,
            line=1,
            fix="give the published file of strong labels",
        )
    for line, values in lines:
        check_fields(values, STRONG, file=file, line=line)
        clip, *times, label = values
        check_id(clip, file=file, line=line)
        _check_label(label, file, line)
        onset, offset = (
            seconds(key, text, file=file, line=line)
            for key, text in zip(STRONG[1:3], times, strict=True)
        )
        if onset is None or offset is None:
            raise AnnotationError(
                "an event needs its start and its end",
                file=file,
                line=line,
                fix="compare it with the published file",
            )
        yield Row(clip, SOUND, label, onset, offset, split=split, line=line, file=file)


def _check_label(label: str, file: Path, line: int) -> None:
    if not LABEL.fullmatch(label):
        raise AnnotationError(
            f"label {label!r} is no id, expected one such as /m/09x0r",
            file=file,
            line=line,
            fix="compare it with the published file",
        )


def _without_name(rows: Sequence[Row], names: Mapping[str, str]) -> Iterator[Issue]:
    unnamed = defaultdict[str, list[Row]](list)
    for row in rows:
        if row.class_name not in names:
            unnamed[row.class_name].append(row)

    for label, label_rows in unnamed.items():
        first = label_rows[0]
        count = len(label_rows)
        what = f"{label} has no name, and its {count} rows keep the id as class"
        yield Issue("label without a name", what, first.video, first.file, first.line)

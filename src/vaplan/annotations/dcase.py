"""Sound events as DCASE and sed_eval write them: `filename, onset, offset, event_label`.

All events are in the audio; the frames have no labels. The file has a header or none; fields
are separated by tabs, commas or semicolons. Without a header the number of fields says what they
are, as in sed_eval (https://tut-arg.github.io/sed_eval): Mesaros, Heittola, Virtanen, 2016.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from vaplan.annotations.fields import check_id, check_text, id_of_file, seconds
from vaplan.annotations.published import (
    check_fields,
    classes_of,
    one_modality,
    refuse_version,
    split_of,
)
from vaplan.annotations.rows import AnnotationRows, Row
from vaplan.errors import AnnotationError
from vaplan.modalities import AUDIO, MODALITIES
from vaplan.reading import csv_rows

Line = tuple[int, list[str]]

NAMES: Mapping[str, str] = {
    "filename": "filename",
    "file": "filename",
    "onset": "onset",
    "event_onset": "onset",
    "offset": "offset",
    "event_offset": "offset",
    "event_label": "event_label",
    "event_labels": "event_labels",
    "scene_label": "scene_label",
    "duration": "duration",
}  # of the columns of a header
LAYOUTS: Mapping[int, tuple[str, ...]] = {
    2: ("filename", "event_labels"),
    3: ("onset", "offset", "event_label"),
    4: ("filename", "onset", "offset", "event_label"),
    5: ("filename", "scene_label", "onset", "offset", "event_label"),
}  # of files without a header, by their number of fields
SUFFIXES = (".tsv", ".csv", ".txt", ".ann")
DELIMITERS = "\t,;"
SOUND = MODALITIES[AUDIO]


def read(path: Path, *, annotations: str = "") -> AnnotationRows:
    """Read a file of sound events, or all such files of a folder.

    A file whose name contains `train`, `val` or `validation`, `test` or `eval` belongs to that
    split. The id of a recording is its file name without the ending; a file without a column of
    file names is about the recording that it is named after. A row without times and label says
    that nothing occurs. Files of lengths (`filename, duration`) are left out.

    Args:
        path: File, or folder of `.tsv`, `.csv`, `.txt` and `.ann` files.
        annotations: Must be empty: there is one version.

    Raises:
        UsageError: A version is asked for.
        AnnotationError: A file or a row cannot be read; the error names file and line.
    """
    refuse_version(path, annotations, "a file of sound events")
    files = list_files(path)
    rows = [row for file in files for row in read_rows(file)]
    used = {row.file for row in rows}
    return AnnotationRows(
        source=path,
        taxonomy=classes_of(rows, path),
        rows=rows,
        version=f"{path.name}, audio only",
        files=tuple(file for file in files if file in used),
        issues=tuple(one_modality(rows)),
    )


def list_files(path: Path) -> list[Path]:
    """List the file itself, or the files of sound events in a folder.

    Raises:
        AnnotationError: There is no such file, or none in the folder.
    """
    if not path.is_dir():
        return [path]
    files = sorted(file for file in path.iterdir() if file.suffix in SUFFIXES)
    if not files:
        raise AnnotationError(
            f"no {', '.join(SUFFIXES)} file is in this folder",
            file=path,
            fix="give the file of the events",
        )
    return files


def read_rows(path: Path) -> Iterator[Row]:
    """Yield the rows of one file.

    Args:
        path: File of sound events.

    Raises:
        AnnotationError: A row cannot be read; the error names file and line.
    """
    lines = list(_lines(path))
    if not lines:
        raise AnnotationError(
            "the file is empty", file=path, fix="write one event a line"
        )

    names, lines = _layout(path, lines)
    if "duration" in names:
        return

    split = split_of(path.stem)
    for line, values in lines:
        if len(values) == 1 and names[0] == "filename":  # nothing occurs in it
            values = [*values, *[""] * (len(names) - 1)]
        check_fields(values, names, file=path, line=line)
        cells = dict(zip(names, values, strict=True))
        yield from _read_line(cells, split, file=path, line=line)


def _lines(path: Path) -> Iterator[Line]:
    """Split the lines into rows at the first delimiter that the first line contains."""
    for delimiter in DELIMITERS:
        first = next(csv_rows(path, delimiter=delimiter), None)
        if first is not None and len(first[1]) > 1:
            return csv_rows(path, delimiter=delimiter)
    return csv_rows(path)


def _layout(path: Path, lines: list[Line]) -> tuple[tuple[str, ...], list[Line]]:
    """Return the names of the fields, and the lines without the header."""
    first, values = lines[0]
    header = [value.casefold() for value in values]
    if header[0] in NAMES or "onset" in header:
        return _header(path, first, header), lines[1:]

    if len(values) not in LAYOUTS or (len(values) == 2 and _is_number(values[0])):
        raise AnnotationError(
            f"{len(values)} fields, expected 3 to 5 for events or 2 for tags",
            file=path,
            line=first,
            fix="write filename, onset, offset and event_label, separated by tabs",
        )
    return LAYOUTS[len(values)], lines


def _is_number(text: str) -> bool:
    return text.replace(".", "", 1).isdecimal()


def _header(path: Path, line: int, header: Sequence[str]) -> tuple[str, ...]:
    names = tuple(NAMES.get(name, name) for name in header)

    def fail(what: str) -> AnnotationError:
        return AnnotationError(
            f"{what}; columns: {', '.join(header)}",
            file=path,
            line=line,
            fix="name the columns filename, onset, offset, event_label",
        )

    for name in names:
        if names.count(name) > 1:
            raise fail(f"column {name!r} is there twice")
    if "duration" in names:
        return names
    if ("onset" in names) != ("offset" in names):
        raise fail("the columns onset and offset belong together")
    if "event_label" not in names and "event_labels" not in names:
        raise fail("column 'event_label' is missing")
    if "event_label" in names and "event_labels" in names:
        raise fail("event_label and event_labels could each be the class")
    return names


def _read_line(
    cells: Mapping[str, str], split: str, *, file: Path, line: int
) -> Iterator[Row]:
    video = id_of_file(cells.get("filename", file.stem))
    check_id(video, file=file, line=line)
    label = cells.get("event_label", cells.get("event_labels", ""))
    row = Row(video, split=split, line=line, file=file)

    if "onset" not in cells:
        yield from _tags(row, label)
        return

    check_text("event_label", label, file=file, line=line)
    onset, offset = (
        seconds(key, cells[key], file=file, line=line) for key in ("onset", "offset")
    )

    if not label and onset is None and offset is None:
        yield row
        return
    if not label or onset is None or offset is None:
        raise AnnotationError(
            "an event needs onset, offset and event_label",
            file=file,
            line=line,
            fix="fill them in, or leave all three empty where nothing occurs",
        )
    yield Row(video, SOUND, label, onset, offset, split=split, line=line, file=file)


def _tags(row: Row, labels: str) -> Iterator[Row]:
    names = [name.strip() for name in labels.split(",") if name.strip()]
    if not names:
        raise AnnotationError(
            f"{row.video!r} has no label",
            file=row.file,
            line=row.line,
            fix="list what occurs in it, separated by commas",
        )
    for name in names:
        check_text("event_label", name, file=row.file, line=row.line)
        yield Row(
            row.video, class_name=name, split=row.split, line=row.line, file=row.file
        )

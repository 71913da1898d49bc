"""Columns of a table: the delimiter, the header names that are understood, and the cells.

A table is a CSV (with commas, semicolons, tabs or bars) or Parquet. Every field is read as text,
so that no field turns into a missing value.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from vaplan.annotations.fields import id_of_file, id_of_path
from vaplan.errors import AnnotationError
from vaplan.objects import local_copy
from vaplan.reading import check_row_count, csv_text

Cells = Mapping[str, str]  # text of each field, by the meaning of its column

# Names of the columns by meaning; the first name has priority, and case does not matter.
MEANINGS: Mapping[str, tuple[str, ...]] = {
    "video": ("video", "filename", "file", "id"),
    "modality": ("modality",),
    "class": ("class", "label", "event_label", "event_labels", "tag"),
    "onset": ("onset", "start", "start_time", "begin"),
    "offset": ("offset", "end", "stop", "end_time"),
    "score": ("score",),
    "path": ("path",),
    "split": ("split",),
    "tags": ("tags",),
}
TIMES = ("onset", "offset")
FILE_NAMES = ("filename", "file")  # columns of file names, which may have an ending
TAG_LIST = "event_labels"  # a list of tags, in a table without times
DELIMITERS = ",;\t|"


@dataclass(frozen=True)
class Columns:
    """Columns of a table.

    Attributes:
        header: Names as in the file.
        meanings: Meaning of each column; empty for a column that is not used.
    """

    header: tuple[str, ...]
    meanings: tuple[str, ...]

    def __contains__(self, meaning: str) -> bool:
        return meaning in self.meanings

    def names(self) -> dict[str, str]:
        """Return the meaning of each column by its name."""
        return dict(zip(self.header, self.meanings, strict=True))

    def position(self, meaning: str) -> int:
        """Return the position of the column with a meaning.

        Args:
            meaning: One of `MEANINGS`.
        """
        return self.meanings.index(meaning)


def read_columns(path: Path) -> tuple[Columns, Iterator[tuple[int, Cells]]]:
    """Read a table: its columns, and the line number and the cells of every row.

    The cell `video` of a column `filename` or `file` is the name without the ending of a media
    file. Lines of Parquet count from 2, as those of a CSV.

    Args:
        path: Table, CSV or Parquet.

    Raises:
        AnnotationError: The file cannot be read, two columns mean the same, a column is
            missing, or a row has fields too many or too few.
    """
    header, lines = (
        _parquet_text(path) if path.suffix == ".parquet" else _delimited(path)
    )
    columns = Columns(tuple(header), tuple(_meanings(header, path)))
    _check(columns, path)
    return columns, _cells(columns, lines, path)


def video_id(cells: Cells) -> str:
    """Return the id of a row: its video, or its path without the ending."""
    return cells.get("video") or id_of_path(cells.get("path", ""))


def _meanings(header: Sequence[str], path: Path) -> list[str]:
    names = [name.casefold() for name in header]
    meanings = [""] * len(names)
    for meaning, known in MEANINGS.items():
        positions = [i for i, name in enumerate(names) if name == known[0]]
        positions = positions or [i for i, name in enumerate(names) if name in known]
        if len(positions) > 1:
            raise _ambiguous(meaning, [header[i] for i in positions], path)
        for position in positions:
            meanings[position] = meaning
    return _as_tags(names, meanings)


def _as_tags(names: Sequence[str], meanings: list[str]) -> list[str]:
    """Read a list of labels as tags, and leave tags beside a class unused."""
    has_times = any(name in meanings for name in ("modality", *TIMES))
    if "tags" in meanings:
        has_class = "class" in meanings
        return ["" if has_class and m == "tags" else m for m in meanings]
    if TAG_LIST in names and not has_times:
        position = names.index(TAG_LIST)
        if meanings[position] == "class":
            meanings[position] = "tags"
    return meanings


def _ambiguous(meaning: str, names: Sequence[str], path: Path) -> AnnotationError:
    if len({name.casefold() for name in names}) == 1:
        what = f"column {names[0]!r} occurs twice"
    else:
        what = f"columns {' and '.join(map(repr, names))} could each be the {meaning}"
    fix = f"name one of them {meaning}, and the others otherwise"
    return AnnotationError(what, file=path, line=1, fix=fix)


def _check(columns: Columns, path: Path) -> None:
    """Raise AnnotationError if the columns of videos, classes or times are incomplete."""
    header = ", ".join(columns.header)

    def fail(what: str, fix: str) -> AnnotationError:
        return AnnotationError(what, file=path, line=1, fix=fix)

    if "video" not in columns and "path" not in columns:
        known = ", ".join(MEANINGS["video"])
        raise fail(
            f"column 'video' is missing; columns: {header}",
            f"name the columns video,class or video,tags; {known} and path are "
            "understood as the video",
        )
    if "class" not in columns and "tags" not in columns:
        known = ", ".join(MEANINGS["class"])
        raise fail(
            f"column 'class' is missing; columns: {header}",
            f"name it class; {known} and tags are understood",
        )
    if ("onset" in columns) != ("offset" in columns):
        absent, present = TIMES if "offset" in columns else TIMES[::-1]
        known = ", ".join(MEANINGS[absent])
        raise fail(
            f"column {absent!r} is missing beside {present!r}; columns: {header}",
            f"add it; {known} are understood",
        )
    if "tags" in columns and any(n in columns for n in ("modality", *TIMES, "score")):
        raise fail(
            "a column `tags` is about whole videos, but other columns are about single "
            f"events; columns: {header}",
            "write one row an event, with the column class",
        )


def _cells(
    columns: Columns, lines: Iterator[tuple[int, list[str]]], path: Path
) -> Iterator[tuple[int, Cells]]:
    is_file = (
        "video" in columns
        and columns.header[columns.position("video")].casefold() in FILE_NAMES
    )
    fix = "quote fields that contain commas"
    if "tags" in columns:
        fix = 'quote tags that contain commas, as in dog.mp4,"Dog,Speech", or separate tags by ;'
    for line, values in lines:
        if len(values) != len(columns.header):
            what = f"{len(values)} fields where the header has {len(columns.header)}"
            raise AnnotationError(what, file=path, line=line, fix=fix)
        cells = dict(zip(columns.meanings, values, strict=True))
        if is_file:
            cells["video"] = id_of_file(cells["video"])
        yield line, cells


def _delimited(path: Path) -> tuple[list[str], Iterator[tuple[int, list[str]]]]:
    """Read a file with the first delimiter that gives a column of videos."""
    for delimiter in DELIMITERS:
        header, lines = csv_text(path, delimiter=delimiter)
        names = {name.casefold() for name in header}
        if len(header) > 1 and names & {*MEANINGS["video"], "path"}:
            return header, lines
    return csv_text(path)


def _parquet_text(path: Path) -> tuple[list[str], Iterator[tuple[int, list[str]]]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with local_copy(path) as copy:
            file = pq.ParquetFile(copy)
            check_row_count(file.metadata.num_rows, path)
            table = file.read()
        table.validate(full=True)
        columns = [
            ["" if v is None else str(v) for v in column.to_pylist()]
            for column in table.columns
        ]
    except (OSError, ValueError, pa.ArrowException) as error:
        raise AnnotationError(
            f"not a Parquet table: {error}", file=path, fix="check the path"
        ) from error
    return table.column_names, (
        (n, list(row)) for n, row in enumerate(zip(*columns, strict=True), start=2)
    )

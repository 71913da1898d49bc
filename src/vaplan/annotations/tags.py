"""Tags of a user's own videos: a CSV of `path,tags` or `video,tags`."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from difflib import SequenceMatcher
from itertools import combinations
from pathlib import Path

from vaplan.annotations.rows import Row
from vaplan.annotations.table import check_id, check_text
from vaplan.errors import AnnotationError, unknown
from vaplan.reading import csv_text
from vaplan.taxonomy import Taxonomy

MIN_SIMILARITY = 0.66  # of two names that may be spellings of one class; 1 is equal


def read_tags(path: Path) -> list[Row]:
    """Read a CSV of tags: one video a line, its tags separated by `;`, `,` or `|`.

    The columns are `path,tags` or `video,tags`, and optionally `split` (default `train`).
    The id of a video without a column `video` is the name of its file without the ending.

    Returns:
        One row for each tag of each video.

    Raises:
        AnnotationError: A column, an id or the tags of a video are missing, or a video
            occurs twice. The error names the line.
    """
    header, lines = csv_text(path)
    id_column = "video" if "video" in header else "path"
    for name in (id_column, "tags"):
        if name not in header:
            raise AnnotationError(
                f"column {name!r} is missing; the columns are: {', '.join(header)}",
                file=path,
                line=1,
                fix="start the file with path,tags",
            )
    rows = list[Row]()
    line_of = dict[str, int]()
    for line, values in lines:
        if len(values) != len(header):
            raise AnnotationError(
                f"{len(values)} fields where the header has {len(header)}",
                file=path,
                line=line,
                fix="quote tags that contain commas, as in "
                'dog.mp4,"Dog,Speech", or separate tags by ;',
            )
        cells = dict(zip(header, values, strict=True))
        row, tags = _parse_line(cells, file=path, line=line)
        if row.video in line_of:
            raise AnnotationError(
                f"video {row.video!r} is already in line {line_of[row.video]}",
                file=path,
                line=line,
                fix="give each file a unique name and one line",
            )
        line_of[row.video] = line
        rows += [replace(row, class_name=tag) for tag in tags]
    if not rows:
        raise AnnotationError(
            "the file lists no video", file=path, fix="add one line path,tags per video"
        )
    return rows


def read_known_tags(path: Path, taxonomy: Taxonomy) -> dict[str, tuple[str, ...]]:
    """Read the tags of each video by its id, and check them against a taxonomy.

    Args:
        path: A CSV as for `read_tags`.
        taxonomy: Classes of the parser that the tags filter.

    Raises:
        AnnotationError: A tag is not a class of the taxonomy.
    """
    tags = dict[str, tuple[str, ...]]()
    for row in read_tags(path):
        if row.class_name not in taxonomy.classes:
            raise AnnotationError(
                unknown("class", row.class_name, taxonomy.classes),
                file=path,
                line=row.line,
                fix="use the classes of the parser as tags",
            )
        tags[row.video] = (*tags.get(row.video, ()), row.class_name)
    return tags


def similar_names(classes: Sequence[str]) -> list[tuple[str, str]]:
    """List pairs of class names that may be two spellings of one class.

    >>> similar_names(["Dgo", "Dog", "Rain", "dog"])
    [('Dgo', 'Dog'), ('Dgo', 'dog'), ('Dog', 'dog')]
    """
    return [
        (first, second)
        for first, second in combinations(classes, 2)
        if _similarity(first, second) >= MIN_SIMILARITY
    ]


def _similarity(first: str, second: str) -> float:
    return SequenceMatcher(None, first.casefold(), second.casefold()).ratio()


def _parse_line(
    cells: Mapping[str, str], *, file: Path, line: int
) -> tuple[Row, list[str]]:
    """Return the row of a line without its class, and the tags of the line."""
    media_path = cells.get("path", "")
    video = cells.get("video") or Path(media_path).stem
    check_id(video, file=file, line=line)
    tags = [tag.strip() for tag in re.split(r"[;,|]", cells["tags"]) if tag.strip()]
    if not tags:
        raise AnnotationError(
            f"{video!r} has no tags", file=file, line=line, fix="list what occurs in it"
        )
    split = cells.get("split") or "train"
    check_text("path", media_path, file=file, line=line)
    check_text("split", split, file=file, line=line)
    for tag in tags:
        check_text("tag", tag, file=file, line=line)
    row = Row(video, path=media_path, split=split, line=line, file=file)
    return row, list(dict.fromkeys(tags))

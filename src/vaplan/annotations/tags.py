"""Tags of a user's own videos: a table of `path,tags` or `video,tags`."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from pathlib import Path, PurePosixPath

from vaplan.annotations.columns import Cells, read_columns, video_id
from vaplan.annotations.fields import check_id, check_text
from vaplan.annotations.media_files import MediaFile
from vaplan.annotations.rows import Row
from vaplan.errors import AnnotationError, unknown
from vaplan.taxonomy import Taxonomy

MIN_LETTERS = 4  # of names in which one wrong letter is taken for a slip


def read_tags(path: Path) -> list[Row]:
    """Read a table of tags: one video a line, its tags separated by `;`, `,` or `|`.

    The columns are `path,tags` or `video,tags`, and optionally `split` (default `train`);
    `columns` lists the other names that are understood. The id of a video without a column
    `video` is its path without the ending, so files with equal names in different folders are
    different videos.

    Args:
        path: Table, CSV or Parquet.

    Returns:
        One row for each tag of each video.

    Raises:
        AnnotationError: A column, an id or the tags of a video are missing, or a video
            occurs twice. The error names the line.
    """
    columns, lines = read_columns(path)
    if "tags" not in columns:
        raise AnnotationError(
            f"column 'tags' is missing; the columns are: {', '.join(columns.header)}",
            file=path,
            line=1,
            fix="start the file with path,tags",
        )
    rows = list[Row]()
    line_of = dict[str, int]()
    for line, cells in lines:
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


def find_tags(
    files: Sequence[MediaFile], tags: Mapping[str, tuple[str, ...]]
) -> dict[Path, tuple[str, ...]]:
    """Find the tags of media files.

    A file has the tags of the id that is its name; else of the id that is its file name
    without the ending; else of the only id whose last part is that file name.

    Args:
        files: Media files.
        tags: Tags by video id.

    Returns:
        Tags by path. Files without tags have no entry.
    """
    times = Counter(PurePosixPath(video).name for video in tags)
    by_last_part = {
        PurePosixPath(video).name: names
        for video, names in tags.items()
        if times[PurePosixPath(video).name] == 1
    }
    tags_of_name = by_last_part | dict(tags)

    tags_of_file = dict[Path, tuple[str, ...]]()
    for file in files:
        for name in (file.name, file.path.stem):
            if name in tags_of_name:
                tags_of_file[file.path] = tags_of_name[name]
                break
    return tags_of_file


def similar_names(classes: Sequence[str]) -> list[tuple[str, str]]:
    """List pairs of class names that may be two spellings of one class.

    Two names are similar if they differ in case or punctuation, in singular and plural, or by
    one slip of a key: a letter that is wrong, missing, extra or swapped with its neighbour.
    In names of one to three letters a wrong letter makes another word (`Car`, `Cat`).

    >>> similar_names(["Dgo", "Dog", "Rain", "dog", "Dogs", "Fire", "Siren", "Car", "Cat"])
    [('Dgo', 'Dog'), ('Dgo', 'dog'), ('Dog', 'dog'), ('Dog', 'Dogs'), ('dog', 'Dogs')]
    """
    keys = [_letters(name) for name in classes]
    names_of = defaultdict[str, list[int]](list)
    for index, key in enumerate(keys):
        for variant in {key, key.removesuffix("es"), *_deletions(key)}:
            names_of[variant].append(index)

    pairs = set[tuple[int, int]]()
    for indices in names_of.values():
        pairs.update(combinations(indices, 2))
    return [
        (classes[first], classes[second])
        for first, second in sorted(pairs)
        if _are_similar(keys[first], keys[second])
    ]


def _letters(name: str) -> str:
    """Return the letters and digits of a name in lower case."""
    return "".join(filter(str.isalnum, name.casefold()))


def _deletions(key: str) -> Iterator[str]:
    """Yield the text without each of its letters; similar texts share one of these."""
    for index in range(len(key)):
        yield key[:index] + key[index + 1 :]


def _are_similar(first: str, second: str) -> bool:
    if first == second:
        return True

    shorter, longer = sorted((first, second), key=len)
    if longer in (shorter + "s", shorter + "es"):
        return True
    if len(shorter) != len(longer):
        is_extra_letter = shorter in _deletions(longer)
        return is_extra_letter and len(shorter) >= MIN_LETTERS

    letters = zip(first, second, strict=True)
    different = [i for i, (a, b) in enumerate(letters) if a != b]
    if len(different) == 1:
        return len(first) >= MIN_LETTERS
    return len(different) == 2 and _are_swapped(first, second, *different)


def _are_swapped(first: str, second: str, i: int, j: int) -> bool:
    """Return whether the letters at `i` and `j` are neighbours and exchanged."""
    are_neighbours = j == i + 1
    return are_neighbours and first[i] == second[j] and first[j] == second[i]


def _parse_line(cells: Cells, *, file: Path, line: int) -> tuple[Row, list[str]]:
    """Return the row of a line without its class, and the tags of the line."""
    media_path = cells.get("path", "")
    video = video_id(cells)
    check_id(video, file=file, line=line)

    parts = re.split(r"[;,|]", cells["tags"])
    tags = [part.strip() for part in parts if part.strip()]
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

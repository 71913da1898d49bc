"""VGGSound: ten-second clips of YouTube, each with one class that is audible and visible.

A clip's id is `<YouTube id>_<start in seconds, six digits>`, the name its file usually has.
Source: Chen, Xie, Vedaldi, Zisserman, ICASSP 2020, arXiv 2004.14368;
https://www.robots.ox.ac.uk/~vgg/data/vggsound/.
"""

from collections.abc import Iterator
from pathlib import Path

from vaplan.annotations.fields import check_id, check_text
from vaplan.annotations.published import (
    check_fields,
    classes_of,
    find_file,
    refuse_version,
    youtube_id,
)
from vaplan.annotations.rows import AnnotationRows, Row
from vaplan.errors import AnnotationError, unknown
from vaplan.reading import csv_rows

FILE = "vggsound.csv"
FIELDS = ("YouTube id", "start", "label", "split")
SPLITS = ("train", "val", "test")
CLIP_SECONDS = 10
LONGEST_START = 6  # digits


def read(path: Path, *, annotations: str = "") -> AnnotationRows:
    """Read the clips with their tags.

    Args:
        path: `vggsound.csv`, or the folder that holds it.
        annotations: Must be empty: there is one version.

    Raises:
        UsageError: A version is asked for.
        AnnotationError: The file is missing or cannot be read; the error names the line.
    """
    refuse_version(path, annotations, "VGGSound")
    file = find_file(path, FILE)
    rows = list(_rows(file))
    return AnnotationRows(
        source=path,
        taxonomy=classes_of(rows, file),
        rows=rows,
        version=file.name,
        files=(file,),
        segments=CLIP_SECONDS,
        recording=youtube_id,
    )


def _rows(file: Path) -> Iterator[Row]:
    split_of_clip = dict[str, tuple[str, int]]()
    for position, (line, values) in enumerate(csv_rows(file)):
        is_header = len(values) > 1 and "start" in values[1].casefold()
        if position == 0 and (is_header or values[0].startswith("#")):
            continue
        check_fields(values, FIELDS, file=file, line=line)
        youtube, start, label, split = values
        clip = _clip(youtube, start, file, line)
        check_text("label", label, file=file, line=line)
        if not label:
            raise AnnotationError(
                f"{clip} has no label", file=file, line=line, fix="name its class"
            )
        if split not in SPLITS:
            raise AnnotationError(
                unknown("split", split, SPLITS),
                file=file,
                line=line,
                fix="compare it with the published file",
            )
        first, first_line = split_of_clip.setdefault(clip, (split, line))
        if first != split:
            raise AnnotationError(
                f"{clip} is in {split} here and in {first} in line {first_line}",
                file=file,
                line=line,
                fix="keep one of the two",
            )
        yield Row(clip, class_name=label, split=split, line=line, file=file)


def _clip(youtube: str, start: str, file: Path, line: int) -> str:
    """Return the id of a clip."""
    check_id(youtube, file=file, line=line)
    is_whole = start.isascii() and start.isdecimal()
    if not is_whole or len(start) > LONGEST_START:
        raise AnnotationError(
            f"start is {start!r}, expected whole seconds",
            file=file,
            line=line,
            fix="write a plain number such as 30",
        )
    return f"{youtube}_{int(start):0{LONGEST_START}}"

"""Fields of annotation files: ids, texts, times and numbers, checked one by one.

Every error names the file, the line, the value and what to do.
"""

import math
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from vaplan.annotations.media_files import MEDIA_SUFFIXES
from vaplan.errors import AnnotationError
from vaplan.reading import plain_number

NOT_A_NAME = frozenset(
    "nan null none na n/a #n/a <na>".split()
)  # what other programs write for an empty cell
LONGEST_ID = 1_000
LONGEST_SECONDS = 48 * 3600.0  # of a video; larger times are typing errors


def check_id(video: str, *, file: Path, line: int | None) -> None:
    """Check the grammar of a video id.

    An id is printable text of at most 1,000 characters. It may be a path such as
    `2019/beach/0001`, but it does not begin or end with `/` and has no part `.` or `..`.

    Args:
        video: Id of the video.
        file: File, for errors.
        line: Line, for errors.

    Raises:
        AnnotationError: The id cannot be used.
    """
    if not video:
        raise AnnotationError(
            "a row without a video id", file=file, line=line, fix="name the video"
        )
    has_wrong_part = any(part in ("", ".", "..") for part in video.split("/"))
    is_usable = video.isprintable() and "\\" not in video and not has_wrong_part
    if not is_usable or len(video) > LONGEST_ID:
        raise AnnotationError(
            f"video id {video[:60]!r} cannot be used",
            file=file,
            line=line,
            fix="use letters, digits, '-', '_' and '.', and '/' between folders",
        )
    if video.casefold() in NOT_A_NAME:
        raise AnnotationError(
            f"video id {video!r} stands for an empty cell",
            file=file,
            line=line,
            fix="name the video",
        )


def check_text(column: str, text: str, *, file: Path, line: int | None) -> None:
    """A class, a path or a split is printable and not another program's word for nothing.

    Args:
        column: Name of the column, for errors.
        text: Text of the field.
        file: File, for errors.
        line: Line, for errors.
    """
    if not text.isprintable():
        what = f"{column} {text[:60]!r} holds control characters"
        raise AnnotationError(what, file=file, line=line, fix="write plain text")
    if text.casefold() in NOT_A_NAME:
        what = f"{column} is {text!r}, which other programs write for an empty cell"
        raise AnnotationError(
            what, file=file, line=line, fix="leave it empty, or use another name"
        )


def seconds(column: str, text: str, *, file: Path, line: int | None) -> float | None:
    """Read a time in seconds from a field that may be empty.

    Args:
        column: Name of the column, for errors.
        text: Text of the field.
        file: File, for errors.
        line: Line, for errors.

    Raises:
        AnnotationError: The time is negative, longer than 48 hours, or not a number.
    """
    if not text:
        return None
    expected = f"a number of seconds from 0 to {LONGEST_SECONDS:,.0f} (48 hours)"
    value = number(column, text, file=file, line=line, expected=expected)
    if not 0 <= value <= LONGEST_SECONDS:
        raise AnnotationError(
            f"{column} is {text!r}, expected {expected}",
            file=file,
            line=line,
            fix="write a plain number such as 3.5",
        )
    return value


def number(
    column: str, text: str, *, file: Path, line: int | None, expected: str = "a number"
) -> float:
    """Read a finite number, written with ASCII digits.

    Args:
        column: Name of the column, for errors.
        text: Text of the field.
        file: File, for errors.
        line: Line, for errors.
        expected: Description of valid values, for errors.

    Raises:
        AnnotationError: The text is not a finite number.
    """
    value = plain_number(text)
    if value is None or not math.isfinite(value):
        raise AnnotationError(
            f"{column} is {text!r}, expected {expected}",
            file=file,
            line=line,
            fix="write a plain number such as 3.5",
        )
    return value


def id_of_path(path: str) -> str:
    """Return a path without its ending, root and `.` or `..` parts.

    >>> id_of_path("../2019/beach/0001.mp4")
    '2019/beach/0001'
    """
    pure = PurePosixPath(path)
    return _join((*pure.parts[:-1], pure.stem))


def id_of_file(name: str) -> str:
    """Return the name of a file as an id: as `id_of_path`, but only media endings are endings.

    >>> id_of_file("audio/YxlGt805lTA_2.5_12.5.wav"), id_of_file("YxlGt805lTA_2.5_12.5")
    ('audio/YxlGt805lTA_2.5_12.5', 'YxlGt805lTA_2.5_12.5')
    """
    if PurePosixPath(name).suffix.lower() in MEDIA_SUFFIXES:
        return id_of_path(name)
    return _join(PurePosixPath(name).parts)


def _join(parts: Sequence[str]) -> str:
    return "/".join(part for part in parts if part not in ("", "/", ".", ".."))

"""Helpers of the readers of published data sets: files, splits, classes, values of JSON."""

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from vaplan.annotations.fields import LONGEST_SECONDS
from vaplan.annotations.rows import Issue, Row
from vaplan.errors import AnnotationError, UsageError
from vaplan.modalities import AUDIO, MODALITIES, VISUAL
from vaplan.taxonomy import Taxonomy, from_names

T = TypeVar("T")

SPLIT_OF_WORD: Mapping[str, str] = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
    "testing": "test",
    "eval": "test",
    "evaluation": "test",
}
# By modality: kind of the issue, description of the events, and the other modality.
ONE_MODALITY: Mapping[str, tuple[str, str, str]] = {
    MODALITIES[AUDIO]: ("audio only", "in the audio", MODALITIES[VISUAL]),
    MODALITIES[VISUAL]: ("visual only", "in the frames", MODALITIES[AUDIO]),
}
KINDS: Mapping[type, str] = {dict: "an object", list: "a list", str: "a text"}
MAX_EXCERPT = 60  # characters of a value in an error


def refuse_version(path: Path, annotations: str, name: str) -> None:
    """Raise UsageError if a version was asked for in a data set that has one.

    Args:
        path: File or folder of the data set.
        annotations: Version that was asked for.
        name: Name of the data set, for the error.
    """
    if annotations:
        raise UsageError(
            f"{name} has one version of its annotations",
            file=path,
            fix="leave --annotations out",
        )


def find_file(path: Path, name: str) -> Path:
    """Return the file itself, or the file of a name in a folder.

    Args:
        path: File, or its folder.
        name: Name of the published file.

    Raises:
        AnnotationError: There is no such file.
    """
    file = path / name if path.is_dir() else path
    if not file.is_file():
        raise AnnotationError(
            "no such file", file=file, fix=f"give {name}, or its folder"
        )
    return file


def split_of(name: str) -> str:
    """Return the split in the name of a file or a subset; empty if there is none.

    >>> split_of("balanced_train_segments"), split_of("eval_segments"), split_of("strong")
    ('train', 'test', '')
    """
    words = re.split(r"[^a-z]+", name.lower())
    return next((SPLIT_OF_WORD[word] for word in words if word in SPLIT_OF_WORD), "")


def youtube_id(clip: str) -> str:
    """Return the YouTube id in the name `<YouTube id>_<start>` of a clip."""
    return clip.rpartition("_")[0] or clip


def classes_of(rows: Iterable[Row], path: Path) -> Taxonomy:
    """Return the classes of some rows in alphabetical order.

    Args:
        rows: Rows of a data set.
        path: File or folder, for errors.

    Raises:
        AnnotationError: No row has a class.
    """
    names = {row.class_name for row in rows if row.class_name}
    if not names:
        raise AnnotationError(
            "no class occurs in it",
            file=path,
            fix="check that the download is complete",
        )
    return from_names(names)


def one_modality(rows: Iterable[Row]) -> Iterator[Issue]:
    """Name the first event of a data set whose events are all in one modality.

    Args:
        rows: Rows of a data set.
    """
    events = [row for row in rows if row.modality]
    modalities = {row.modality for row in events}
    for modality, (kind, place, other) in ONE_MODALITY.items():
        if modalities == {modality}:
            first = events[0]
            what = (
                f"all {len(events)} events are {place}: scores of the {other} modality have "
                "no meaning"
            )
            yield Issue(kind, what, first.video, first.file, first.line)


def check_fields(
    values: Sequence[str], names: Sequence[str], *, file: Path, line: int
) -> None:
    """Raise AnnotationError if a row does not have the fields of a format.

    Args:
        values: Fields of the row.
        names: Names of the fields, for the error.
        file: File, for errors.
        line: Line, for errors.
    """
    if len(values) != len(names):
        raise AnnotationError(
            f"{len(values)} fields, expected {len(names)}: {', '.join(names)}",
            file=file,
            line=line,
            fix="compare it with the published file; quote fields that contain commas",
        )


def expect(value: object, kind: type[T], place: str, *, file: Path) -> T:
    """Return a value of JSON if it is of a kind.

    Args:
        value: Value to check.
        kind: `dict`, `list` or `str`.
        place: Keys and positions that lead to the value, for the error.
        file: File, for errors.

    Raises:
        AnnotationError: The value is of another kind.
    """
    if not isinstance(value, kind):
        raise _wrong(value, KINDS[kind], place, file)
    return value


def expect_key(value: Mapping[str, object], key: str, place: str, file: Path) -> object:
    """Return the value of a key that an object of JSON must have.

    Args:
        value: Object.
        key: Key.
        place: Keys and positions that lead to the object, for the error.
        file: File, for errors.

    Raises:
        AnnotationError: There is no such key.
    """
    if key not in value:
        keys = ", ".join(map(repr, list(value)[:10])) or "none"
        raise AnnotationError(
            f"{place or 'the document'} has no key {key!r}; keys: {keys}",
            file=file,
            fix="compare it with the published file",
        )
    return value[key]


def expect_item(
    value: Mapping[str, object], key: str, kind: type[T], place: str, *, file: Path
) -> T:
    """Return the value of a key that an object of JSON must have, if it is of a kind.

    Args:
        value: Object.
        key: Key.
        kind: `dict`, `list` or `str`.
        place: Keys and positions that lead to the object, for the error.
        file: File, for errors.

    Raises:
        AnnotationError: There is no such key, or its value is of another kind.
    """
    item = expect_key(value, key, place, file)
    return expect(item, kind, f"{place}.{key}" if place else key, file=file)


def expect_seconds(value: object, place: str, *, file: Path) -> float:
    """Return a value of JSON if it is a time in seconds.

    Args:
        value: Value to check.
        place: Keys and positions that lead to the value, for the error.
        file: File, for errors.

    Raises:
        AnnotationError: It is no number, or not from 0 to 48 hours.
    """
    number = -1.0 if isinstance(value, bool) else value
    if isinstance(number, int | float) and 0 <= number <= LONGEST_SECONDS:
        return float(number)
    expected = f"a number of seconds from 0 to {LONGEST_SECONDS:,.0f} (48 hours)"
    raise _wrong(value, expected, place, file)


def expect_number(value: object, place: str, *, file: Path) -> float:
    """Return a value of JSON if it is a finite number.

    Args:
        value: Value to check.
        place: Keys and positions that lead to the value, for the error.
        file: File, for errors.

    Raises:
        AnnotationError: It is no number, or not finite.
    """
    if isinstance(value, int | float) and not isinstance(value, bool):
        with suppress(OverflowError):  # a whole number of hundreds of digits
            number = float(value)
            if math.isfinite(number):
                return number
    raise _wrong(value, "a finite number", place, file)


def _wrong(value: object, expected: str, place: str, file: Path) -> AnnotationError:
    shown = repr(value)
    if len(shown) > MAX_EXCERPT:
        shown = f"{shown[:MAX_EXCERPT]}…"
    return AnnotationError(
        f"{place or 'the document'} is {shown}, expected {expected}",
        file=file,
        fix="compare it with the published file",
    )

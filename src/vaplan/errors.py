"""Errors that name the file, the value, the expected value and the fix; and exit codes."""

import difflib
from collections.abc import Iterable
from enum import IntEnum
from pathlib import Path

MAX_NAMES = 40  # in a list of known names
LONGEST_EXCERPT = 60  # characters of a value
LONGEST_TEXT = 1000  # characters of an error without its file and its fix


class Exit(IntEnum):
    """Exit codes of the command line."""

    DONE = 0
    BUG = 1
    USAGE = 2
    SOME_FAILED = 3
    NOTHING_DONE = 4
    MACHINE = 5
    INTERRUPTED = 130
    TERMINATED = 143


class VaplanError(Exception):
    """An error with a file, a line and a fix.

    `str()` is one line: `FILE[:LINE]: problem. Fix: …`

    Args:
        what: The problem, with the value and the expected value.
        fix: What to do.
        file: File of the problem.
        line: Line in the file.
    """

    exit = Exit.NOTHING_DONE

    def __init__(
        self,
        what: str,
        *,
        fix: str = "",
        file: Path | str | None = None,
        line: int | None = None,
    ) -> None:
        self.what = _cut(what.rstrip("."))
        self.fix = fix.rstrip(".")
        self.file = file
        self.line = line
        super().__init__(what)

    def __str__(self) -> str:
        place = ""
        if self.file is not None:
            line = "" if self.line is None else f":{self.line}"
            place = f"{self.file}{line}: "
        fix = f" Fix: {self.fix}." if self.fix else ""
        return " ".join(f"{place}{self.what}.{fix}".split())

    def __reduce__(self) -> tuple[object, ...]:  # errors cross process borders whole
        return _rebuild, (type(self), self.what, self.fix, self.file, self.line)


def _cut(text: str) -> str:
    """Cut a text that quotes a long value."""
    return text if len(text) <= LONGEST_TEXT else f"{text[:LONGEST_TEXT]}…"


def _rebuild(
    kind: type[VaplanError],
    what: str,
    fix: str,
    file: Path | str | None,
    line: int | None,
) -> VaplanError:
    return kind(what, fix=fix, file=file, line=line)


class UsageError(VaplanError):
    """An argument, a recipe or a name that is not valid."""

    exit = Exit.USAGE


class RecipeError(UsageError):
    """A recipe that asks for something that does not exist.

    Attributes:
        place: Keys that lead to the value, from the outside in; they give the line.
    """

    place: tuple[str | int, ...] = ()

    def within(self, key: str | int) -> "RecipeError":
        """Return the error with one more key around its value.

        Args:
            key: Key of the mapping, or position in the list, that contains the value.
        """
        self.place = (key, *self.place)
        return self


class RunError(UsageError):
    """A run folder that cannot be used."""


class MissingExtra(UsageError):
    """An optional dependency that is not installed."""


class AnnotationError(VaplanError):
    """A table that cannot be read as annotations."""


class MediaError(VaplanError):
    """A media file that cannot be decoded."""


class StoreError(UsageError):
    """A feature store that does not fit the request."""


class EncoderError(UsageError):
    """An encoder that cannot be loaded."""


class MachineError(VaplanError):
    """The disk is full, a store is locked, a store is of another version."""

    exit = Exit.MACHINE


def excerpt(value: object) -> str:
    """Return how a value is written, cut to a length that fits a line.

    >>> excerpt("Dog"), excerpt(["x"] * 100)
    ("'Dog'", "['x', 'x', 'x', 'x', 'x', 'x', 'x', 'x', 'x', 'x', 'x', 'x',…")
    """
    text = repr(value)
    return text if len(text) <= LONGEST_EXCERPT else f"{text[:LONGEST_EXCERPT]}…"


def unknown(kind: str, name: str, known: Iterable[str]) -> str:
    """Describe an unknown name with the most similar one and all possible ones.

    >>> unknown("class", "Speach", ["Speech", "Dog"])
    "unknown class 'Speach'; did you mean 'Speech'? Known: Dog, Speech"
    """
    names = sorted(known)
    by_folded_name = {one.casefold(): one for one in names}
    similar = difflib.get_close_matches(name.casefold(), by_folded_name, n=1)
    hint = "."
    if similar:
        hint = f"; did you mean {by_folded_name[similar[0]]!r}?"
    if len(names) > MAX_NAMES:
        names = [*names[:MAX_NAMES], f"and {len(names) - MAX_NAMES} more"]
    return f"unknown {kind} {excerpt(name)}{hint} Known: {', '.join(names)}"

"""Errors a user can act on: each names the file, the value, what was expected and what to do.

The exit codes of the command line live here too, because an error knows what kind of fault it is.
"""

import difflib
from collections.abc import Iterable
from enum import IntEnum
from pathlib import Path

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
    """An error with a file, a line and a fix. `str()` is one line: `FILE[:LINE]: problem. Fix: …`"""

    exit = Exit.NOTHING_DONE

    def __init__(
        self,
        what: str,
        *,
        fix: str = "",
        file: Path | str | None = None,
        line: int | None = None,
    ) -> None:
        self.what, self.fix, self.file, self.line = (
            _cut(what.rstrip(".")),
            fix.rstrip("."),
            file,
            line,
        )
        super().__init__(what)

    def __str__(self) -> str:
        place = (
            ""
            if self.file is None
            else f"{self.file}{'' if self.line is None else f':{self.line}'}: "
        )
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
    """An argument, a recipe or a name that cannot be right."""

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
    known = sorted(known)
    folded = {k.casefold(): k for k in known}
    near = difflib.get_close_matches(name.casefold(), folded, n=1)
    hint = f"; did you mean {folded[near[0]]!r}?" if near else "."
    shown = known if len(known) <= 40 else [*known[:40], f"and {len(known) - 40} more"]
    return f"unknown {kind} {excerpt(name)}{hint} Known: {', '.join(shown)}"

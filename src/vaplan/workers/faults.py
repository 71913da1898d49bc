"""Whose fault a failure is: the item's own, which will fail again, or perhaps the machine's."""

import errno
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from vaplan.errors import MachineError, VaplanError

Item = TypeVar("Item")
Result = TypeVar("Result")

MACHINE = frozenset(
    "EACCES EPERM EAGAIN EIO ENOMEM ENOSPC EDQUOT EROFS EMFILE ENFILE ESTALE ENOTCONN ETIMEDOUT EHOSTDOWN".split()
)


@dataclass(frozen=True)
class Failed:
    """An item that gave no result.

    Attributes:
        reason: Why, in one line.
        machine: What of the machine may be at fault; empty where it is the item itself.
    """

    reason: str
    machine: str = ""


@dataclass(frozen=True)
class Guarded(Generic[Item, Result]):
    """`function`, with whatever it raises turned into a value."""

    function: Callable[[Item], Result]

    def __call__(self, item: Item) -> Result | Failed:
        try:
            return self.function(item)
        except VaplanError as error:
            return Failed(str(error), machine_fault(error))
        except Exception as error:  # noqa: BLE001 - the one boundary where anything a decoder throws becomes a row
            return Failed(
                f"{type(error).__name__}: {' '.join(str(error).split())}",
                machine_fault(error),
            )


def machine_fault(error: BaseException) -> str:
    """What of the machine may have caused an error; empty where the input alone explains it.

    >>> machine_fault(OSError(errno.EIO, "while reading"))
    'Input/output error'
    >>> machine_fault(ValueError("no such codec"))
    ''
    """
    for cause in _chain(error):
        number = int(getattr(cause, "errno", None) or 0)
        if isinstance(cause, MachineError):
            return cause.what
        if isinstance(cause, MemoryError) or (
            isinstance(cause, RuntimeError) and "memory" in str(cause)
        ):
            return "out of memory"  # torch says it as a RuntimeError
        if errno.errorcode.get(number) in MACHINE:
            return os.strerror(number)
        if (
            isinstance(cause, VaplanError)
            and cause.file
            and _forbidden(Path(cause.file))
        ):
            return os.strerror(errno.EACCES)
    return ""


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _forbidden(path: Path) -> bool:
    return os.access(path, os.F_OK) and not os.access(path, os.R_OK)

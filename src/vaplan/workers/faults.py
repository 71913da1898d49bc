"""Classify failures: caused by the item, so that it fails again, or by the machine."""

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
    "EACCES EPERM EAGAIN EIO ENOMEM ENOSPC EDQUOT EFBIG EROFS EMFILE ENFILE "
    "ESTALE ENOTCONN ETIMEDOUT EHOSTDOWN".split()
)


OUT_OF_MEMORY = (
    "memory",
    "bad_alloc",
    "failed to map",
    "start new thread",
    "error return without exception set",
)


@dataclass(frozen=True)
class Failed:
    """The failure of one item.

    Attributes:
        reason: The cause of the failure, in one line.
        machine: The fault of the machine that may be the cause; empty where the item is.
        is_final: Whether a second try would take long and probably fail too.
    """

    reason: str
    machine: str = ""
    is_final: bool = False


@dataclass(frozen=True)
class Guarded(Generic[Item, Result]):
    """A function that returns a `Failed` instead of raising an exception.

    Attributes:
        function: The function that may raise.
    """

    function: Callable[[Item], Result]

    def __call__(self, item: Item) -> Result | Failed:
        try:
            return self.function(item)
        except VaplanError as error:
            return Failed(str(error), machine_fault(error))
        except Exception as error:  # noqa: BLE001 - any error becomes a failure of the item
            message = " ".join(str(error).split())
            return Failed(f"{type(error).__name__}: {message}", machine_fault(error))


def machine_fault(error: BaseException) -> str:
    """Name the fault of the machine that may have caused an error.

    Returns:
        A short text; empty where the input explains the error.


    >>> machine_fault(OSError(errno.EIO, "while reading"))
    'Input/output error'
    >>> machine_fault(ValueError("no such codec"))
    ''
    """
    for cause in _chain(error):
        number = int(getattr(cause, "errno", None) or 0)
        if isinstance(cause, MachineError):
            return cause.what
        if _is_out_of_memory(cause):
            return "out of memory"
        if errno.errorcode.get(number) in MACHINE:
            return os.strerror(number)
        file = cause.file if isinstance(cause, VaplanError) else None
        if file and _is_unreadable(Path(file)):
            return os.strerror(errno.EACCES)
    return ""


def _is_out_of_memory(error: BaseException) -> bool:
    # PyTorch raises RuntimeError, the linker ImportError. Extension modules that ignore a
    # failed allocation end in SystemError.
    if isinstance(error, RuntimeError | ImportError | SystemError):
        text = str(error).casefold()
        return any(sign in text for sign in OUT_OF_MEMORY)
    return isinstance(error, MemoryError)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _is_unreadable(path: Path) -> bool:
    return os.access(path, os.F_OK) and not os.access(path, os.R_OK)

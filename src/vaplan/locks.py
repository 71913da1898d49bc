"""Lock a folder for one writer.

The kernel holds the lock, so a process that dies frees it. The file `lock` in the folder names
the process that holds it, for error messages.
"""

import fcntl
import hashlib
import json
import os
import socket
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

from vaplan.errors import MachineError
from vaplan.objects import is_remote, to_uri
from vaplan.writing import remove_leftovers

LOCK = "lock"
_LOCKED = ContextVar[frozenset[Path]]("locked", default=frozenset())  # by outer blocks


@contextmanager
def lock_folder(folder: Path, *, kind: str, again: bool = False) -> Iterator[None]:
    """Lock a folder for one writer and remove the temporary files of killed writers.

    The folder is made if it does not exist. The file of the lock stays in the folder: a file
    that is removed can be locked twice. A folder on object storage is locked for the processes
    of this machine only.

    Args:
        folder: Folder to lock.
        kind: Name of the folder's content, for errors: "store" or "run folder".
        again: Accept that an outer block has locked the folder.

    Raises:
        MachineError: Another process holds the lock, or the folder cannot be written.
    """
    place = _stand_in(folder) if is_remote(folder) else folder.resolve()
    if again and place in _LOCKED.get():
        yield
        return
    try:
        place.mkdir(parents=True, exist_ok=True)
        handle = os.open(place / LOCK, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        raise _unwritable(folder, kind, error) from error
    outer = _LOCKED.set(_LOCKED.get() | {place})
    try:
        _acquire(handle, place, folder, kind)
        yield
    finally:
        _LOCKED.reset(outer)
        os.close(handle)  # frees the lock


def _stand_in(folder: Path) -> Path:
    """Return the local folder that is locked in place of a remote one."""
    digest = hashlib.blake2b(to_uri(folder).encode(), digest_size=8).hexdigest()
    return Path(tempfile.gettempdir()) / f"vaplan-locks-{os.getuid()}" / digest


def _acquire(handle: int, place: Path, folder: Path, kind: str) -> None:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise MachineError(
            f"the {kind} is locked by {_read_holder(handle)}",
            file=folder,
            fix="wait for that job or end it",
        ) from error
    try:
        _write_holder(handle)
        remove_leftovers(place)
    except OSError as error:
        raise _unwritable(folder, kind, error) from error


def _unwritable(folder: Path, kind: str, error: OSError) -> MachineError:
    return MachineError(
        f"the {kind} cannot be written: {error.strerror or error}",
        file=folder,
        fix="free space there, or correct the permissions",
    )


def _write_holder(handle: int) -> None:
    holder = {
        "pid": os.getpid(),
        "host": socket.gethostname(),
        "since": time.strftime("%Y-%m-%d %H:%M:%S"),
    }
    os.ftruncate(handle, 0)
    os.pwrite(handle, json.dumps(holder).encode(), 0)


def _read_holder(handle: int) -> str:
    try:
        holder = json.loads(os.pread(handle, 1000, 0))
        return f"pid {holder['pid']} on {holder['host']} since {holder['since']}"
    except (ValueError, KeyError, TypeError, RecursionError):  # not written yet
        return "another job"

"""Writing a store's files whole or not at all, and by one job at a time."""

import fcntl
import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vaplan.errors import MachineError
from vaplan.writing import write_whole


def publish(path: Path, content: bytes) -> None:
    """Write a temporary file, make it durable, and rename it.

    Args:
        path: File to write.
        content: Bytes to write, or a function that writes them.

    Raises: MachineError naming the path and the bytes needed, when the disk refuses.
    """

    def durably(temporary: Path) -> None:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())

    try:
        write_whole(path, durably)
        _make_durable(path.parent)
    except (MachineError, OSError) as error:
        what = (
            error.what
            if isinstance(error, MachineError)
            else f"cannot write: {error.strerror or error}"
        )
        fix = f"free {len(content):,} bytes or more, then run the same command again"
        raise MachineError(what, file=path, fix=fix) from error


def _make_durable(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Lock a folder for one writer and remove leftovers of killed writers.

    The lock is the kernel's, so that of a process that died is free. The file says who holds it.

    Raises: MachineError naming the process that holds the lock, or why there can be none.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise _unwritable(folder, error) from error
    try:
        _take(handle, folder)
        yield
    finally:
        os.close(handle)  # frees the lock


def _take(handle: int, folder: Path) -> None:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        what, fix = f"store locked by {_holder(handle)}", "wait for that job or end it"
        raise MachineError(what, file=folder, fix=fix) from error
    try:
        _sign(handle)
        for leftover in folder.glob(".*.part"):
            leftover.unlink(missing_ok=True)
    except OSError as error:
        raise _unwritable(folder, error) from error


def _unwritable(folder: Path, error: OSError) -> MachineError:
    what, fix = (
        f"the store cannot be written: {error.strerror or error}",
        "free space there, or mend the permissions",
    )
    return MachineError(what, file=folder, fix=fix)


def _sign(handle: int) -> None:
    since = time.strftime("%Y-%m-%d %H:%M:%S")
    os.ftruncate(handle, 0)
    os.pwrite(
        handle,
        json.dumps(
            {"pid": os.getpid(), "host": socket.gethostname(), "since": since}
        ).encode(),
        0,
    )


def _holder(handle: int) -> str:
    try:
        holder = json.loads(os.pread(handle, 1000, 0))
        return f"pid {holder['pid']} on {holder['host']} since {holder['since']}"
    except (ValueError, KeyError, TypeError):  # it has not signed yet
        return "another job"

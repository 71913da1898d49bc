"""Write files atomically, and hash them.

A file is written beside its final path and then renamed. A reader sees the old file or the new
one, never a part of it.
"""

import errno
import hashlib
import json
import os
import shutil
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vaplan.errors import MachineError, UsageError, VaplanError
from vaplan.objects import is_remote, local_copy, to_uri, write_remote

if TYPE_CHECKING:
    from torch import Tensor

PART = ".part"  # ending of the temporary file beside a path
LONGEST_NAME = 255  # bytes of a file name on common file systems
NO_SPACE = frozenset((errno.ENOSPC, errno.EDQUOT, errno.EFBIG))


def write_atomically(
    path: Path, write: Callable[[Path], object], *, size: int | None = None
) -> Path:
    """Write a temporary file beside a path and rename it to the path.

    Args:
        path: File to write; its folder is made.
        write: Function that writes the temporary file.
        size: Bytes that the file needs, for the error message, if they are known.

    Returns:
        The path.

    Raises:
        MachineError: The disk is full, or the folder cannot be written.
    """
    _refuse_remote(path)
    temporary = _temporary_path(path)
    with machine_errors(path, size=size):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            write(temporary)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
    return path


def _refuse_remote(path: Path) -> None:
    if is_remote(path):
        raise UsageError(
            "only feature stores are written to object storage",
            file=to_uri(path),
            fix="give a folder of this machine and copy it",
        )


@contextmanager
def machine_errors(path: Path, *, size: int | None = None) -> Iterator[None]:
    """Turn an error of the operating system during a write into a `MachineError`.

    Args:
        path: File that is written.
        size: Bytes that the file needs, if they are known.
    """
    try:
        yield
    except OSError as error:
        if error.errno in NO_SPACE:
            needed = "space" if size is None else f"{size:,} bytes or more"
            fix = f"free {needed}, then run the same command again"
        else:
            fix = "check the permissions of the folder, or choose another path"
        raise MachineError(
            f"cannot write: {error.strerror or error}", file=path, fix=fix
        ) from error


def write_bytes(path: Path, content: bytes) -> Path:
    """Write bytes and make them durable before the file appears under its name.

    Args:
        path: File to write; it may be on object storage.
        content: Bytes of the file.

    Raises:
        MachineError: The disk is full, or the folder cannot be written.
    """
    if is_remote(path):
        with delay_interruptions():
            write_remote(path, content)
        return path
    write_atomically(path, partial(_write_durably, content), size=len(content))
    with machine_errors(path, size=len(content)):
        _make_durable(path.parent)
    return path


def _write_durably(content: bytes, path: Path) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def write_text(path: Path, text: str) -> Path:
    """Write a text as UTF-8.

    Args:
        path: File to write.
        text: Text of the file.
    """
    content = text.encode("utf-8")
    return write_atomically(
        path, lambda temporary: temporary.write_bytes(content), size=len(content)
    )


def write_json(path: Path, value: Mapping[str, Any]) -> Path:
    """Write one JSON document with indents.

    Args:
        path: File to write.
        value: Content of the document.
    """
    return write_text(path, json.dumps(value, indent=1, ensure_ascii=False) + "\n")


def write_tensors(
    path: Path,
    tensors: Mapping[str, "Tensor"],
    *,
    metadata: Mapping[str, str] | None = None,
) -> Path:
    """Write tensors as a safetensors file and make it durable.

    Args:
        path: File to write.
        tensors: Tensors by name, on any device.
        metadata: Texts of the file's header.
    """
    from safetensors.torch import save

    copies = {
        name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()
    }
    return write_bytes(path, save(copies, metadata=dict(metadata or {}) or None))


@contextmanager
def delay_interruptions() -> Iterator[None]:
    """Deliver SIGINT and SIGTERM that arrive inside the block when it ends.

    Only the main thread of a process can do this; in other threads nothing changes.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    received = list[int]()
    handlers = {
        number: signal.signal(number, lambda number, _frame: received.append(number))
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        if received:
            signal.raise_signal(received[0])


def check_writable(folder: Path) -> Path:
    """Make a folder and check that files can be written into it.

    Args:
        folder: Folder of the results of a job.

    Returns:
        The folder.

    Raises:
        MachineError: The folder cannot be made or written.
    """
    _refuse_remote(folder)
    trial = folder / f".vaplan-{os.getpid()}{PART}"
    with machine_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        try:
            trial.touch()
        finally:
            trial.unlink(missing_ok=True)
    return folder


def check_file_writable(path: Path) -> Path:
    """Check that a file can be written, before the work for it is done.

    Args:
        path: File to write; its folder is made.

    Returns:
        The path.

    Raises:
        MachineError: The folder cannot be made or written, or the path is a folder.
    """
    check_writable(path.parent)
    if path.is_dir():
        raise MachineError(
            "cannot write: it is a folder", file=path, fix="choose another path"
        )
    return path


@contextmanager
def replace_together(folder: Path, *, last: str) -> Iterator[Path]:
    """Replace several files of a folder, all of them or none.

    The block writes the new files into the folder that it gets. If it fails, nothing of the
    old files has changed. The file `last` says that the others belong together: the old one is
    removed before the first file is replaced, and the new one appears at the end.

    Args:
        folder: Folder of the files; no other process writes into it.
        last: Name of the file that appears last.

    Yields:
        A temporary folder for the new files.

    Raises:
        MachineError: The disk is full, or the folder cannot be written.
    """
    temporary = folder / f".new{PART}"
    with machine_errors(folder):
        _remove(temporary)
        temporary.mkdir(parents=True)
    try:
        yield temporary
        with machine_errors(folder):
            names = sorted(path.name for path in temporary.iterdir())
            (folder / last).unlink(missing_ok=True)
            for name in sorted(names, key=lambda name: name == last):
                (temporary / name).replace(folder / name)
            _make_durable(folder)
    finally:
        _remove(temporary)


def _remove(path: Path) -> None:
    """Remove a temporary file or folder, if it exists."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def remove_leftovers(folder: Path) -> None:
    """Remove the temporary files that killed writers left in a folder.

    Args:
        folder: Folder that no other process writes into.
    """
    for leftover in folder.glob(f".*{PART}"):
        _remove(leftover)


def printable(name: str) -> str:
    r"""Return a file name as valid Unicode; bytes that are not UTF-8 are escaped.

    >>> printable("\udce9t.mp4")
    '\\xe9t.mp4'
    """
    content = name.encode("utf-8", "surrogateescape")
    return content.decode("utf-8", "backslashreplace")


def shorten_name(name: str, ending: str) -> str:
    """Name a file so that a file system accepts it; a long name gets a hash.

    >>> shorten_name("beach", ".json")
    'beach.json'
    >>> len(shorten_name("ü" * 200, ".json").encode())
    254

    Args:
        name: Name without the ending.
        ending: Ending with its dot.

    Returns:
        The name with its ending, of at most 255 bytes.
    """
    content = os.fsencode(name)
    room = LONGEST_NAME - len(os.fsencode(ending))
    if len(content) <= room:
        return name + ending
    digest = f"-{hashlib.sha256(content).hexdigest()[:12]}"
    head = content[: room - len(digest)].decode("utf-8", "ignore")
    return head + digest + ending


def sha256(path: Path) -> str:
    """Return the SHA-256 hash of a file's content.

    Args:
        path: File to read.

    Raises:
        VaplanError: The file cannot be read.
    """
    try:
        with local_copy(path) as copy, copy.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as fault:
        raise VaplanError(
            f"cannot read: {fault.strerror}", file=path, fix="check the path"
        ) from fault


def _make_durable(folder: Path) -> None:
    """Make the names of a folder's files durable."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _temporary_path(path: Path) -> Path:
    """Name the temporary file of a path; a long name is replaced by its hash."""
    name = f".{path.name}{PART}"
    if len(os.fsencode(name)) > LONGEST_NAME:
        digest = hashlib.sha256(os.fsencode(path.name)).hexdigest()
        name = f".{digest[:32]}{PART}"
    return path.with_name(name)

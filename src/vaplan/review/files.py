"""Media files as bytes: identity of a file, and the ranges that a browser asks for."""

import hashlib
import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from vaplan.errors import MediaError

SAMPLE = 64 * 1024  # bytes at each end of a file that its identity depends on
LONGEST_RANGE = 64  # characters of the header
RANGE = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})")


class RangeError(ValueError):
    """A range that is not served."""


@dataclass(frozen=True)
class Span:
    """Bytes of a file.

    Attributes:
        start: First byte.
        length: Number of bytes.
    """

    start: int
    length: int


def parse_range(header: str, size: int) -> Span:
    """Return the bytes that a header `Range` asks for.

    One range is served, with a start, an end or both.

    >>> parse_range("bytes=2-", 10)
    Span(start=2, length=8)
    >>> parse_range("bytes=-3", 10)
    Span(start=7, length=3)

    Args:
        header: Value of the header.
        size: Bytes of the file.

    Raises:
        RangeError: It is something else, or the file has no such byte.
    """
    match = RANGE.fullmatch(header) if len(header) <= LONGEST_RANGE else None
    if match is None or match.groups() == ("", ""):
        raise RangeError("not one range of bytes")
    first, last = match.groups()
    if not first:
        length = min(int(last), size)
        start = size - length
    else:
        start = int(first)
        end = min(int(last), size - 1) if last else size - 1
        length = end - start + 1
    if length <= 0 or (first and last and int(last) < int(first)):
        raise RangeError("no such bytes")
    return Span(start, length)


def open_regular(path: Path) -> BinaryIO:
    """Open a file for reading; a pipe or a device is refused and does not block.

    Args:
        path: File of the index.

    Raises:
        MediaError: It is no regular file, or it cannot be opened.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        reason = error.strerror or str(error)
        raise MediaError(reason, file=path, fix="check the file") from error
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise MediaError("not a regular file", file=path, fix="name a media file")
    return os.fdopen(handle, "rb", buffering=0)


def identify(file: BinaryIO) -> str:
    """Return a text that changes with a file: by its size, its time, and both of its ends.

    Args:
        file: Open file.
    """
    status = os.fstat(file.fileno())
    handle = file.fileno()
    digest = hashlib.sha256(f"{status.st_size} {status.st_mtime_ns} ".encode())
    digest.update(os.pread(handle, SAMPLE, 0))
    digest.update(os.pread(handle, SAMPLE, max(0, status.st_size - SAMPLE)))
    return digest.hexdigest()[:32]

"""Checks of a published file that come before any read."""

import stat
from pathlib import Path

from vaplan.errors import VaplanError

DOWNLOAD = "download it again"


class PackError(VaplanError):
    """A published file that is damaged or has another format than expected."""


def regular_file_size(path: Path) -> int:
    """Return the size of a regular file in bytes.

    Raises:
        PackError: The path is missing, or a link, pipe or folder; it is not opened.
    """
    try:
        status = path.lstat()
    except FileNotFoundError:
        raise PackError("no such file", file=path, fix="add it") from None
    except OSError as error:
        raise PackError(
            f"cannot be read: {error.strerror}", file=path, fix="check the path"
        ) from error
    if not stat.S_ISREG(status.st_mode):
        raise PackError("no regular file", file=path, fix="put the file itself there")
    return status.st_size


def format_shape(shape: tuple[int, ...]) -> str:
    """Format a shape for a message.

    >>> format_shape((80, 2048))
    '80 x 2048'
    """
    return " x ".join(map(str, shape)) or "one number"

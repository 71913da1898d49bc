"""Checks that the readers of all packs share."""

import stat
from pathlib import Path

from vaplan.errors import VaplanError

DOWNLOAD = "download it again"


class PackError(VaplanError):
    """A published file that does not have the content of its pack."""


def regular_size(path: Path) -> int:
    """Return the size of a regular file in bytes.

    Args:
        path: Path of the file, which is not opened.

    Raises:
        PackError: It does not exist, or it is a link, a pipe or a folder.
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
    """Format a shape.

    >>> format_shape((80, 2048))
    '80 x 2048'
    """
    return " x ".join(map(str, shape)) or "one number"

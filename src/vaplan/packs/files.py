"""What every reader of a pack asks first: whether the path is a regular file, and how long it
is."""

import stat
from pathlib import Path

from vaplan.errors import VaplanError

DOWNLOAD = "download it again"


class PackError(VaplanError):
    """A published file that is not what its pack says."""


def regular_size(path: Path) -> int:
    """The bytes of a regular file; links, pipes and folders are refused before they are opened."""
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


def spoken(shape: tuple[int, ...]) -> str:
    """A shape as one writes it.

    >>> spoken((80, 2048))
    '80 x 2048'
    """
    return " x ".join(map(str, shape)) or "one number"

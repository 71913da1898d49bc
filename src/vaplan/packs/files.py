"""Checks that the readers of all packs share."""

import stat
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

from vaplan.errors import VaplanError

DOWNLOAD = "download it again"
OTHER_FEATURES = (
    "if these are other features, import them with `vaplan import vectors`; if not, "
    "download them again"
)
MAX_BYTES = 4 * 1024**3  # of one array in memory
NAMES_SHOWN = 3  # of the videos with the same problem


class PackError(VaplanError):
    """A file of features that does not have the expected content.

    Attributes:
        kind: Description that errors of the same kind in other files share; by default the
            problem itself.
    """

    kind = ""

    def of_kind(self, kind: str) -> "PackError":
        """Return the error with the description of its kind.

        Args:
            kind: Description without values of this file.
        """
        self.kind = kind
        return self


def check_unpacked_size(size: int, *, file: Path) -> None:
    """Check the size of an array before it is unpacked.

    Args:
        size: Bytes of the array in memory.
        file: File that holds the array.

    Raises:
        PackError: It is too large.
    """
    if size > MAX_BYTES:
        raise PackError(
            f"an array of {size:,} bytes, expected at most {MAX_BYTES:,}",
            file=file,
            fix="save one array for each video",
        ).of_kind("an array that is too large")


def group_errors(errors: Iterable[tuple[str, PackError]]) -> list[str]:
    """Describe errors in one line a kind, with their number, the first, and names of others.

    >>> missing = [(n, PackError("no such file", file=f"{n}.npy")) for n in "abc"]
    >>> group_errors([*missing, ("d", PackError("shape 9 x 128", file="d.npy"))])
    ['3 alike, the first is a.npy: no such file. The others: b, c.', 'd.npy: shape 9 x 128.']

    Args:
        errors: Ids of videos with their errors.
    """
    groups = defaultdict[str, list[tuple[str, PackError]]](list)
    for video, error in errors:
        groups[error.kind or error.what].append((video, error))
    lines = list[str]()
    for (_, first), *others in groups.values():
        if not others:
            lines.append(str(first))
            continue
        names = format_names([video for video, _ in others])
        lines.append(
            f"{len(others) + 1:,} alike, the first is {first} The others: {names}."
        )
    return lines


def format_names(names: Sequence[str]) -> str:
    """List the first names and the number of the others.

    >>> format_names(["a", "b", "c", "d", "e"])
    'a, b, c and 2 more'

    Args:
        names: Names of videos or classes.
    """
    text = ", ".join(names[:NAMES_SHOWN])
    more = len(names) - NAMES_SHOWN
    return f"{text} and {more:,} more" if more > 0 else text


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

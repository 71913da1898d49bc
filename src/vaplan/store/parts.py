"""Parts of one store, which several jobs fill at the same time without a common lock."""

from collections.abc import Sequence
from dataclasses import dataclass

from vaplan.errors import UsageError

MAX_PARTS = 100_000
FOLDERS = "part-*-of-*"  # of all parts of a store


@dataclass(frozen=True)
class Part:
    """One of several parts of the videos of a data set.

    Attributes:
        number: Number of the part, from 1.
        count: Number of all parts.

    Raises:
        UsageError: There is no such part.
    """

    number: int
    count: int

    def __post_init__(self) -> None:
        if not 1 <= self.number <= self.count <= MAX_PARTS:
            raise UsageError(
                f"part {self.number}/{self.count} does not exist",
                fix=f"number the parts from 1 to their count, which is at most {MAX_PARTS}",
            )

    @classmethod
    def parse(cls, text: str) -> "Part":
        """Read a part as it is written on the command line.

        >>> Part.parse("3/16")
        Part(number=3, count=16)

        Args:
            text: Number and count.

        Raises:
            UsageError: The text is no part.
        """
        number, _, count = text.partition("/")
        if not (_is_number(number) and _is_number(count)):
            raise UsageError(
                f"part {text!r} is not NUMBER/COUNT", fix="write a part such as 3/16"
            )
        return cls(int(number), int(count))

    @property
    def folder_name(self) -> str:
        """Return the name of the part's folder in the folder of the store."""
        return f"part-{self.number}-of-{self.count}"

    def select(self, videos: Sequence[str]) -> Sequence[str]:
        """Return the videos of the part; each video is in one part.

        >>> Part(1, 2).select("abcde"), Part(2, 2).select("abcde")
        ('ace', 'bd')

        Args:
            videos: Ids of all videos, in the same order for all parts.
        """
        return videos[self.number - 1 :: self.count]


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) < len(str(10 * MAX_PARTS))

"""Where a pack's arrays come from: a file a video, or a row a video of a large file."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import numpy as np

from vaplan.packs import h5, npy
from vaplan.packs.files import PackError

Read = tuple[str, np.ndarray | PackError]  # a video, and its array or why there is none


@dataclass(frozen=True)
class ArrayFiles:
    """A `.npy` file a video."""

    files: Mapping[str, Path]
    shape: tuple[int, ...]

    def dtype(self, videos: Sequence[str]) -> str | None:
        """The type of the numbers in the first file that is what it should be; None if there is
        no such file."""
        for video in videos:
            try:
                return npy.stored_dtype(self.files[video], self.shape).name
            except PackError:
                continue
        return None

    def arrays(self, videos: Sequence[str], dtype: str | None) -> Iterator[Read]:
        """Every video in the order given; numbers that `dtype` cannot hold are refused."""
        for video in videos:
            try:
                array = npy.read(self.files[video], self.shape)
                refuse_wider(array, dtype, self.files[video])
                yield video, array
            except PackError as error:
                yield video, error

    def place(self, video: str) -> Path:
        """The file of a video."""
        return self.files[video]


@dataclass(frozen=True)
class RowFiles:
    """A row a video, in one `.h5` file or several.

    Attributes:
        rows: Per video its file and its row.
    """

    rows: Mapping[str, tuple[Path, int]]
    shape: tuple[int, ...]

    def dtype(self, videos: Sequence[str]) -> str | None:
        """The type that holds the numbers of all files; raises PackError if one of them is not
        what it should be."""
        types = []
        for path in dict.fromkeys(self.place(video) for video in videos):
            if path.exists():
                with h5.opened(path, self.shape) as rows:
                    types.append(rows.dtype)
        return np.result_type(*types).name if types else None

    def arrays(self, videos: Sequence[str], dtype: str | None) -> Iterator[Read]:
        """Every video, file by file and in row order; numbers that `dtype` cannot hold are
        refused."""
        for path, group in groupby(
            sorted(videos, key=self.rows.__getitem__), key=self.place
        ):
            if not path.exists():
                yield from (
                    (video, PackError("no such file", file=path, fix="add it"))
                    for video in group
                )
                continue
            with h5.opened(path, self.shape) as rows:
                for video in group:
                    try:
                        array = h5.read_row(rows, self.rows[video][1], path)
                        refuse_wider(array, dtype, path)
                        yield video, array
                    except PackError as error:
                        yield video, error

    def place(self, video: str) -> Path:
        """The file of a video."""
        return self.rows[video][0]


Source = ArrayFiles | RowFiles


def refuse_wider(array: np.ndarray, dtype: str | None, path: Path) -> None:
    """Refuse numbers that would lose digits in the store."""
    if dtype and not np.can_cast(array.dtype, dtype):
        raise PackError(
            f"numbers of type {array.dtype}, the other files hold {dtype}",
            file=path,
            fix="convert it",
        )

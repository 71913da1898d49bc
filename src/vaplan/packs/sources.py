"""Sources of a pack's arrays: one file a video, or one row a video of a large file."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import numpy as np

from vaplan.packs import h5, npy
from vaplan.packs.files import PackError

Result = tuple[str, np.ndarray | PackError]  # id of a video, and its array or the error


@dataclass(frozen=True)
class ArrayFiles:
    """One `.npy` file a video.

    Attributes:
        files: File of each video.
        shape: Shape of an array.
    """

    files: Mapping[str, Path]
    shape: tuple[int, ...]

    def dtype(self, videos: Sequence[str]) -> str | None:
        """Return the number type of the first valid file; None if no file is valid.

        Args:
            videos: Ids of the videos.
        """
        for video in videos:
            try:
                return npy.stored_dtype(self.files[video], self.shape).name
            except PackError:
                continue
        return None

    def arrays(self, videos: Sequence[str], dtype: str | None) -> Iterator[Result]:
        """Yield the array of every video, or the error.

        Args:
            videos: Ids of the videos.
            dtype: Number type that must represent the numbers.
        """
        for video in videos:
            try:
                array = npy.read(self.files[video], self.shape)
                check_dtype(array, dtype, self.files[video])
                yield video, array
            except PackError as error:
                yield video, error

    def place(self, video: str) -> Path:
        """Return the file of a video.

        Args:
            video: Id of the video.
        """
        return self.files[video]


@dataclass(frozen=True)
class RowFiles:
    """One row a video, in one or several `.h5` files.

    Attributes:
        rows: File and row of each video.
        shape: Shape of a row.
    """

    rows: Mapping[str, tuple[Path, int]]
    shape: tuple[int, ...]

    def dtype(self, videos: Sequence[str]) -> str | None:
        """Return a number type that represents the numbers of all files.

        Args:
            videos: Ids of the videos.

        Raises:
            PackError: A file is not valid.
        """
        types = list[np.dtype]()
        for path in dict.fromkeys(self.place(video) for video in videos):
            if path.exists():
                with h5.open_rows(path, self.shape) as rows:
                    types.append(rows.dtype)
        return np.result_type(*types).name if types else None

    def arrays(self, videos: Sequence[str], dtype: str | None) -> Iterator[Result]:
        """Yield the array of every video or the error, file by file and in the order of rows.

        Args:
            videos: Ids of the videos.
            dtype: Number type that must represent the numbers.

        Raises:
            PackError: A file is not valid.
        """
        for path, group in groupby(
            sorted(videos, key=self.rows.__getitem__), key=self.place
        ):
            if not path.exists():
                yield from (
                    (video, PackError("no such file", file=path, fix="add it"))
                    for video in group
                )
                continue
            with h5.open_rows(path, self.shape) as rows:
                for video in group:
                    try:
                        array = h5.read_row(rows, self.rows[video][1], path)
                        check_dtype(array, dtype, path)
                        yield video, array
                    except PackError as error:
                        yield video, error

    def place(self, video: str) -> Path:
        """Return the file of a video.

        Args:
            video: Id of the video.
        """
        return self.rows[video][0]


Source = ArrayFiles | RowFiles


def check_dtype(array: np.ndarray, dtype: str | None, path: Path) -> None:
    """Check that the numbers lose no digits in the store.

    Args:
        array: Array of one video.
        dtype: Number type of the store.
        path: File of the array.

    Raises:
        PackError: They would.
    """
    if dtype and not np.can_cast(array.dtype, dtype):
        raise PackError(
            f"numbers of type {array.dtype}, the other files have {dtype}",
            file=path,
            fix="convert it",
        )

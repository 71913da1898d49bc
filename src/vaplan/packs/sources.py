"""Sources of a pack's arrays: one file for each video, or one row of a large file."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import numpy as np

from vaplan.packs import h5, npy
from vaplan.packs.files import PackError

VideoArray = tuple[str, np.ndarray | PackError]  # id, and array or reason for none


@dataclass(frozen=True)
class ArrayFiles:
    """One `.npy` file for each video.

    Attributes:
        files: File of each video.
        shape: Shape of one array.
    """

    files: Mapping[str, Path]
    shape: tuple[int, ...]

    def find_dtype(self, videos: Sequence[str]) -> str | None:
        """Return the type of the numbers in the first valid file; None without one."""
        for video in videos:
            try:
                return npy.read_dtype(self.path_of(video), self.shape).name
            except PackError:
                continue
        return None

    def read_arrays(
        self, videos: Sequence[str], dtype: str | None
    ) -> Iterator[VideoArray]:
        """Yield the array of every video in this order.

        Args:
            videos: Ids of the videos.
            dtype: Type of the stored numbers; arrays that lose digits in it are refused.
        """
        for video in videos:
            path = self.path_of(video)
            try:
                array = npy.read_array(path, self.shape)
                check_dtype(array, dtype, path)
            except PackError as error:
                yield video, error
            else:
                yield video, array

    def path_of(self, video: str) -> Path:
        """Return the file of a video."""
        return self.files[video]


@dataclass(frozen=True)
class RowFiles:
    """One row for each video, in one `.h5` file or in several.

    Attributes:
        rows: File and row of each video.
        shape: Shape of one row.
    """

    rows: Mapping[str, tuple[Path, int]]
    shape: tuple[int, ...]

    def find_dtype(self, videos: Sequence[str]) -> str | None:
        """Return the type that holds the numbers of all files; None without a file.

        Raises:
            PackError: A file is not as expected.
        """
        dtypes = list[np.dtype]()
        paths = dict.fromkeys(self.path_of(video) for video in videos)
        for path in paths:
            if path.exists():
                with h5.open_rows(path, self.shape) as rows:
                    dtypes.append(rows.dtype)
        return np.result_type(*dtypes).name if dtypes else None

    def read_arrays(
        self, videos: Sequence[str], dtype: str | None
    ) -> Iterator[VideoArray]:
        """Yield the array of every video, file by file and in the order of rows.

        Args:
            videos: Ids of the videos.
            dtype: Type of the stored numbers; arrays that lose digits in it are refused.
        """
        in_file_order = sorted(videos, key=self.rows.__getitem__)
        for path, videos_of_file in groupby(in_file_order, key=self.path_of):
            if path.exists():
                yield from self._read_file(path, videos_of_file, dtype)
            else:
                for video in videos_of_file:
                    yield video, PackError("no such file", file=path, fix="add it")

    def path_of(self, video: str) -> Path:
        """Return the file of a video."""
        path, _ = self.rows[video]
        return path

    def _read_file(
        self, path: Path, videos: Iterator[str], dtype: str | None
    ) -> Iterator[VideoArray]:
        with h5.open_rows(path, self.shape) as rows:
            for video in videos:
                _, row = self.rows[video]
                try:
                    array = h5.read_row(rows, row, path)
                    check_dtype(array, dtype, path)
                except PackError as error:
                    yield video, error
                else:
                    yield video, array


Source = ArrayFiles | RowFiles


def check_dtype(array: np.ndarray, dtype: str | None, path: Path) -> None:
    """Check that numbers keep all digits in the store.

    Args:
        array: Array of one video.
        dtype: Type of the stored numbers; None for any.
        path: File that the error names.

    Raises:
        PackError: The array has a wider type.
    """
    if dtype and not np.can_cast(array.dtype, dtype):
        raise PackError(
            f"numbers of type {array.dtype}, the other files hold {dtype}",
            file=path,
            fix="convert it",
        )

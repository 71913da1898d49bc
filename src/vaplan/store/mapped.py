"""Room for features that are larger than the memory."""

import math
import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from vaplan.errors import MachineError

MEMORY_SHARE = 0.25  # of the machine's, for the features of one encoder


def mapped_zeros(shape: tuple[int, ...], dtype: Any, *, folder: Path) -> np.ndarray:
    """An array of zeros; one that would fill much of the memory lies in a file instead, of which
    only parts are held.

    The file in `folder` has no name and goes with the process, however that ends.

    Args:
        shape: Shape of the array.
        dtype: Type of the numbers.
        folder: Folder of the files.
    """
    size = math.prod(shape) * np.dtype(dtype).itemsize
    if size <= MEMORY_SHARE * os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"):
        return np.zeros(shape, dtype)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            os.posix_fallocate(
                file.fileno(), 0, size
            )  # a disk that is full only later would end the process
            return np.memmap(file, dtype, "w+", shape=shape)
    except OSError as error:
        what = f"no room for {size / 1e9:.1f} GB of features: {error.strerror or error}"
        raise MachineError(
            what, file=folder, fix="free space there, or train on fewer videos"
        ) from error

"""Arrays of features that may be larger than the memory."""

import math
import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from vaplan.errors import MachineError

MEMORY_SHARE = 0.25  # of the machine's memory, for the features of one encoder


def mapped_zeros(shape: tuple[int, ...], dtype: Any, *, folder: Path) -> np.ndarray:
    """Allocate an array of zeros, in a file if it would fill much of the memory.

    The file has no name and is removed with the process, however the process ends.

    Args:
        shape: Shape of the array.
        dtype: Type of the numbers.
        folder: Folder of the file; it is made.

    Raises:
        MachineError: The disk has no room for the file.
    """
    size = math.prod(shape) * np.dtype(dtype).itemsize
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    if size <= MEMORY_SHARE * memory:
        return np.zeros(shape, dtype)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            # without space for all bytes, a later write to the array would end the process
            os.posix_fallocate(file.fileno(), 0, size)
            return np.memmap(file, dtype, "w+", shape=shape)
    except OSError as error:
        reason = error.strerror or error
        raise MachineError(
            f"no room for {size / 1e9:.1f} GB of features: {reason}",
            file=folder,
            fix="free space there, or train on fewer videos",
        ) from error

"""Features of the first part of a long file on disk, so that its encoding can continue.

A file that is encoded within seconds writes nothing. The features of a longer one are written
every ten minutes of film or every 30 seconds of work. After an interruption the file is decoded
from its start, because only then are the segments the same bytes, and encoded from the first
segment that has no features.
"""

import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any, Protocol, runtime_checkable
from zipfile import BadZipFile

import numpy as np

from vaplan.encoders.encoded import Encoded, join
from vaplan.writing import write_bytes

FOLDER = ".vaplan-parts"  # hidden, so that searches for media and timelines skip it
PART_SEGMENTS = 600  # segments of a part: ten minutes of film
PART_SECONDS = 30.0  # work after which a part is written, even with fewer segments
CARD = "card.json"


@runtime_checkable
class Provenance(Protocol):
    """The properties of an encoder that its features depend on."""

    @property
    def name(self) -> str:
        """Return the name of the encoder."""

    @property
    def modality(self) -> int:
        """Return AUDIO or VISUAL."""

    @property
    def provenance(self) -> dict[str, Any]:
        """Return the weights, preprocessing and versions that an embedding depends on."""


class Checkpoint:
    """The features of the first segments of one file, on disk.

    Parts of another version of the file, or of other encoders, are deleted.

    Attributes:
        folder: Folder of the parts of this file.
        on_part: Called with all features so far after each part is written.
    """

    def __init__(
        self,
        root: Path,
        media: Path,
        encoders: Sequence[Provenance],
        *,
        sampling: str,
        on_part: Callable[[Encoded], None] | None = None,
    ) -> None:
        self.folder = _folder_of(root, media)
        self.on_part = on_part
        self._describe = partial(_describe, media, encoders, sampling)
        self._card = b""
        self._written = list[Encoded]()
        self._waiting = list[Encoded]()
        self._work_started = time.monotonic()

    def read(self) -> list[Encoded]:
        """Return the parts that an interrupted encoding wrote, in order; perhaps none."""
        with suppress(OSError):  # else the decoder reports the reason
            self._card = self._describe()
        if self.folder.exists() and not self._is_of_this_file():
            shutil.rmtree(self.folder)
        self._written = [*_read_parts(self.folder)]
        self._work_started = time.monotonic()
        return self._written[:]

    def add(self, part: Encoded) -> None:
        """Add the features of the next segments, and write a part if it is due.

        Args:
            part: Features of the segments after those that were added or read.

        Raises:
            MachineError: The part cannot be written.
        """
        self._waiting.append(part)
        segments = sum(map(len, self._waiting))
        seconds = time.monotonic() - self._work_started
        if segments >= PART_SEGMENTS or seconds >= PART_SECONDS:
            self._write()

    def _write(self) -> None:
        part = join(self._waiting)
        if not self._written:
            write_bytes(self.folder / CARD, self._card)
        first = sum(map(len, self._written))
        write_bytes(self.folder / _file_name(first), _to_bytes(part))

        self._written.append(part)
        self._waiting = []
        self._work_started = time.monotonic()

        if self.on_part:
            self.on_part(join(self._written))

    def _is_of_this_file(self) -> bool:
        with suppress(OSError):
            return (self.folder / CARD).read_bytes() == self._card
        return False


def delete_checkpoint(root: Path, media: Path) -> None:
    """Delete the parts of a file after its features were written.

    Args:
        root: Folder of the checkpoints.
        media: Media file.
    """
    folder = _folder_of(root, media)
    if folder.exists():
        shutil.rmtree(folder, ignore_errors=True)
        with suppress(OSError):  # another file has parts there
            root.rmdir()


def _folder_of(root: Path, media: Path) -> Path:
    path = os.fsencode(media.resolve())
    return root / hashlib.blake2b(path, digest_size=8).hexdigest()


def _describe(media: Path, encoders: Sequence[Provenance], sampling: str) -> bytes:
    """Return the file's version and everything else that the features depend on."""
    status = media.stat()
    card = {
        "size": status.st_size,
        "changed": status.st_mtime_ns,
        "sampling": sampling,
        "encoders": [
            [encoder.name, encoder.modality, encoder.provenance] for encoder in encoders
        ],
    }
    return json.dumps(card, default=str, indent=1).encode()


def _file_name(first: int) -> str:
    """Name the file of a part by the index of its first segment."""
    return f"{first:06}.npz"


def _to_bytes(part: Encoded) -> bytes:
    buffer = BytesIO()
    np.savez(buffer, *part.vectors, mask=part.mask)
    return buffer.getvalue()


def _read_parts(folder: Path) -> Iterator[Encoded]:
    """Yield the parts up to the first one that does not exist or is damaged."""
    first = 0
    while True:
        try:
            with (
                (folder / _file_name(first)).open("rb") as file,
                np.load(file, allow_pickle=False) as arrays,
            ):
                mask = arrays["mask"]
                count = len(arrays.files) - 1
                vectors = tuple(arrays[f"arr_{index}"] for index in range(count))
        except (OSError, ValueError, KeyError, EOFError, BadZipFile):
            return
        if not len(mask):
            return
        yield Encoded(vectors, mask)
        first += len(mask)

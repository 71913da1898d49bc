"""Provenance of the features in a store, and the plain bytes by which it is compared."""

import hashlib
import json
import re
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from vaplan.errors import MachineError, StoreError
from vaplan.objects import read_bytes

FORMAT = 1
DTYPES = ("float16", "float32", "float64")
MAX_DIMENSION = 2**24
# Where weights come from. Which they are is in weights_sha256, so another commit may follow.
ORIGIN = {"hub_commit"}


@dataclass(frozen=True)
class Card:
    """Provenance of the features of a store, written once to provenance.json.

    Attributes:
        encoder: Name of the encoder with its modality.
        dimension: Number of values of a segment.
        dtype: Number type of the features.
        provenance: JSON values that identify the encoder.
        format: Version of the format of the store.
        vaplan: Version of vaplan that created the store.
    """

    encoder: str
    dimension: int
    dtype: str
    provenance: dict[str, Any]
    format: int = FORMAT
    vaplan: str = version("vaplan")

    @classmethod
    def read(cls, path: Path) -> "Card":
        """Read the card of a store.

        Args:
            path: File of the card.

        Raises:
            MachineError: The store has another format.
            StoreError: The file has changed.
        """
        document = read_json(path)
        if not isinstance(document, dict):
            raise changed_file_error(path)
        if type(document.get("format")) is not int:
            raise changed_file_error(path)
        if document["format"] != FORMAT:
            raise MachineError(
                f"store of format {document.get('format')}; this vaplan reads format {FORMAT}",
                file=path,
                fix=f"use vaplan {document.get('vaplan')} or make a new store",
            )
        document.pop("digest", None)
        try:
            card = cls(**document)
        except TypeError as error:
            raise changed_file_error(path) from error
        if not card.is_valid():
            raise changed_file_error(path)
        return card

    def is_valid(self) -> bool:
        """Return whether every value has the type and the range of its field."""
        texts = (self.encoder, self.dtype, self.vaplan)
        return (
            all(isinstance(text, str) for text in texts)
            and self.dtype in DTYPES
            and type(self.dimension) is int
            and 1 <= self.dimension <= MAX_DIMENSION
            and isinstance(self.provenance, dict)
        )

    def to_bytes(self) -> bytes:
        """Return the content of its file, which includes its digest."""
        document = asdict(self)
        file_hash = short_hash(encode_json(document))
        return encode_json(document | {"digest": file_hash})

    @property
    def folder_name(self) -> str:
        """Return a readable name with a digest, so that no two encoders share it."""
        identity = [self.encoder, self.dimension, self.dtype, self.provenance]
        short = short_hash(encode_json(identity))[:8]
        kind, _, source = self.encoder.lower().rpartition(":")
        model = source.rstrip("/").rpartition("/")[2]
        name = re.sub("[^a-z0-9]+", "-", f"{kind}-{model}").strip("-")
        return f"{name[:40]}-{short}"

    def check_provenance(
        self, provenance: dict[str, Any], *, dtype: str = "", file: Path
    ) -> None:
        """Compare an encoder with the one that filled the store.

        Args:
            provenance: Provenance of the encoder.
            dtype: Number type of its features; by default that of the store.
            file: Folder of the store, for errors.

        Raises:
            StoreError: They differ; the error names the first difference.
        """
        old = {**self.provenance, "dtype": self.dtype}
        new = {**provenance, "dtype": dtype or self.dtype}
        for key in sorted((old.keys() | new.keys()) - ORIGIN):
            if old.get(key) != new.get(key):
                raise StoreError(
                    f"store of another encoder: {self.encoder} had {key} {old.get(key)!r}, "
                    f"now {new.get(key)!r}",
                    file=file,
                    fix="give another --store, or use the former encoder",
                )


def read_json(path: Path) -> Any:
    """Read a JSON file of a store.

    Args:
        path: JSON file.

    Raises:
        StoreError: The file has changed.
    """
    try:
        value = json.loads(read_bytes(path).decode("utf-8"))
        encode_json(value)  # refuses numbers and texts that no writer makes
    except (ValueError, RecursionError) as error:
        raise changed_file_error(path) from error
    return value


def changed_file_error(path: Path) -> StoreError:
    """Make the error for a file that is not what the store wrote.

    Args:
        path: File of the store.
    """
    return StoreError(
        "changed since it was written",
        file=path,
        fix="restore it from a copy, or make a new store",
    )


def encode_json(value: Any) -> bytes:
    """Format a JSON value; equal values give equal bytes.

    Args:
        value: JSON value.
    """
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, allow_nan=False)
    return text.encode()


def normalise_json(value: dict[str, Any]) -> dict[str, Any]:
    """Return a value as it is read from JSON, with lists in place of tuples.

    Args:
        value: Value that JSON can represent.
    """
    copy: dict[str, Any] = json.loads(encode_json(value))
    return copy


def short_hash(content: bytes | memoryview) -> str:
    """Compute a short digest of bytes.

    Args:
        content: Bytes.
    """
    return hashlib.blake2b(content, digest_size=8).hexdigest()

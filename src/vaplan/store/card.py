"""The card of a store: the encoder of its features, and bytes and hashes of JSON values."""

import hashlib
import json
import re
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from vaplan.errors import MachineError, StoreError

FORMAT = 1
MAX_FOLDER_NAME = 40  # characters before the hash


@dataclass(frozen=True)
class Card:
    """Provenance of the features of a store, written once to provenance.json.

    Attributes:
        encoder: Store name of the encoder.
        dimension: Dimension of a segment's vector.
        dtype: Type of the stored numbers.
        provenance: All that the features depend on, as JSON values.
        format: Version of the store's format.
        vaplan: Version of vaplan that made the store.
    """

    encoder: str
    dimension: int
    dtype: str
    provenance: dict[str, Any]
    format: int = FORMAT
    vaplan: str = version("vaplan")

    @classmethod
    def read(cls, path: Path) -> "Card":
        """Read a card.

        Raises:
            MachineError: The store has another format.
            StoreError: The file was changed.
        """
        document = read_json(path)
        if document.get("format") != FORMAT:
            raise MachineError(
                f"store of format {document.get('format')}; "
                f"this vaplan reads format {FORMAT}",
                file=path,
                fix=f"use vaplan {document.get('vaplan')} or make a new store",
            )
        document.pop("digest", None)
        try:
            return cls(**document)
        except TypeError as error:
            raise _changed(path) from error

    def to_bytes(self) -> bytes:
        """Return the content of the card's file, which contains its own hash."""
        document = asdict(self)
        file_hash = short_hash(encode_json(document))
        return encode_json(document | {"digest": file_hash})

    @property
    def folder_name(self) -> str:
        """A readable name, with a hash so that no two encoders share it."""
        identity = [self.encoder, self.dimension, self.dtype, self.provenance]
        suffix = short_hash(encode_json(identity))[:8]
        head, _, source = self.encoder.lower().rpartition(":")
        source_name = source.rstrip("/").rpartition("/")[2]
        name = re.sub("[^a-z0-9]+", "-", f"{head}-{source_name}").strip("-")
        return f"{name[:MAX_FOLDER_NAME]}-{suffix}"

    def check_provenance(
        self, provenance: dict[str, Any], *, dtype: str = "", file: Path
    ) -> None:
        """Check that an encoder is the one of the store.

        Args:
            provenance: Provenance of the encoder, as JSON values.
            dtype: Type of the numbers; empty if any is accepted.
            file: File or folder that the error names.

        Raises:
            StoreError: The encoder is another one; the message names the first difference.
        """
        stored = {**self.provenance, "dtype": self.dtype}
        current = {**provenance, "dtype": dtype or self.dtype}
        for key in sorted(stored.keys() | current.keys()):
            if stored.get(key) != current.get(key):
                raise StoreError(
                    f"store of another encoder: {self.encoder} had {key} "
                    f"{stored.get(key)!r}, now {current.get(key)!r}",
                    file=file,
                    fix="give another --store, or use the former encoder",
                )


def read_json(path: Path) -> Any:
    """Read a JSON value that the store wrote.

    Raises:
        StoreError: The file was changed.
    """
    try:
        return json.loads(path.read_text("utf-8"))
    except ValueError as error:
        raise _changed(path) from error


def encode_json(value: Any) -> bytes:
    """Encode a JSON value; equal values give equal bytes."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, allow_nan=False)
    return text.encode()


def normalise_json(value: dict[str, Any]) -> dict[str, Any]:
    """Return a value as it is read back from JSON: tuples become lists."""
    copy: dict[str, Any] = json.loads(encode_json(value))
    return copy


def short_hash(content: bytes) -> str:
    """Return a hash of 16 hexadecimal digits."""
    return hashlib.blake2b(content, digest_size=8).hexdigest()


def _changed(path: Path) -> StoreError:
    return StoreError(
        "changed since it was written",
        file=path,
        fix="bring it back from a copy, or make a new store",
    )

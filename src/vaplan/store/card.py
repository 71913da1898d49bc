"""Whose features a store holds, and the plain bytes by which such things are compared."""

import hashlib
import json
import re
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from vaplan.errors import MachineError, StoreError

FORMAT = 1


@dataclass(frozen=True)
class Card:
    """Provenance of the features of a store, written once to provenance.json."""

    encoder: str
    dimension: int
    dtype: str
    provenance: dict[str, Any]
    format: int = FORMAT
    vaplan: str = version("vaplan")

    @classmethod
    def read(cls, path: Path) -> "Card":
        """The card in a file; raises MachineError if it is of another format, StoreError if it is
        none."""
        document = read_json(path)
        if document.get("format") != FORMAT:
            what = f"store of format {document.get('format')}; this vaplan reads format {FORMAT}"
            raise MachineError(
                what,
                file=path,
                fix=f"use vaplan {document.get('vaplan')} or make a new store",
            )
        document.pop("digest", None)
        try:
            return cls(**document)
        except TypeError as error:
            raise _changed(path) from error

    def sealed(self) -> bytes:
        """Format the card as a file with its own digest."""
        return canonical(asdict(self) | {"digest": digest(canonical(asdict(self)))})

    @property
    def folder_name(self) -> str:
        """A readable name, and a digest so that no two encoders share it."""
        short = digest(
            canonical([self.encoder, self.dimension, self.dtype, self.provenance])
        )[:8]
        head, _, place = self.encoder.lower().rpartition(":")
        name = f"{head}-{place.rstrip('/').rpartition('/')[2]}"
        return f"{re.sub('[^a-z0-9]+', '-', name).strip('-')[:40]}-{short}"

    def refuse_other(
        self, provenance: dict[str, Any], *, dtype: str = "", file: Path
    ) -> None:
        """Raise StoreError, naming the first difference, unless this is the encoder that filled
        the store.

        Args:
            provenance: Provenance of the encoder.
            dtype: Type of the numbers.
            file: File, for errors.
        """
        was = {**self.provenance, "dtype": self.dtype}
        now = {**provenance, "dtype": dtype or self.dtype}
        for key in sorted(was.keys() | now.keys()):
            if was.get(key) != now.get(key):
                what = (
                    f"store of another encoder: {self.encoder} had {key} "
                    f"{was.get(key)!r}, now {now.get(key)!r}"
                )
                raise StoreError(
                    what,
                    file=file,
                    fix="give another --store, or bring the former encoder back",
                )


def read_json(path: Path) -> Any:
    """A JSON value that the store wrote; raises StoreError if the file is not that any more."""
    try:
        return json.loads(path.read_text("utf-8"))
    except ValueError as error:
        raise _changed(path) from error


def _changed(path: Path) -> StoreError:
    return StoreError(
        "changed since it was written",
        file=path,
        fix="bring it back from a copy, or make a new store",
    )


def canonical(value: Any) -> bytes:
    """A JSON value as the same bytes each time."""
    return json.dumps(
        value, sort_keys=True, ensure_ascii=False, allow_nan=False
    ).encode()


def plain(value: dict[str, Any]) -> dict[str, Any]:
    """A value as it comes back from JSON: tuples are lists."""
    copy: dict[str, Any] = json.loads(canonical(value))
    return copy


def digest(content: bytes) -> str:
    """A short name for bytes."""
    return hashlib.blake2b(content, digest_size=8).hexdigest()

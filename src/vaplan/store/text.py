"""Text vectors that lie beside the features of a store: one for each class.

They belong to a user's own vectors, whose model vaplan does not have: other encoders embed the
prompts of the classes themselves.
"""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Float32

from vaplan.errors import StoreError
from vaplan.objects import exists, read_bytes
from vaplan.store.card import (
    changed_file_error,
    encode_json,
    read_json,
    short_hash,
)
from vaplan.writing import write_bytes

FILE = "text.json"
LOGIT_SCALE = 100.0  # of CLIP, MetaCLIP and most models that are trained alike


@dataclass(frozen=True)
class TextVectors:
    """A vector for each class.

    Attributes:
        classes: Names of the classes.
        vectors: Their vectors, of unit length.
        logit_scale: Factor of cosines in the model's training.
    """

    classes: tuple[str, ...]
    vectors: Float32[np.ndarray, "class feature"]
    logit_scale: float = LOGIT_SCALE

    @classmethod
    def of(
        cls,
        vectors: Mapping[str, Float[np.ndarray, " feature"]],
        *,
        logit_scale: float = LOGIT_SCALE,
    ) -> "TextVectors":
        """Stack the vectors of classes and divide each by its length.

        >>> TextVectors.of({"Dog": np.array([3, 4], np.float32)}).vectors.tolist()
        [[0.6000000238418579, 0.800000011920929]]

        Args:
            vectors: Vector of each class.
            logit_scale: Factor of cosines in the model's training.

        Raises:
            StoreError: There is none, or one is zero or not finite.
        """
        if not vectors:
            raise StoreError("no text vector", fix="give one for each class")

        rows = np.stack(list(vectors.values())).astype(np.float32)
        lengths = np.linalg.norm(rows, axis=1, keepdims=True)
        for name, length in zip(vectors, lengths[:, 0].tolist(), strict=True):
            if not 0 < length < np.inf:
                raise StoreError(
                    f"the text vector of {name!r} has the length {length}",
                    fix="embed this sentence again",
                )

        units = rows / lengths
        return cls(tuple(vectors), units, logit_scale)

    @property
    def dimension(self) -> int:
        """Return the size of a vector."""
        return int(self.vectors.shape[1])

    @property
    def digest(self) -> str:
        """Return a digest of names, vectors and scale."""
        head = encode_json([self.classes, self.logit_scale])
        return short_hash(head + np.ascontiguousarray(self.vectors).tobytes())


def write_text(folder: Path, text: TextVectors) -> Path:
    """Write the text vectors of a store, in place of earlier ones.

    Args:
        folder: Folder of the store.
        text: Vectors of the classes.
    """
    return write_bytes(folder / FILE, _to_bytes(text))


def read_text(folder: Path) -> TextVectors | None:
    """Read the text vectors of a store.

    Args:
        folder: Folder of the store.

    Returns:
        The vectors; None if the store has none.

    Raises:
        StoreError: The file has changed.
    """
    path = folder / FILE
    if not exists(path):
        return None
    document = read_json(path)
    try:
        classes = tuple(document["classes"])
        numbers = np.frombuffer(base64.b64decode(document["vectors"]), "<f4")
        vectors = numbers.reshape(len(classes), -1).astype(np.float32)
        text = TextVectors(classes, vectors, document["logit_scale"])
        is_intact = read_bytes(path) == _to_bytes(text)
    except (ValueError, LookupError, TypeError) as error:
        raise changed_file_error(path) from error
    if not is_intact:
        raise changed_file_error(path)
    return text


def _to_bytes(text: TextVectors) -> bytes:
    numbers = np.ascontiguousarray(text.vectors, "<f4").tobytes()
    document = {
        "classes": list(text.classes),
        "logit_scale": text.logit_scale,
        "vectors": base64.b64encode(numbers).decode(),
        "digest": text.digest,
    }
    return encode_json(document)

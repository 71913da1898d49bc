"""Text vectors that lie beside the features of a store: one for each class.

They belong to a user's own vectors, whose model vaplan does not have: other encoders embed the
prompts of the classes themselves.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from jaxtyping import Float32

from vaplan.store.card import changed_file_error, encode_json, short_hash
from vaplan.writing import write_bytes

FILE = "text.parquet"
LOGIT_SCALE = 100.0  # of CLIP, MetaCLIP and most models that are trained alike
HEADER = b"vaplan"  # key of the metadata of the file


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
        vectors: Mapping[str, Float32[np.ndarray, " feature"]],
        *,
        logit_scale: float = LOGIT_SCALE,
    ) -> "TextVectors":
        """Stack the vectors of classes and divide each by its length.

        >>> TextVectors.of({"Dog": np.array([3, 4], np.float32)}).vectors.tolist()
        [[0.6000000238418579, 0.800000011920929]]

        Args:
            vectors: Vector of each class.
            logit_scale: Factor of cosines in the model's training.
        """
        rows = np.stack(list(vectors.values())).astype(np.float32)
        units = rows / np.linalg.norm(rows, axis=1, keepdims=True)
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
    header = encode_json({"digest": text.digest, "logit_scale": text.logit_scale})
    vectors = pa.FixedSizeListArray.from_arrays(text.vectors.ravel(), text.dimension)
    table = pa.table({"class": pa.array(text.classes), "vector": vectors})
    sink = pa.BufferOutputStream()
    pq.write_table(table.replace_schema_metadata({HEADER: header}), sink)
    return write_bytes(folder / FILE, sink.getvalue().to_pybytes())


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
    if not path.exists():
        return None
    try:
        table = pq.read_table(path)
        header = json.loads(table.schema.metadata[HEADER])
        classes = tuple(table["class"].to_pylist())
        numbers = table["vector"].combine_chunks().flatten().to_numpy()
        vectors = numbers.reshape(len(classes), -1)
        text = TextVectors(classes, vectors, header["logit_scale"])
        is_intact = text.digest == header["digest"]
    except (pa.ArrowException, OSError, ValueError, LookupError, TypeError) as error:
        raise changed_file_error(path) from error
    if not is_intact:
        raise changed_file_error(path)
    return text

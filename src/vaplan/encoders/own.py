"""A user's own vectors, named `own:NAME`.

No model here computes them. They are read from a store, and so are the vectors of the class
sentences.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from jaxtyping import Float32

from vaplan.arrays import MODALITIES
from vaplan.encoders.compute import Compute
from vaplan.errors import EncoderError, StoreError
from vaplan.media import Segments
from vaplan.store import Store, TextVectors

KIND = "own"
IMPORT_TEXT = "run `vaplan import vectors` again, with a --text file of all classes"


@dataclass(frozen=True, eq=False)
class OwnVectors:
    """The text vectors of a store, in the place of an `Encoder`; it embeds no media.

    Attributes:
        name: Name of the features, `own:NAME`.
        modality: AUDIO or VISUAL.
        stored: Vectors of the classes.
        provenance: Provenance of the features.
        folder: Folder of the features, for errors.
    """

    name: str
    modality: int
    stored: TextVectors
    provenance: dict[str, Any]
    folder: Path
    rate_hz: None = None
    frames_per_segment: int = 1

    @property
    def dimension(self) -> int:
        """Return the size of a vector."""
        return self.stored.dimension

    @property
    def logit_scale(self) -> float:
        """Return the factor of cosines in the model's training."""
        return self.stored.logit_scale

    @property
    def classes(self) -> tuple[str, ...]:
        """Return the names that have a vector."""
        return self.stored.classes

    def embed(self, segments: Segments) -> NoReturn:  # noqa: ARG002 - of every encoder
        """Raise EncoderError, because no model computes these vectors."""
        raise _no_model(self.name)

    def text(self, prompts: Sequence[str]) -> Float32[np.ndarray, "prompt feature"]:
        """Return the vectors of classes.

        Args:
            prompts: Names of classes; unlike other encoders, it embeds no sentences.

        Raises:
            EncoderError: A class has no vector; the error names every such class.
        """
        rows = {name: row for row, name in enumerate(self.classes)}
        missing = list(dict.fromkeys(name for name in prompts if name not in rows))
        if missing:
            raise EncoderError(
                f"no {MODALITIES[self.modality]} text vector of {self.name} for "
                f"{', '.join(missing)}; it has {', '.join(self.classes)}",
                file=self.folder,
                fix=IMPORT_TEXT,
            )
        return self.stored.vectors[[rows[name] for name in prompts]]


def load_stored(features: Store) -> OwnVectors:
    """Load the text vectors of a user's own features.

    Args:
        features: Features in a store whose name is `audio:own:NAME` or `visual:own:NAME`.

    Raises:
        EncoderError: There are none.
        StoreError: They have changed since they were written.
    """
    modality, _, name = features.card.encoder.partition(":")
    text = features.read_text()
    if text is None:
        raise EncoderError(
            f"{name} has no text vectors, so its {modality} features cannot be compared "
            "with classes",
            file=features.folder,
            fix=IMPORT_TEXT,
        )
    if text.dimension != features.card.dimension:
        raise StoreError(
            f"text vectors of {text.dimension} numbers, but {features.card.encoder} has "
            f"{features.card.dimension}",
            file=features.folder,
            fix=IMPORT_TEXT,
        )
    return OwnVectors(
        name,
        MODALITIES.index(modality),
        text,
        features.card.provenance,
        features.folder,
    )


def describe_vectors(name: str, dimension: int) -> dict[str, Any]:
    """Return the provenance of a user's own vectors, for `Store.create`.

    There are no weights, so a hash of the description replaces their hash.

    >>> describe_vectors("mine", 512)["about"]
    'vectors that were imported as own:mine'

    Args:
        name: Name without `own:`.
        dimension: Size of a vector.
    """
    about = f"vectors that were imported as {KIND}:{name}"
    digest = hashlib.sha256(f"{about}, {dimension}".encode()).hexdigest()
    return {"about": about, "dimension": dimension, "weights_sha256": digest}


def load(
    source: str,
    modality: int,  # noqa: ARG001 - every encoder loader has these arguments
    *,
    frames_per_segment: int,  # noqa: ARG001
    compute: Compute,  # noqa: ARG001
) -> NoReturn:
    """Raise EncoderError, because no model computes these vectors."""
    raise _no_model(f"{KIND}:{source}")


def _no_model(name: str) -> EncoderError:
    return EncoderError(
        f"{name} are vectors that were imported: no model here computes them from media files",
        fix="bring the vectors of these videos with `vaplan import vectors`, then use "
        "`vaplan predict` with the store",
    )

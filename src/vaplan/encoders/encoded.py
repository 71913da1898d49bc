"""Features of one media file."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32


@dataclass(frozen=True)
class Encoded:
    """Features of one media file by several encoders.

    Attributes:
        vectors: Features by each encoder; zeros where its modality is missing.
        mask: Whether a segment has content in a modality.
        warnings: Damage and absent content of the file.
    """

    vectors: tuple[Float32[np.ndarray, "time _"], ...]
    mask: Bool[np.ndarray, "time modality"]
    warnings: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.mask)


def join(parts: Sequence[Encoded]) -> Encoded:
    """Join consecutive parts of one file.

    Args:
        parts: At least one part, in order.
    """
    vectors = zip(*(part.vectors for part in parts), strict=True)
    warnings = [warning for part in parts for warning in part.warnings]
    return Encoded(
        tuple(np.concatenate(rows) for rows in vectors),
        np.concatenate([part.mask for part in parts]),
        tuple(warnings),
    )

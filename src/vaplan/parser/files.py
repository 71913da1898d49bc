"""What every parser of media files shares: features as a store would give them back, and a grid as a timeline."""

from collections.abc import Collection
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from vaplan.arrays import Inputs
from vaplan.encoders import Encoded
from vaplan.taxonomy import Taxonomy, multi_hot
from vaplan.timeline import Timeline, from_grid, missing_spans


def stored_inputs(encoded: Encoded, *, heard: int) -> Inputs:
    """The features as the store would give them back, so that a file and its stored features parse alike.

    Args:
        heard: How many of the feature streams are of sound; they come first.
    """
    streams = tuple(
        torch.from_numpy(own.astype(np.float16).astype(np.float32))[None]
        for own in encoded.vectors
    )
    return Inputs(
        (streams[:heard], streams[heard:]), torch.from_numpy(encoded.mask)[None]
    )


def as_timeline(
    path: Path,
    encoded: Encoded,
    taxonomy: Taxonomy,
    marked: Bool[Tensor, "time modality class"],
    score: Float[Tensor, "time modality class"],
    *,
    tags: Collection[str] | None = None,
) -> Timeline:
    """The marked segments as events; with `tags`, of these classes alone."""
    if tags is not None:
        marked = marked & torch.tensor(multi_hot([*tags], taxonomy))
    events = from_grid(marked.numpy(), taxonomy, score=score.numpy())
    missing = missing_spans(encoded.mask)
    return Timeline(path.stem, float(len(marked)), events, missing, encoded.warnings)

"""The words for array axes, and the two values a parser and its losses exchange.

Axes stand in one order everywhere: `video time modality class`. A mask over `time` (and `modality`) says
which cells exist; what lies under a mask is zero and changes no output.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float
from torch import Tensor

from vaplan.modalities import AUDIO as AUDIO
from vaplan.modalities import MODALITIES as MODALITIES
from vaplan.modalities import VISUAL as VISUAL


@dataclass(frozen=True)
class Inputs:
    """What a parser reads: per modality any number of feature streams, and which segments exist.

    `streams[m]` are arrays Float "video time feature" (feature sizes may differ); `mask` tells, per video,
    segment and modality, whether there was anything to encode.
    """

    streams: tuple[tuple[Tensor, ...], tuple[Tensor, ...]]
    mask: Bool[Tensor, "video time modality"]

    def __len__(self) -> int:
        return len(self.mask)

    def __getitem__(self, index: Any) -> "Inputs":
        """Select videos by a slice or an index tensor."""
        audio, visual = (
            tuple(stream[index] for stream in streams) for streams in self.streams
        )
        return Inputs((audio, visual), self.mask[index])


@dataclass(frozen=True)
class Prediction:
    """What a parser says: probabilities per segment, per modality of the video, and of the video.

    A network may add what some losses read: the segments' logits, and the segments as vectors of one size for both
    modalities, before the modalities were brought together (`projected`) and after (`attended`).
    """

    segment: Float[Tensor, "video time modality class"]
    modality: Float[Tensor, "video modality class"]
    video: Float[
        Tensor, "video class"
    ]  # HAN's own pooling can exceed 1; see `models.pooling`
    mask: Bool[Tensor, "video time modality"]
    logit: Float[Tensor, "video time modality class"] | None = None
    projected: Float[Tensor, "video time modality hidden"] | None = None
    attended: Float[Tensor, "video time modality hidden"] | None = None


@dataclass(frozen=True)
class Target:
    """What a loss compares a prediction with: weak labels, and pseudo labels where there are any.

    `soft` says how likely each pseudo label is to be a 1, for losses that ask for it.
    """

    weak: Bool[Tensor, "video class"]
    pseudo: Bool[Tensor, "video time modality class"] | None = None
    soft: Float[Tensor, "video time modality class"] | None = None

    def __getitem__(self, index: Any) -> "Target":
        pseudo, soft = (
            None if labels is None else labels[index]
            for labels in (self.pseudo, self.soft)
        )
        return Target(self.weak[index], pseudo, soft)


def audio_visual(
    grid: Bool[np.ndarray, "*video time modality class"],
) -> Bool[np.ndarray, "*video time class"]:
    """Where a class is both heard and seen."""
    return np.asarray(grid.all(axis=-2))

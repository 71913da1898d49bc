"""Axis names, and the values that parsers and losses exchange.

Axes have one order everywhere: `video time modality class`. A mask over `time` and
`modality` marks the segments that exist; values under the mask are zero and change no
output.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from vaplan.modalities import AUDIO as AUDIO
from vaplan.modalities import MODALITIES as MODALITIES
from vaplan.modalities import VISUAL as VISUAL

FeatureSizes = tuple[tuple[int, ...], tuple[int, ...]]


@dataclass(frozen=True)
class Inputs:
    """Features of some videos: the input of a parser.

    Attributes:
        streams: For each modality any number of feature arrays, Float
            "video time feature". Their feature sizes may differ.
        mask: Which segments of each modality exist.
    """

    streams: tuple[tuple[Tensor, ...], tuple[Tensor, ...]]
    mask: Bool[Tensor, "video time modality"]

    def __len__(self) -> int:
        return len(self.mask)

    def __getitem__(self, index: Any) -> "Inputs":
        """Select videos by a slice, a mask or an index tensor."""
        return self.map(lambda tensor: tensor[index])

    def map(self, function: Callable[[Tensor], Tensor]) -> "Inputs":
        """Apply a function to every feature array and to the mask."""
        audio, visual = (
            tuple(function(stream) for stream in streams) for streams in self.streams
        )
        return Inputs((audio, visual), function(self.mask))

    @property
    def feature_sizes(self) -> FeatureSizes:
        """The feature size of each stream, per modality."""
        audio, visual = (
            tuple(stream.shape[-1] for stream in streams) for streams in self.streams
        )
        return audio, visual


@dataclass(frozen=True)
class Prediction:
    """Output of a parser: probabilities of every class.

    Attributes:
        segment: Probability in each segment and modality.
        modality: Probability in each modality of the whole video.
        video: Probability in the video. HAN's attentive pooling can exceed 1; see
            `models.pooling`.
        mask: Which segments exist.
        logit: Segment logits, for losses that read them.
        projected: Segment vectors before the modalities attend to each other.
        attended: Segment vectors after the modalities attend to each other.
    """

    segment: Float[Tensor, "video time modality class"]
    modality: Float[Tensor, "video modality class"]
    video: Float[Tensor, "video class"]
    mask: Bool[Tensor, "video time modality"]
    logit: Float[Tensor, "video time modality class"] | None = None
    projected: Float[Tensor, "video time modality hidden"] | None = None
    attended: Float[Tensor, "video time modality hidden"] | None = None

    def __getitem__(self, index: Any) -> "Prediction":
        """Select the probabilities of some videos."""
        return Prediction(
            self.segment[index],
            self.modality[index],
            self.video[index],
            self.mask[index],
        )

    @classmethod
    def cat(cls, batches: Sequence["Prediction"]) -> "Prediction":
        """Concatenate the probabilities of several batches on the CPU."""
        return Prediction(
            torch.cat([batch.segment.cpu() for batch in batches]),
            torch.cat([batch.modality.cpu() for batch in batches]),
            torch.cat([batch.video.cpu() for batch in batches]),
            torch.cat([batch.mask.cpu() for batch in batches]),
        )


@dataclass(frozen=True)
class Target:
    """Labels that a loss compares with a prediction.

    Attributes:
        weak: Classes that occur somewhere in each video: its tags.
        pseudo: Pseudo labels of each segment, if there are any.
        label_probability: Probability that each pseudo label is 1, for losses that
            read it.
    """

    weak: Bool[Tensor, "video class"]
    pseudo: Bool[Tensor, "video time modality class"] | None = None
    label_probability: Float[Tensor, "video time modality class"] | None = None

    def __getitem__(self, index: Any) -> "Target":
        """Select the labels of some videos."""
        return self.map(lambda tensor: tensor[index])

    def map(self, function: Callable[[Tensor], Tensor]) -> "Target":
        """Apply a function to every label array."""
        return Target(
            function(self.weak),
            None if self.pseudo is None else function(self.pseudo),
            None
            if self.label_probability is None
            else function(self.label_probability),
        )

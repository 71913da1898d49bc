"""Similarities with texts as further input streams of any network.

The vectors of the texts are part of the weights, so that a trained parser needs no text
encoder.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from vaplan.arrays import FeatureSizes, Inputs, Prediction

# Unit vectors of texts per modality and stream; None for a stream without a text encoder.
TextVectors = Sequence[Sequence[Float[Tensor, "text feature"] | None]]
MIN_DEVIATION = 1e-6  # of similarities, whose standard deviation is divided by


class TextSimilarityNetwork(nn.Module):
    """A network that also reads how well each text fits a segment.

    A stream whose encoder embeds texts gets a second stream after the streams of its
    modality: the cosines of a segment with all texts, brought to mean 0 and variance 1.

    Args:
        make_network: Builds the network from its feature sizes.
        feature_sizes: Feature size of each stream without the similarities, per modality.
        text: Vectors of the texts.
    """

    def __init__(
        self,
        make_network: Callable[[FeatureSizes], nn.Module],
        *,
        feature_sizes: FeatureSizes,
        text: TextVectors,
    ) -> None:
        super().__init__()
        self.network: Any
        audio, visual = (
            (*sizes, *(len(vectors) for vectors in group if vectors is not None))
            for sizes, group in zip(feature_sizes, text, strict=True)
        )
        self.network = make_network((audio, visual))
        self.text_names = [
            [
                None if vectors is None else _buffer_name(modality, stream)
                for stream, vectors in enumerate(group)
            ]
            for modality, group in enumerate(text)
        ]
        for names, group in zip(self.text_names, text, strict=True):
            for name, vectors in zip(names, group, strict=True):
                if name is not None:
                    self.register_buffer(name, vectors)

    def forward(self, inputs: Inputs, **options: Any) -> Prediction:
        """Parse a batch.

        Args:
            inputs: Features of the videos.
            options: Keyword arguments of the network.
        """
        prediction: Prediction = self.network(self.add_similarities(inputs), **options)
        return prediction

    def parse_segments(self, inputs: Inputs, **options: Any) -> Any:
        """Compute the network's outputs of every segment before pooling.

        Args:
            inputs: Features of the videos, or of their windows.
            options: Keyword arguments of the network.
        """
        return self.network.parse_segments(self.add_similarities(inputs), **options)

    def pool_segments(self, outputs: Any) -> Prediction:
        """Pool the outputs of all segments of each video.

        Args:
            outputs: Outputs of `parse_segments`.
        """
        prediction: Prediction = self.network.pool_segments(outputs)
        return prediction

    def add_similarities(self, inputs: Inputs) -> Inputs:
        """Add the similarities to the streams of each modality.

        Args:
            inputs: Features of the videos.
        """
        audio, visual = (
            (*streams, *self._similarities(streams, names))
            for streams, names in zip(inputs.streams, self.text_names, strict=True)
        )
        return replace(inputs, streams=(audio, visual))

    def _similarities(
        self,
        streams: Sequence[Float[Tensor, "video time _"]],
        names: Sequence[str | None],
    ) -> list[Float[Tensor, "video time text"]]:
        return [
            standardised_similarity(stream, self.get_buffer(name))
            for stream, name in zip(streams, names, strict=True)
            if name is not None
        ]


def standardised_similarity(
    features: Float[Tensor, "video time feature"], text: Float[Tensor, "text feature"]
) -> Float[Tensor, "video time text"]:
    """Compute the cosines of segments with texts, with mean 0 and variance 1 a segment.

    Args:
        features: Vectors of the segments.
        text: Unit vectors of the texts.
    """
    # Cosines with different texts differ by less than the 8 bits of bf16 show.
    with torch.autocast(features.device.type, enabled=False):
        cosine = functional.normalize(features.float(), dim=-1) @ text.T
        centred = cosine - cosine.mean(dim=-1, keepdim=True)
        deviation = centred.square().mean(dim=-1, keepdim=True).sqrt()
        return centred / deviation.clamp(min=MIN_DEVIATION)


def empty_text(
    shapes: Mapping[str, tuple[int, ...]], feature_sizes: FeatureSizes
) -> TextVectors:
    """Make the text vectors that weights have, with values that are to be loaded.

    Args:
        shapes: Shape of each tensor of the weights.
        feature_sizes: Feature size of each stream without the similarities, per modality.
    """
    return [
        [
            torch.zeros(shapes[name][0], size)
            if len(shapes.get(name, ())) == 2
            else None
            for stream, size in enumerate(sizes)
            for name in [_buffer_name(modality, stream)]
        ]
        for modality, sizes in enumerate(feature_sizes)
    ]


def _buffer_name(modality: int, stream: int) -> str:
    return f"text_{modality}_{stream}"

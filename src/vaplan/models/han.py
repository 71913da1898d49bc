"""The hybrid attention network (HAN) with attentive MMIL pooling.

The settings also give the variants of MA, JoMoLD and VALOR.

Source: Tian, Li, Xu, "Unified Multisensory Perception: Weakly-Supervised Audio-Visual
Video Parsing", ECCV 2020. Unlike in the published code, a second layer reads the output
of the first layer, and there are no unused parameters.
"""

import copy
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from vaplan.arrays import (
    MODALITIES,
    FeatureSizes,
    Inputs,
    Prediction,
    SegmentVectors,
)
from vaplan.errors import RecipeError, unknown
from vaplan.models.layers import (
    NORMS,
    UPDATES,
    HybridAttention,
    Projection,
    check_size,
)
from vaplan.models.pooling import POOLINGS, AttentiveMMIL

CHOICES = {
    "update": UPDATES,
    "norm": NORMS,
    "wiring": ("chained", "official"),
    "layer_weights": ("independent", "copied"),
    "pooling": tuple(POOLINGS),
}


@dataclass(frozen=True)
class HANSettings:
    """The size and form of a `HAN`; the defaults are the published ones.

    Args:
        hidden: Size of a segment's vector.
        heads: Number of attention heads.
        feedforward: Size of the feed-forward layer.
        layers: Number of attention layers.
        dropout: Dropout rate in the layers.
        update: "parallel" (HAN), or "sequential": the visual modality reads the updated
            audio modality (VALOR).
        pooling: "mmil" (published, can exceed 1) or "mmil_fixed" (divided by its total
            weight).
        norm: "post" (HAN), or "pre" with a last norm for each modality.
        wiring: "chained": every layer reads the layer below. "official": every layer
            reads the input of the first one, as in the published code, so that only the
            last layer counts.
        layer_weights: "independent" initial weights of the layers, or "copied" from one
            layer (VALOR).
        cross_attention: Whether the layers have cross-modal attention (JoMoLD's noise
            estimator has none).
        output_dropout: Dropout rate after the layers, for audio and visual (JoMoLD: 0
            and 0.5).
        normalise_inputs: Bring every feature vector to mean 0 and variance 1, with a
            learned scale, before the projection.
    """

    hidden: int = 512
    heads: int = 1
    feedforward: int = 512
    layers: int = 1
    dropout: float = 0.1
    update: str = "parallel"
    pooling: str = "mmil"
    norm: str = "post"
    wiring: str = "chained"
    layer_weights: str = "independent"
    cross_attention: bool = True
    output_dropout: tuple[float, ...] = (0.0, 0.0)
    normalise_inputs: bool = False

    def __post_init__(self) -> None:
        for name in ("hidden", "heads", "feedforward", "layers"):
            check_size(name, getattr(self, name))
        if self.hidden % self.heads:
            raise RecipeError(
                f"hidden size {self.hidden} does not divide into {self.heads} heads"
            )
        if len(self.output_dropout) != len(MODALITIES):
            raise RecipeError(
                f"output_dropout has {len(self.output_dropout)} values, "
                f"expected {len(MODALITIES)}"
            )
        _check_rate("dropout", self.dropout)
        for rate in self.output_dropout:
            _check_rate("output_dropout", rate)
        for name, choices in CHOICES.items():
            value = getattr(self, name)
            if value not in choices:
                raise RecipeError(unknown(name, value, choices))


@dataclass(frozen=True)
class SegmentOutputs:
    """Outputs of a `HAN` for each segment, before they are pooled.

    Attributes:
        logit: Logit of each class.
        time_logit: Attention logit of each segment within its modality, per class.
        modality_logit: Attention logit of each modality within its segment, per class.
        mask: Segments that exist.
        vectors: Vectors of the segments.
    """

    logit: Float[Tensor, "video time modality class"]
    time_logit: Float[Tensor, "video time modality class"]
    modality_logit: Float[Tensor, "video time modality class"]
    mask: Bool[Tensor, "video time modality"]
    vectors: SegmentVectors


class HAN(nn.Module):
    """Predict probabilities of segments, modalities and video from feature streams.

    Args:
        settings: Size and form; by default the published ones.
        feature_sizes: Per modality, the feature size of each stream, in the order of
            `Inputs.streams` (HAN's visual streams are appearance and motion).
        classes: Number of classes.
    """

    def __init__(
        self,
        settings: HANSettings | None = None,
        *,
        feature_sizes: FeatureSizes,
        classes: int,
    ) -> None:
        super().__init__()
        settings = settings or HANSettings()
        hidden = settings.hidden
        self.project = nn.ModuleList(
            Projection(sizes, hidden, normalise=settings.normalise_inputs)
            for sizes in feature_sizes
        )

        self.layers = nn.ModuleList(_layers(settings))
        last_norms = len(MODALITIES) if settings.norm == "pre" else 0
        self.last_norms = nn.ModuleList(nn.LayerNorm(hidden) for _ in range(last_norms))

        self.classify = nn.Linear(hidden, classes)
        self.pool = AttentiveMMIL(hidden, classes, pool=POOLINGS[settings.pooling])

        self.last_layer_only = settings.wiring == "official"
        self.output_dropout = settings.output_dropout

    def forward(self, inputs: Inputs, *, cross_attention: bool = True) -> Prediction:
        """Parse a batch.

        Args:
            inputs: Features of the videos.
            cross_attention: Whether a modality reads the other one; without it, the same
                weights parse each modality separately.
        """
        outputs = self.parse_segments(inputs, cross_attention=cross_attention)
        return self.pool_segments(outputs)

    def parse_segments(
        self, inputs: Inputs, *, cross_attention: bool = True
    ) -> SegmentOutputs:
        """Compute everything that a segment's probability and its pooling need.

        Args:
            inputs: Features of the videos, or of their windows.
            cross_attention: Whether a modality reads the other one.
        """
        projection = self.embed(inputs)
        attention = self.encode(
            projection, inputs.mask, cross_attention=cross_attention
        )
        hidden = self.drop_out(attention).float()
        # probabilities near 1 need more than the 8 bits of bf16
        with torch.autocast(hidden.device.type, enabled=False):
            logit = self.classify(hidden)
            time_logit, modality_logit = self.pool.attend(hidden)
        return SegmentOutputs(
            logit=logit,
            time_logit=time_logit,
            modality_logit=modality_logit,
            mask=inputs.mask,
            vectors=SegmentVectors(projection, attention, inputs.mask),
        )

    def pool_segments(self, outputs: SegmentOutputs) -> Prediction:
        """Compute the probabilities of segments, modalities and video.

        Args:
            outputs: Outputs of all segments of the videos.
        """
        absent = ~outputs.mask[..., None]
        segment = outputs.logit.sigmoid().masked_fill(absent, 0)
        modality, video = self.pool.average(
            segment, outputs.time_logit, outputs.modality_logit, outputs.mask
        )
        return Prediction(
            segment=segment,
            modality=modality,
            video=video,
            mask=outputs.mask,
            logit=outputs.logit,
            vectors=outputs.vectors,
        )

    def embed(self, inputs: Inputs) -> Float[Tensor, "video time modality hidden"]:
        """Project the streams of each modality to the hidden size."""
        projections = []
        for m, project in enumerate(self.project):
            present = inputs.mask[:, :, m]
            projections.append(project(inputs.streams[m], present))
        return torch.stack(projections, dim=2)

    def encode(
        self,
        hidden: Float[Tensor, "video time modality hidden"],
        mask: Bool[Tensor, "video time modality"],
        *,
        cross_attention: bool = True,
    ) -> Float[Tensor, "video time modality hidden"]:
        """Apply the attention layers.

        Args:
            hidden: Segment vectors.
            mask: Segments that exist.
            cross_attention: Whether a modality reads the other one.
        """
        layers = self.layers[-1:] if self.last_layer_only else self.layers
        for layer in layers:
            hidden = layer(hidden, mask, cross_attention=cross_attention)
        if not self.last_norms:
            return hidden

        streams = hidden.unbind(dim=2)
        outputs = [
            norm(stream) for norm, stream in zip(self.last_norms, streams, strict=True)
        ]
        return torch.stack(outputs, dim=2)

    def drop_out(
        self, hidden: Float[Tensor, "video time modality hidden"]
    ) -> Float[Tensor, "video time modality hidden"]:
        """Apply dropout at the rate of each modality."""
        # without dropout no random numbers may be drawn
        if not self.training or not any(self.output_dropout):
            return hidden
        outputs = []
        for stream, rate in zip(hidden.unbind(dim=2), self.output_dropout, strict=True):
            output = nn.functional.dropout(stream, rate) if rate else stream
            outputs.append(output)
        return torch.stack(outputs, dim=2)


def _check_rate(name: str, rate: float) -> None:
    if not 0 <= rate < 1:
        raise RecipeError(f"{name} must lie in [0, 1), not {rate}")


def _layers(settings: HANSettings) -> list[HybridAttention]:
    if settings.layer_weights == "independent":
        return [_layer(settings) for _ in range(settings.layers)]
    first = _layer(settings)
    copies = [copy.deepcopy(first) for _ in range(settings.layers - 1)]
    return [first, *copies]


def _layer(settings: HANSettings) -> HybridAttention:
    return HybridAttention(
        settings.hidden,
        settings.heads,
        settings.feedforward,
        dropout=settings.dropout,
        update=settings.update,
        norm=settings.norm,
        cross_attention=settings.cross_attention,
    )

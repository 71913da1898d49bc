"""The hybrid attention network with attentive MMIL pooling.

Source: Tian, Li, Xu, "Unified Multisensory Perception: Weakly-Supervised Audio-Visual Video Parsing", ECCV 2020.
Unlike its published code, a second layer reads the first layer's output, and no unused parameters are kept.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from vaplan.arrays import Inputs, Prediction
from vaplan.errors import RecipeError, unknown
from vaplan.models.layers import UPDATES, HybridAttention, Projection
from vaplan.models.pooling import POOLINGS, AttentiveMMIL


@dataclass(frozen=True)
class HANSettings:
    """The size of a `HAN`; the defaults are the published ones.

    `update` is "parallel" (HAN) or "sequential" (VALOR); `pooling` is "mmil" (published, can exceed 1) or
    "mmil_fixed" (divided by its total weight).
    """

    hidden: int = 512
    heads: int = 1
    feedforward: int = 512
    layers: int = 1
    dropout: float = 0.1
    update: str = "parallel"
    pooling: str = "mmil"

    def __post_init__(self) -> None:
        for name in ("hidden", "heads", "feedforward", "layers"):
            if getattr(self, name) < 1:
                raise RecipeError(f"{name} must be at least 1, not {getattr(self, name)}")
        if self.hidden % self.heads:
            raise RecipeError(f"hidden size {self.hidden} does not divide into {self.heads} heads")
        if not 0 <= self.dropout < 1:
            raise RecipeError(f"dropout must lie in [0, 1), not {self.dropout}")
        if self.update not in UPDATES:
            raise RecipeError(unknown("update", self.update, UPDATES))
        if self.pooling not in POOLINGS:
            raise RecipeError(unknown("pooling", self.pooling, POOLINGS))


class HAN(nn.Module):
    """Feature streams of both modalities to probabilities of segments, modalities and video.

    Args:
        feature_sizes: Per modality, the feature size of each stream, in the order of `Inputs.streams`
            (HAN's own visual streams are appearance first, motion second).
    """

    def __init__(
        self,
        settings: HANSettings | None = None,
        *,
        feature_sizes: tuple[tuple[int, ...], tuple[int, ...]],
        classes: int,
    ) -> None:
        super().__init__()
        chosen = settings or HANSettings()
        self.project = nn.ModuleList(Projection(sizes, chosen.hidden) for sizes in feature_sizes)
        self.layers = nn.ModuleList(_layer(chosen) for _ in range(chosen.layers))
        self.classify = nn.Linear(chosen.hidden, classes)
        self.pool = AttentiveMMIL(chosen.hidden, classes, pool=POOLINGS[chosen.pooling])

    def forward(self, inputs: Inputs) -> Prediction:
        hidden = self.embed(inputs)
        for layer in self.layers:
            hidden = layer(hidden, inputs.mask)
        segment = self.classify(hidden).sigmoid().masked_fill(~inputs.mask[..., None], 0)
        modality, video = self.pool(hidden, segment, inputs.mask)
        return Prediction(segment=segment, modality=modality, video=video, mask=inputs.mask)

    def embed(self, inputs: Inputs) -> Tensor:
        """Project each modality's streams: Float "video time modality hidden"."""
        projected = [
            project(streams, present)
            for project, streams, present in zip(self.project, inputs.streams, inputs.mask.unbind(dim=2), strict=True)
        ]
        return torch.stack(projected, dim=2)


def _layer(settings: HANSettings) -> HybridAttention:
    return HybridAttention(
        settings.hidden,
        settings.heads,
        settings.feedforward,
        dropout=settings.dropout,
        update=settings.update,
    )

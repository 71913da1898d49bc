"""The hybrid attention network with attentive MMIL pooling, and the forms that MA, JoMoLD and
VALOR gave it.

Source: Tian, Li, Xu, "Unified Multisensory Perception: Weakly-Supervised Audio-Visual Video
Parsing", ECCV 2020. Unlike its published code, a second layer reads the first layer's output, and
no unused parameters are kept.
"""

import copy
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from vaplan.arrays import MODALITIES, Inputs, Prediction
from vaplan.errors import RecipeError, unknown
from vaplan.models.layers import NORMS, UPDATES, HybridAttention, Projection
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
        update: "parallel" (HAN), or "sequential": the visual modality reads the audio one as just
            updated (VALOR).
        norm: "post" (HAN), or "pre" with a last norm for each modality.
        wiring: "chained": every layer reads the layer below. "official": every layer reads the
            first one's input, as in the published code, so that the last one alone counts.
        layer_weights: Whether the layers begin "independent", or as copies of one ("copied",
            VALOR).
        cross_attention: Without it there is none in the network (JoMoLD's noise estimator).
        output_dropout: After the layers, for audio and visual (JoMoLD: 0 and 0.5).
        normalise_inputs: Bring every feature vector to mean 0 and variance 1 (with a learned
            scale) before all else.
        pooling: "mmil" (published, can exceed 1) or "mmil_fixed" (divided by its total weight).
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
            if getattr(self, name) < 1:
                raise RecipeError(
                    f"{name} must be at least 1, not {getattr(self, name)}"
                )
        if self.hidden % self.heads:
            raise RecipeError(
                f"hidden size {self.hidden} does not divide into {self.heads} heads"
            )
        if len(self.output_dropout) != len(MODALITIES):
            raise RecipeError(
                f"output_dropout has {len(self.output_dropout)} values, expected {len(MODALITIES)}"
            )
        for name, value in (
            ("dropout", self.dropout),
            *(("output_dropout", p) for p in self.output_dropout),
        ):
            if not 0 <= value < 1:
                raise RecipeError(f"{name} must lie in [0, 1), not {value}")
        for name, names in CHOICES.items():
            if getattr(self, name) not in names:
                raise RecipeError(unknown(name, getattr(self, name), names))


class HAN(nn.Module):
    """Feature streams of both modalities to probabilities of segments, modalities and video.

    Args:
        feature_sizes: Per modality, the feature size of each stream, in the order of
            `Inputs.streams` (HAN's own visual streams are appearance first, motion second).
    """

    def __init__(
        self,
        settings: HANSettings | None = None,
        *,
        feature_sizes: tuple[tuple[int, ...], tuple[int, ...]],
        classes: int,
    ) -> None:
        super().__init__()
        network_settings = settings or HANSettings()
        self.project = nn.ModuleList(
            Projection(
                sizes,
                network_settings.hidden,
                normalise=network_settings.normalise_inputs,
            )
            for sizes in feature_sizes
        )
        self.layers = nn.ModuleList(_layers(network_settings))
        last_norms = len(MODALITIES) if network_settings.norm == "pre" else 0
        self.last_norms = nn.ModuleList(
            nn.LayerNorm(network_settings.hidden) for _ in range(last_norms)
        )
        self.classify = nn.Linear(network_settings.hidden, classes)
        self.pool = AttentiveMMIL(
            network_settings.hidden, classes, pool=POOLINGS[network_settings.pooling]
        )
        self.last_layer_only = network_settings.wiring == "official"
        self.output_dropout = network_settings.output_dropout

    def forward(self, inputs: Inputs, *, cross_attention: bool = True) -> Prediction:
        """Parse a batch; without `cross_attention` no modality sees the other, with the same
        weights."""
        projected = self.embed(inputs)
        attended = self.encode(projected, inputs.mask, cross_attention=cross_attention)
        hidden = self.drop_out(attended).float()
        absent = ~inputs.mask[..., None]
        with torch.autocast(
            hidden.device.type, enabled=False
        ):  # probabilities near 1 need more than 8 bits
            logit = self.classify(hidden)
            segment = logit.sigmoid().masked_fill(absent, 0)
            modality, video = self.pool(hidden, segment, inputs.mask)
        return Prediction(
            segment, modality, video, inputs.mask, logit, projected, attended
        )

    def embed(self, inputs: Inputs) -> Float[Tensor, "video time modality hidden"]:
        """Project each modality's streams to the hidden size."""
        projected = [
            project(streams, present)
            for project, streams, present in zip(
                self.project, inputs.streams, inputs.mask.unbind(dim=2), strict=True
            )
        ]
        return torch.stack(projected, dim=2)

    def encode(
        self,
        hidden: Float[Tensor, "video time modality hidden"],
        mask: Bool[Tensor, "video time modality"],
        *,
        cross_attention: bool = True,
    ) -> Float[Tensor, "video time modality hidden"]:
        """Let the segments attend to one another, layer by layer."""
        for layer in self.layers[-1:] if self.last_layer_only else self.layers:
            hidden = layer(hidden, mask, cross_attention=cross_attention)
        if self.last_norms:
            normed = [
                norm(x)
                for norm, x in zip(self.last_norms, hidden.unbind(dim=2), strict=True)
            ]
            hidden = torch.stack(normed, dim=2)
        return hidden

    def drop_out(self, hidden: Float[Tensor, "video time modality hidden"]) -> Tensor:
        """Dropout at each modality's own rate."""
        if not (
            self.training and any(self.output_dropout)
        ):  # draws no random numbers where nothing is dropped
            return hidden
        streams = zip(hidden.unbind(dim=2), self.output_dropout, strict=True)
        return torch.stack(
            [nn.functional.dropout(x, rate) if rate else x for x, rate in streams],
            dim=2,
        )


def _layers(settings: HANSettings) -> list[HybridAttention]:
    if settings.layer_weights == "copied":
        first = _layer(settings)
        return [first, *(copy.deepcopy(first) for _ in range(settings.layers - 1))]
    return [_layer(settings) for _ in range(settings.layers)]


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

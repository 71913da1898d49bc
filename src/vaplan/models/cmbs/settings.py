"""Settings of CMBS, weakly and fully supervised."""

from dataclasses import dataclass

from vaplan.errors import RecipeError
from vaplan.models.layers import check_size

SIZES = (
    "positions",
    "hidden",
    "heads",
    "fusion_heads",
    "layers",
    "feedforward",
    "decoder_feedforward",
)
RATES = ("dropout", "map_dropout", "position_dropout", "fusion_dropout")


@dataclass(frozen=True)
class CMBSSettings:
    """The size of a `WeakCMBS`; the defaults are the published ones.

    Args:
        positions: Number of regions of the feature map in the visual feature of a
            segment, one after the other (49 for the published 7 x 7 x 512); 1 if the
            feature is one vector.
        hidden: Size of a segment's vector after the map was summarised.
        map_hidden: Size of a region, a multiple of 4.
        heads: Number of attention heads over segments.
        fusion_heads: Number of attention heads of the cross-modal fusion.
        layers: Number of encoder layers.
        feedforward: Size of the feed-forward layers of the encoder.
        decoder_feedforward: Size of the feed-forward layer of the decoder.
        top: Share of the segments whose highest scores are averaged for the video.
        gate_strength: The paper's alpha: weight of the background gates.
        map_strength: The paper's beta: weight of the self-attention over regions.
        score_strength: The paper's gamma: weight of the scores of single modalities.
        dropout: Dropout rate of the attention over segments.
        map_dropout: Dropout rate after the projection of the regions.
        position_dropout: Dropout rate of the attention over regions.
        fusion_dropout: Dropout rate of the attention weights of the cross-modal fusion.
    """

    positions: int = 1
    hidden: int = 256
    map_hidden: int = 512
    heads: int = 4
    fusion_heads: int = 2
    layers: int = 2
    feedforward: int = 2048
    decoder_feedforward: int = 1024
    top: float = 0.4
    gate_strength: float = 0.2
    map_strength: float = 0.5
    score_strength: float = 0.5
    dropout: float = 0.1
    map_dropout: float = 0.1
    position_dropout: float = 0.2
    fusion_dropout: float = 0.2

    def __post_init__(self) -> None:
        for name in SIZES:
            check_size(name, getattr(self, name))
        check_size("map_hidden", self.map_hidden)
        for name in ("heads", "fusion_heads"):
            heads = getattr(self, name)
            if self.hidden % heads:
                raise RecipeError(
                    f"hidden size {self.hidden} does not divide into {heads} {name}"
                )
        if self.map_hidden < 4 or self.map_hidden % 4:
            raise RecipeError(
                f"map_hidden must be a multiple of 4, not {self.map_hidden}"
            )
        if self.hidden % 2:
            raise RecipeError(f"hidden must be even, not {self.hidden}")
        if not 0 < self.top <= 1:
            raise RecipeError(f"top is a share above 0, not {self.top}")
        for name in RATES:
            rate = getattr(self, name)
            if not 0 <= rate < 1:
                raise RecipeError(f"{name} must lie in [0, 1), not {rate}")


@dataclass(frozen=True)
class FullCMBSSettings(CMBSSettings):
    """The size of a `FullCMBS`; the defaults are the published ones."""

    fusion_heads: int = 4
    feedforward: int = 1024
    gate_strength: float = 0.1
    map_strength: float = 0.4
    score_strength: float = 0.3
    map_dropout: float = 0.2

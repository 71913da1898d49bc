"""The sizes of CMBS, weakly and fully supervised."""

from dataclasses import dataclass

from vaplan.errors import RecipeError


@dataclass(frozen=True)
class CMBSSettings:
    """The size of a `WeakCMBS`; the defaults are the published ones.

    Args:
        positions: How many places of a map, one after the other, a segment's visual feature holds
            (49 for the published 7 x 7 x 512); 1 for one vector a segment.
        map_hidden: The size of a place; `hidden` is that of everything after the map was summed up.
        top: The share of the segments whose highest scores make a video's score.
        gate_strength, map_strength, score_strength: The paper's alpha, beta and gamma.
        dropout: In the attention over segments; `map_dropout` is after the first map over places,
            `position_dropout` and `fusion_dropout` are inside the attention over places, and
            where the modalities meet.
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
        for name in (
            "positions",
            "hidden",
            "heads",
            "fusion_heads",
            "layers",
            "feedforward",
            "decoder_feedforward",
        ):
            if getattr(self, name) < 1:
                raise RecipeError(
                    f"{name} must be at least 1, not {getattr(self, name)}"
                )
        for name in ("heads", "fusion_heads"):
            if self.hidden % getattr(self, name):
                raise RecipeError(
                    f"hidden size {self.hidden} does not divide into {getattr(self, name)} {name}"
                )
        if self.map_hidden < 4 or self.map_hidden % 4:
            raise RecipeError(
                f"map_hidden must be a multiple of 4, not {self.map_hidden}"
            )
        if self.hidden % 2:
            raise RecipeError(f"hidden must be even, not {self.hidden}")
        if not 0 < self.top <= 1:
            raise RecipeError(f"top is a share above 0, not {self.top}")
        for name in ("dropout", "map_dropout", "position_dropout", "fusion_dropout"):
            if not 0 <= getattr(self, name) < 1:
                raise RecipeError(
                    f"{name} must lie in [0, 1), not {getattr(self, name)}"
                )


@dataclass(frozen=True)
class FullCMBSSettings(CMBSSettings):
    """The size of a `FullCMBS`; where the published ones differ."""

    fusion_heads: int = 4
    feedforward: int = 1024
    gate_strength: float = 0.1
    map_strength: float = 0.4
    score_strength: float = 0.3
    map_dropout: float = 0.2

"""Where to look: what is heard guides the attention over the places and channels of the picture.

Source: Xu, Zeng, Wu, Tan, Gan, "Cross-Modal Relation-Aware Networks for Audio-Visual Event
Localization", ACM MM 2020, as used and extended by CMBS (Xia, Zhao, CVPR 2022).
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

QUERY_SHARE = (
    4  # queries and keys of the attention over places have this part of the map's size
)


class SelfAttentionOverPlaces(nn.Module):
    """Every place reads the others, without scaling by the size of a key, and is added to what it
    reads.

    A single place reads itself.
    """

    def __init__(self, size: int, dropout: float, *, places: int) -> None:
        super().__init__()
        self.query = nn.Linear(size, size // QUERY_SHARE) if places > 1 else None
        self.key = nn.Linear(size, size // QUERY_SHARE) if places > 1 else None
        self.value, self.norm = nn.Linear(size, size), nn.LayerNorm(size)
        self.dropout = nn.Dropout(dropout)

    def forward(
        self, places: Float[Tensor, "video time place size"]
    ) -> Float[Tensor, "video time place size"]:
        value = self.value(places)
        if self.query and self.key:
            value = (self.query(places) @ self.key(places).transpose(-1, -2)).softmax(
                dim=-1
            ) @ value
        normed: Tensor = self.norm(places + self.dropout(value))
        return normed


class PlacePooling(nn.Module):
    """The mean of the places, weighed by how well each agrees with a guide."""

    def __init__(self, size: int, guide: int, hidden: int) -> None:
        super().__init__()
        self.place, self.guide, self.score = (
            nn.Linear(size, hidden),
            nn.Linear(guide, hidden),
            nn.Linear(hidden, 1),
        )

    def forward(
        self,
        places: Float[Tensor, "video time place size"],
        guide: Float[Tensor, "video time guide"],
    ) -> Float[Tensor, "video time size"]:
        agreement = self.place(places).relu() * self.guide(guide).relu()[:, :, None]
        weight = self.score(agreement).tanh().softmax(dim=2)
        pooled: Tensor = (weight * places).sum(dim=2)
        return pooled


class AudioGuidedAttention(nn.Module):
    """Sum up a map of places into one vector a segment.

    With one place the attention over places weighs nothing, and what stays is the guidance over
    channels and the residual of self-attention's values.
    """

    def __init__(
        self,
        size: int,
        audio: int,
        hidden: int,
        *,
        places: int,
        strength: float,
        dropout: float,
    ) -> None:
        super().__init__()
        self.strength = strength
        self.relate = SelfAttentionOverPlaces(size, dropout, places=places)
        self.own_pool = PlacePooling(size, size, hidden) if places > 1 else None
        self.audio_pool = PlacePooling(size, audio, hidden) if places > 1 else None
        self.hear, self.see = nn.Linear(audio, size), nn.Linear(size, size)
        self.squeeze, self.excite = nn.Linear(size, hidden), nn.Linear(hidden, size)

    def forward(
        self,
        places: Float[Tensor, "video time place size"],
        audio: Float[Tensor, "video time audio"],
    ) -> Float[Tensor, "video time size"]:
        related = self.relate(places)
        own = (
            self.own_pool(related, related.mean(dim=2))
            if self.own_pool
            else related[:, :, 0]
        )
        common = (self.hear(audio).relu()[:, :, None] * self.see(related).relu()).mean(
            dim=2
        )
        channel = torch.sigmoid(self.excite(self.squeeze(common).relu()))
        excited = places * (1 + channel[:, :, None])
        guided = (
            self.audio_pool(excited, audio) if self.audio_pool else excited[:, :, 0]
        )
        looked_at: Tensor = guided + self.strength * own.sigmoid() * guided
        return looked_at

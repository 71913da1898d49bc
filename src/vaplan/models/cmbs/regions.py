"""Audio-guided attention over the regions and channels of a visual feature map.

Source: Xu, Zeng, Wu, Tan, Gan, "Cross-Modal Relation-Aware Networks for Audio-Visual
Event Localization", ACM MM 2020, as used and extended by CMBS (Xia, Zhao, CVPR 2022).
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

QUERY_SHARE = 4  # queries and keys of regions have this part of the map's size


class RegionSelfAttention(nn.Module):
    """Self-attention over regions with a residual connection, without scaled logits.

    A single region is its own value.

    Args:
        size: Feature size of a region.
        dropout: Dropout rate.
        regions: Number of regions.
    """

    def __init__(self, size: int, dropout: float, *, regions: int) -> None:
        super().__init__()
        self.query: nn.Linear | None = None
        self.key: nn.Linear | None = None
        if regions > 1:
            self.query = nn.Linear(size, size // QUERY_SHARE)
            self.key = nn.Linear(size, size // QUERY_SHARE)
        self.value = nn.Linear(size, size)
        self.norm = nn.LayerNorm(size)
        self.dropout = nn.Dropout(dropout)

    def forward(
        self, regions: Float[Tensor, "video time region size"]
    ) -> Float[Tensor, "video time region size"]:
        """Let the regions of each segment attend to one another."""
        value = self.value(regions)
        if self.query is not None and self.key is not None:
            query = self.query(regions)
            key = self.key(regions)
            weight = (query @ key.transpose(-1, -2)).softmax(dim=-1)
            value = weight @ value
        output: Tensor = self.norm(regions + self.dropout(value))
        return output


class RegionPooling(nn.Module):
    """Average the regions, weighted by their agreement with a guide.

    Args:
        size: Feature size of a region.
        guide: Feature size of the guide.
        hidden: Size of the space in which both are compared.
    """

    def __init__(self, size: int, guide: int, hidden: int) -> None:
        super().__init__()
        self.place = nn.Linear(size, hidden)
        self.guide = nn.Linear(guide, hidden)
        self.score = nn.Linear(hidden, 1)

    def forward(
        self,
        regions: Float[Tensor, "video time region size"],
        guide: Float[Tensor, "video time guide"],
    ) -> Float[Tensor, "video time size"]:
        """Return the weighted mean of the regions of each segment."""
        region_key = self.place(regions).relu()
        guide_key = self.guide(guide).relu()
        agreement = region_key * guide_key[:, :, None]
        weight = self.score(agreement).tanh().softmax(dim=2)
        mean: Tensor = (weight * regions).sum(dim=2)
        return mean


class SpatialChannelAttention(nn.Module):
    """Audio-guided spatial-channel attention: one vector a segment from a feature map.

    With a single region, only the attention over channels and the residual of the
    values of self-attention have an effect.

    Args:
        size: Feature size of a region.
        audio: Feature size of audio.
        hidden: Size of the space in which regions and audio are compared.
        regions: Number of regions.
        strength: Weight of self-attention, the paper's beta.
        dropout: Dropout rate of self-attention.
    """

    def __init__(
        self,
        size: int,
        audio: int,
        hidden: int,
        *,
        regions: int,
        strength: float,
        dropout: float,
    ) -> None:
        super().__init__()
        self.strength = strength
        self.relate = RegionSelfAttention(size, dropout, regions=regions)
        self.own_pool: RegionPooling | None = None
        self.audio_pool: RegionPooling | None = None
        if regions > 1:
            self.own_pool = RegionPooling(size, size, hidden)
            self.audio_pool = RegionPooling(size, audio, hidden)
        self.hear = nn.Linear(audio, size)
        self.see = nn.Linear(size, size)
        self.squeeze = nn.Linear(size, hidden)
        self.excite = nn.Linear(hidden, size)

    def forward(
        self,
        regions: Float[Tensor, "video time region size"],
        audio: Float[Tensor, "video time audio"],
    ) -> Float[Tensor, "video time size"]:
        """Summarise the regions of each segment, guided by its audio."""
        context = self.relate(regions)
        self_summary = context[:, :, 0]
        if self.own_pool is not None:
            self_summary = self.own_pool(context, context.mean(dim=2))

        channel_weight = self._channel_weight(context, audio)
        weighted_regions = regions * (1 + channel_weight[:, :, None])
        audio_summary = weighted_regions[:, :, 0]
        if self.audio_pool is not None:
            audio_summary = self.audio_pool(weighted_regions, audio)

        gate = self.strength * self_summary.sigmoid()
        summary: Tensor = audio_summary + gate * audio_summary
        return summary

    def _channel_weight(
        self,
        context: Float[Tensor, "video time region size"],
        audio: Float[Tensor, "video time audio"],
    ) -> Float[Tensor, "video time size"]:
        """Weight the channels by the agreement of audio and regions, in [0, 1]."""
        audio_channels = self.hear(audio).relu()
        region_channels = self.see(context).relu()
        agreement = (audio_channels[:, :, None] * region_channels).mean(dim=2)
        bottleneck = self.squeeze(agreement).relu()
        return torch.sigmoid(self.excite(bottleneck))

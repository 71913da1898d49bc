"""The building blocks of parser networks: one projection per modality, and hybrid attention across them.

Source: Tian, Li, Xu, ECCV 2020 (arXiv 2007.10558), section 4.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from vaplan.errors import UsageError

UPDATES = ("parallel", "sequential")


class Projection(nn.Module):
    """Bring the feature streams of one modality to the hidden size: one linear map each, and one that fuses them."""

    def __init__(self, sizes: Sequence[int], hidden: int) -> None:
        super().__init__()
        if not sizes:
            raise UsageError("a modality without feature streams", fix="name an encoder for each modality")
        self.each = nn.ModuleList(nn.Linear(size, hidden) for size in sizes)
        self.fuse = nn.Linear(hidden * len(sizes), hidden) if len(sizes) > 1 else nn.Identity()

    def forward(
        self, streams: Sequence[Float[Tensor, "video time _"]], present: Bool[Tensor, "video time"]
    ) -> Float[Tensor, "video time hidden"]:
        absent = ~present[..., None]
        projected = [linear(stream.masked_fill(absent, 0)) for linear, stream in zip(self.each, streams, strict=True)]
        fused: Tensor = self.fuse(torch.cat(projected, dim=-1))
        return fused


class TemporalAttention(nn.Module):
    """Multi-head attention over the segments that exist; zero for a video that has none of them.

    Softmax over no segment at all is NaN, in the gradients even where the result is thrown away, so such a video
    attends to its (zeroed) padding first and the result is removed after.
    """

    def __init__(self, hidden: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(hidden, heads, dropout=dropout, batch_first=True)

    def forward(
        self,
        query: Float[Tensor, "video time hidden"],
        key: Float[Tensor, "video time hidden"],
        key_present: Bool[Tensor, "video time"],
    ) -> Float[Tensor, "video time hidden"]:
        anything = key_present.any(dim=1, keepdim=True)
        padding = anything & ~key_present
        attended = self.attention(query, key, key, key_padding_mask=padding, need_weights=False)[0]
        masked: Tensor = attended.masked_fill(~anything[..., None], 0)
        return masked


class HybridAttention(nn.Module):
    """One HAN layer: each modality attends to itself and to the other, with the same weights for both.

    Post-norm. With `update="parallel"` both modalities read the layer's input (HAN); with `"sequential"` the visual
    one reads the audio one as just updated (VALOR, Lai et al., NeurIPS 2023).
    """

    def __init__(self, hidden: int, heads: int, feedforward: int, *, dropout: float, update: str = "parallel") -> None:
        super().__init__()
        self.own = TemporalAttention(hidden, heads, dropout)
        self.cross = TemporalAttention(hidden, heads, dropout)
        self.expand, self.contract = nn.Linear(hidden, feedforward), nn.Linear(feedforward, hidden)
        self.norm_attention, self.norm_feedforward = nn.LayerNorm(hidden), nn.LayerNorm(hidden)
        self.dropout = nn.Dropout(dropout)
        self.sequential = update == "sequential"

    def forward(
        self, hidden: Float[Tensor, "video time modality hidden"], mask: Bool[Tensor, "video time modality"]
    ) -> Float[Tensor, "video time modality hidden"]:
        audio, visual = hidden.unbind(dim=2)
        heard, seen = mask.unbind(dim=2)
        new_audio = self.attend(audio, visual, heard, seen)
        new_visual = self.attend(visual, new_audio if self.sequential else audio, seen, heard)
        return torch.stack((new_audio, new_visual), dim=2)

    def attend(
        self,
        query: Float[Tensor, "video time hidden"],
        other: Float[Tensor, "video time hidden"],
        query_present: Bool[Tensor, "video time"],
        other_present: Bool[Tensor, "video time"],
    ) -> Float[Tensor, "video time hidden"]:
        """Update one modality from itself and the other."""
        cross = self.dropout(self.cross(query, other, other_present))
        own = self.dropout(self.own(query, query, query_present))
        query = self.norm_attention(query + cross + own)
        step = self.contract(self.dropout(self.expand(query).relu()))
        updated: Tensor = self.norm_feedforward(query + self.dropout(step))
        return updated

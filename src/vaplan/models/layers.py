"""The building blocks of parser networks: one projection per modality, and hybrid attention
across them.

Source: Tian, Li, Xu, ECCV 2020 (arXiv 2007.10558), section 4.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from vaplan.errors import UsageError

UPDATES, NORMS = ("parallel", "sequential"), ("post", "pre")


class Projection(nn.Module):
    """Bring the feature streams of one modality to the hidden size: one linear map each, and one
    that fuses them.

    With `normalise` each vector is brought to mean 0 and variance 1 first, so that streams of any
    scale count alike: the numbers of a unit vector are far smaller than those of a network's
    rectified layer.
    """

    def __init__(
        self, sizes: Sequence[int], hidden: int, *, normalise: bool = False
    ) -> None:
        super().__init__()
        if not sizes:
            raise UsageError(
                "a modality without feature streams",
                fix="name an encoder for each modality",
            )
        self.norms = nn.ModuleList(
            nn.LayerNorm(size) if normalise else nn.Identity() for size in sizes
        )
        self.each = nn.ModuleList(nn.Linear(size, hidden) for size in sizes)
        self.fuse = (
            nn.Linear(hidden * len(sizes), hidden) if len(sizes) > 1 else nn.Identity()
        )

    def forward(
        self,
        streams: Sequence[Float[Tensor, "video time _"]],
        present: Bool[Tensor, "video time"],
    ) -> Float[Tensor, "video time hidden"]:
        absent = ~present[..., None]
        projected = [
            linear(norm(stream.masked_fill(absent, 0)))
            for norm, linear, stream in zip(self.norms, self.each, streams, strict=True)
        ]
        fused: Tensor = self.fuse(torch.cat(projected, dim=-1))
        return fused


class TemporalAttention(nn.Module):
    """Multi-head attention to the segments of a memory that exist; zero for a video that has none
    of them.

    Softmax over no segment at all is NaN, in the gradients even where the result is thrown away,
    so such a video attends to its (zeroed) padding first and the result is removed after.
    """

    def __init__(self, hidden: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(
            hidden, heads, dropout=dropout, batch_first=True
        )

    def forward(
        self,
        query: Float[Tensor, "video time hidden"],
        memory: Float[Tensor, "video memory hidden"],
        present: Bool[Tensor, "video memory"],
    ) -> Float[Tensor, "video time hidden"]:
        anything = present.any(dim=1, keepdim=True)
        padding = anything & ~present
        attended = self.attention(
            query, memory, memory, key_padding_mask=padding, need_weights=False
        )[0]
        masked: Tensor = attended.masked_fill(~anything[..., None], 0)
        return masked


class HybridAttention(nn.Module):
    """HAN layer: self and cross-modal attention with shared weights.

    With `update="parallel"` both modalities read the layer's input (HAN); with `"sequential"` the
    visual one reads the audio one as just updated (VALOR, Lai et al., NeurIPS 2023). With
    `norm="post"` every sum is normalised (HAN); with `"pre"` it is the query that is, and what it
    takes from the other modality is not (VALOR's other form).
    """

    def __init__(
        self,
        hidden: int,
        heads: int,
        feedforward: int,
        *,
        dropout: float,
        update: str = "parallel",
        norm: str = "post",
        cross_attention: bool = True,
    ) -> None:
        super().__init__()
        self.own = TemporalAttention(hidden, heads, dropout)
        self.cross = (
            TemporalAttention(hidden, heads, dropout) if cross_attention else None
        )
        self.expand, self.contract = (
            nn.Linear(hidden, feedforward),
            nn.Linear(feedforward, hidden),
        )
        self.norm_attention, self.norm_feedforward = (
            nn.LayerNorm(hidden),
            nn.LayerNorm(hidden),
        )
        self.dropout = nn.Dropout(dropout)
        self.sequential, self.normalise_first = update == "sequential", norm == "pre"

    def forward(
        self,
        hidden: Float[Tensor, "video time modality hidden"],
        mask: Bool[Tensor, "video time modality"],
        *,
        cross_attention: bool = True,
    ) -> Float[Tensor, "video time modality hidden"]:
        """Update both modalities; without cross attention from themselves only."""
        audio, visual = hidden.unbind(dim=2)
        heard, seen = mask.unbind(dim=2)
        crossing = self.cross if cross_attention else None
        new_audio = self.attend(audio, visual, (heard, seen), crossing)
        new_visual = self.attend(
            visual, new_audio if self.sequential else audio, (seen, heard), crossing
        )
        return torch.stack((new_audio, new_visual), dim=2)

    def attend(
        self,
        query: Float[Tensor, "video time hidden"],
        other: Float[Tensor, "video time hidden"],
        present: tuple[Bool[Tensor, "video time"], Bool[Tensor, "video time"]],
        crossing: TemporalAttention | None,
    ) -> Float[Tensor, "video time hidden"]:
        """Update one modality from itself and the other one."""
        asked = self.norm_attention(query) if self.normalise_first else query
        cross = (
            None
            if crossing is None
            else self.dropout(crossing(asked, other, present[1]))
        )
        own = self.dropout(self.own(asked, asked, present[0]))
        query = (query if cross is None else query + cross) + own
        if self.normalise_first:
            return query + self.feed_forward(self.norm_feedforward(query))
        query = self.norm_attention(query)
        updated: Tensor = self.norm_feedforward(query + self.feed_forward(query))
        return updated

    def feed_forward(
        self, query: Float[Tensor, "video time hidden"]
    ) -> Float[Tensor, "video time hidden"]:
        """Two linear maps, segment by segment."""
        step: Tensor = self.dropout(
            self.contract(self.dropout(self.expand(query).relu()))
        )
        return step

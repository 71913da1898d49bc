"""How segments read one another, within a modality and across.

Source: Xia, Zhao, "Cross-Modal Background Suppression for Audio-Visual Event Localization", CVPR
2022, section 3.
"""

import copy

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from vaplan.models.layers import TemporalAttention

Segments = Float[Tensor, "video time hidden"]
Present = Bool[Tensor, "video time"]


class ReadingLayer(nn.Module):
    """Segments read a memory and are normalised after each step: a Transformer layer."""

    def __init__(
        self, hidden: int, heads: int, feedforward: int, dropout: float
    ) -> None:
        super().__init__()
        self.attend = TemporalAttention(hidden, heads, dropout)
        self.expand, self.contract = (
            nn.Linear(hidden, feedforward),
            nn.Linear(feedforward, hidden),
        )
        self.norm_attention, self.norm_feedforward = (
            nn.LayerNorm(hidden),
            nn.LayerNorm(hidden),
        )
        self.dropout = nn.Dropout(dropout)

    def forward(
        self,
        query: Segments,
        memory: Float[Tensor, "video memory hidden"],
        present: Bool[Tensor, "video memory"],
    ) -> Segments:
        query = self.norm_attention(
            query + self.dropout(self.attend(query, memory, present))
        )
        step = self.contract(self.dropout(self.expand(query).relu()))
        updated: Tensor = self.norm_feedforward(query + self.dropout(step))
        return updated


class Encoder(nn.Module):
    """Segments of one modality read one another; the layers begin as copies of one."""

    def __init__(self, size: int, layer: ReadingLayer, layers: int) -> None:
        super().__init__()
        self.project = nn.Linear(size, layer.contract.out_features)
        self.layers = nn.ModuleList(
            [layer, *(copy.deepcopy(layer) for _ in range(layers - 1))]
        )

    def forward(
        self, stream: Float[Tensor, "video time feature"], present: Present
    ) -> Segments:
        hidden: Tensor = self.project(stream)
        for layer in self.layers:
            hidden = layer(hidden, hidden, present)
        return hidden


class Decoder(nn.Module):
    """Segments of one modality read the encoded other modality, and themselves."""

    def __init__(self, size: int, layer: ReadingLayer) -> None:
        super().__init__()
        self.project = nn.Linear(size, layer.contract.out_features)
        self.layer = layer

    def forward(
        self,
        stream: Float[Tensor, "video time feature"],
        other: Segments,
        present: Present,
    ) -> Segments:
        query = self.project(stream)
        read: Tensor = self.layer(
            query,
            torch.cat((other, query), dim=1),
            torch.cat((present, present), dim=1),
        )
        return read


class Meeting(nn.Module):
    """What both modalities share, segment by segment, reads all that either says; `other` comes
    first in memory."""

    def __init__(
        self, hidden: int, heads: int, *, attention_dropout: float, dropout: float
    ) -> None:
        super().__init__()
        self.attend = TemporalAttention(hidden, heads, attention_dropout)
        self.norm, self.dropout = nn.LayerNorm(hidden), nn.Dropout(dropout)

    def forward(self, stream: Segments, other: Segments, present: Present) -> Segments:
        shared, memory = stream * other, torch.cat((other, stream), dim=1)
        read = self.attend(shared, memory, torch.cat((present, present), dim=1))
        met: Tensor = self.norm(shared + self.dropout(read))
        return met


def top_mean(
    score: Float[Tensor, "video time label"], present: Present, *, share: float
) -> Float[Tensor, "video label"]:
    """Per label the mean of the highest scores of a share of the existing segments, at least one;
    0 without any."""
    count = (share * present.sum(dim=1) + 0.5).floor().clamp(min=1)[:, None]
    lowest = torch.finfo(score.dtype).min
    ranked = (
        score.masked_fill(~present[..., None], lowest)
        .sort(dim=1, descending=True)
        .values
    )
    counted = torch.arange(score.shape[1], device=score.device) < torch.minimum(
        count, present.sum(1, keepdim=True)
    )
    return ranked.masked_fill(~counted[..., None], 0).sum(dim=1) / count


def highest(
    score: Float[Tensor, "video time label"], present: Present
) -> Float[Tensor, "video label"]:
    """Per label the highest score of the existing segments; 0 without any."""
    lowest = torch.finfo(score.dtype).min
    top = score.masked_fill(~present[..., None], lowest).amax(dim=1)
    return top.masked_fill(~present.any(dim=1, keepdim=True), 0)

"""Attention over segments, within a modality and across modalities.

Source: Xia, Zhao, "Cross-Modal Background Suppression for Audio-Visual Event
Localization", CVPR 2022, section 3.
"""

import copy

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from vaplan.models.layers import TemporalAttention

Segments = Float[Tensor, "video time hidden"]
Present = Bool[Tensor, "video time"]


class TransformerLayer(nn.Module):
    """Transformer layer over a memory, normalised after each step.

    Args:
        hidden: Size of a segment's vector.
        heads: Number of attention heads.
        feedforward: Size of the feed-forward layer.
        dropout: Dropout rate.
    """

    def __init__(
        self, hidden: int, heads: int, feedforward: int, dropout: float
    ) -> None:
        super().__init__()
        self.attend = TemporalAttention(hidden, heads, dropout)
        self.expand = nn.Linear(hidden, feedforward)
        self.contract = nn.Linear(feedforward, hidden)
        self.norm_attention = nn.LayerNorm(hidden)
        self.norm_feedforward = nn.LayerNorm(hidden)
        self.dropout = nn.Dropout(dropout)

    def forward(
        self,
        query: Segments,
        memory: Float[Tensor, "video memory hidden"],
        present: Bool[Tensor, "video memory"],
    ) -> Segments:
        """Update segments from a memory.

        Args:
            query: Segments that attend.
            memory: Segments to attend to.
            present: Segments of the memory that exist.
        """
        attention = self.dropout(self.attend(query, memory, present))
        query = self.norm_attention(query + attention)
        wide = self.dropout(self.expand(query).relu())
        change = self.dropout(self.contract(wide))
        output: Tensor = self.norm_feedforward(query + change)
        return output


class Encoder(nn.Module):
    """Self-attention over the segments of one modality; the layers start as copies.

    Args:
        size: Feature size of the modality.
        layer: First layer.
        layers: Number of layers.
    """

    def __init__(self, size: int, layer: TransformerLayer, layers: int) -> None:
        super().__init__()
        copies = [copy.deepcopy(layer) for _ in range(layers - 1)]
        self.project = nn.Linear(size, layer.contract.out_features)
        self.layers = nn.ModuleList([layer, *copies])

    def forward(
        self, stream: Float[Tensor, "video time feature"], present: Present
    ) -> Segments:
        """Encode the segments that are present.

        Args:
            stream: Features of the modality.
            present: Segments that exist.
        """
        hidden: Tensor = self.project(stream)
        for layer in self.layers:
            hidden = layer(hidden, hidden, present)
        return hidden


class Decoder(nn.Module):
    """Cross-modal attention and self-attention of one modality, in one layer.

    Args:
        size: Feature size of the modality.
        layer: Attention layer.
    """

    def __init__(self, size: int, layer: TransformerLayer) -> None:
        super().__init__()
        self.project = nn.Linear(size, layer.contract.out_features)
        self.layer = layer

    def forward(
        self,
        stream: Float[Tensor, "video time feature"],
        other: Segments,
        present: Present,
    ) -> Segments:
        """Decode the segments that are present.

        Args:
            stream: Features of the modality.
            other: Encoded segments of the other modality.
            present: Segments that exist.
        """
        query = self.project(stream)
        memory = torch.cat((other, query), dim=1)
        memory_present = torch.cat((present, present), dim=1)
        output: Tensor = self.layer(query, memory, memory_present)
        return output


class CrossModalFusion(nn.Module):
    """Attention of the product of both modalities to the segments of both.

    Args:
        hidden: Size of a segment's vector.
        heads: Number of attention heads.
        attention_dropout: Dropout rate of the attention weights.
        dropout: Dropout rate of the result.
    """

    def __init__(
        self, hidden: int, heads: int, *, attention_dropout: float, dropout: float
    ) -> None:
        super().__init__()
        self.attend = TemporalAttention(hidden, heads, attention_dropout)
        self.norm = nn.LayerNorm(hidden)
        self.dropout = nn.Dropout(dropout)

    def forward(self, stream: Segments, other: Segments, present: Present) -> Segments:
        """Fuse a modality with the other one, which comes first in the memory.

        Args:
            stream: Segments of the modality.
            other: Segments of the other modality.
            present: Segments that exist.
        """
        product = stream * other
        memory = torch.cat((other, stream), dim=1)
        memory_present = torch.cat((present, present), dim=1)
        attention = self.attend(product, memory, memory_present)
        output: Tensor = self.norm(product + self.dropout(attention))
        return output


def top_mean(
    score: Float[Tensor, "video time label"], present: Present, *, share: float
) -> Float[Tensor, "video label"]:
    """Average, per label, the highest scores of a share of the existing segments.

    Args:
        score: Score of each label in each segment.
        present: Segments that exist.
        share: Share of the segments, in (0, 1]; at least one segment counts.

    Returns:
        One score a label; 0 for a video without segments.
    """
    time = score.shape[1]
    segments = present.sum(dim=1, keepdim=True)
    count = (share * segments + 0.5).floor().clamp(min=1)
    descending, _ = _existing_score(score, present).sort(dim=1, descending=True)
    rank = torch.arange(time, device=score.device)
    is_top = rank < torch.minimum(count, segments)
    top_score = descending.masked_fill(~is_top[..., None], 0)
    return top_score.sum(dim=1) / count


def highest(
    score: Float[Tensor, "video time label"], present: Present
) -> Float[Tensor, "video label"]:
    """Return, per label, the highest score of the existing segments.

    Args:
        score: Score of each label in each segment.
        present: Segments that exist.

    Returns:
        One score a label; 0 for a video without segments.
    """
    has_segments = present.any(dim=1, keepdim=True)
    maximum = _existing_score(score, present).amax(dim=1)
    return maximum.masked_fill(~has_segments, 0)


def _existing_score(
    score: Float[Tensor, "video time label"], present: Present
) -> Float[Tensor, "video time label"]:
    """Replace the scores of absent segments by the lowest number."""
    lowest = torch.finfo(score.dtype).min
    absent = ~present[..., None]
    return score.masked_fill(absent, lowest)

"""Layers of parser networks: projection of features, and hybrid attention.

Source: Tian, Li, Xu, ECCV 2020, arXiv 2007.10558, section 4.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from vaplan.arrays import FeatureSizes, Inputs
from vaplan.errors import RecipeError, UsageError

UPDATES = ("parallel", "sequential")
NORMS = ("post", "pre")
MAX_SIZE = 2**20  # of a layer; a typing error must not fill the memory
MAX_LAYERS = 1000


def check_size(name: str, size: int) -> None:
    """Raise RecipeError for a setting that cannot be a size or a number of layers.

    Args:
        name: Name of the setting.
        size: Its value.
    """
    if size < 1:
        raise RecipeError(f"{name} must be at least 1, not {size}")
    most = MAX_LAYERS if name == "layers" else MAX_SIZE
    if size > most:
        raise RecipeError(f"{name} must be at most {most:,}, not {size}")


def existing_streams(
    inputs: Inputs,
) -> tuple[Float[Tensor, "video time audio"], Float[Tensor, "video time visual"]]:
    """Return the one stream of each modality, zero where a modality is absent.

    Segments that lack one modality are zero in both.
    """
    (audio,), (visual,) = inputs.streams
    present = inputs.mask.all(dim=-1)
    absent = ~present[..., None]
    existing_audio = audio.masked_fill(absent, 0)
    existing_visual = visual.masked_fill(absent, 0)
    return existing_audio, existing_visual


class Projection(nn.Module):
    """Project the feature streams of one modality to the hidden size.

    Each stream has a linear map, and another one fuses them.

    Args:
        sizes: Feature size of each stream.
        hidden: Size of the result.
        normalise: Bring each vector to mean 0 and variance 1 first, so that streams of
            any scale count alike: the values of a unit vector are far smaller than those
            of a rectified layer.
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
        self.fuse: nn.Module = nn.Identity()
        if len(sizes) > 1:
            self.fuse = nn.Linear(hidden * len(sizes), hidden)

    def forward(
        self,
        streams: Sequence[Float[Tensor, "video time _"]],
        present: Bool[Tensor, "video time"],
    ) -> Float[Tensor, "video time hidden"]:
        """Project the streams; features of absent segments are read as zero.

        Args:
            streams: Feature streams of the modality.
            present: Segments in which the modality exists.
        """
        absent = ~present[..., None]
        projections = []
        for norm, linear, stream in zip(self.norms, self.each, streams, strict=True):
            features = norm(stream.masked_fill(absent, 0))
            projections.append(linear(features))
        fusion: Tensor = self.fuse(torch.cat(projections, dim=-1))
        return fusion


class TemporalAttention(nn.Module):
    """Multi-head attention to the existing segments of a memory.

    The result is zero for a video without such segments. A softmax over no segment is
    NaN, and so are its gradients even if the result is discarded. Such a video therefore
    attends to its padding, which is zero, and the result is removed afterwards.
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
        """Attend to the memory.

        Args:
            query: Segments that attend.
            memory: Segments to attend to.
            present: Segments of the memory that exist.
        """
        has_segments = present.any(dim=1, keepdim=True)
        padding = has_segments & ~present
        # As `key_padding_mask`, torch would import sympy to check it: 0.5 seconds.
        mask = torch.zeros_like(padding, dtype=query.dtype)
        mask = mask.masked_fill(padding, -torch.inf)
        mask = mask.repeat_interleave(self.attention.num_heads, dim=0)
        result, _ = self.attention(
            query,
            memory,
            memory,
            attn_mask=mask[:, None].expand(-1, query.shape[1], -1),
            need_weights=False,
        )
        existing: Tensor = result.masked_fill(~has_segments[..., None], 0)
        return existing


class HybridAttention(nn.Module):
    """HAN layer: self and cross-modal attention with shared weights.

    Args:
        hidden: Size of a segment's vector.
        heads: Number of attention heads.
        feedforward: Size of the feed-forward layer.
        dropout: Dropout rate.
        update: "parallel": both modalities read the input of the layer (HAN).
            "sequential": the visual modality reads the updated audio modality (VALOR,
            Lai et al., NeurIPS 2023).
        norm: "post": every sum is normalised (HAN). "pre": the query is normalised, but
            not the memory of the other modality (VALOR).
        cross_attention: Whether the layer has cross-modal attention.
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
        self.cross: TemporalAttention | None = None
        if cross_attention:
            self.cross = TemporalAttention(hidden, heads, dropout)

        self.expand = nn.Linear(hidden, feedforward)
        self.contract = nn.Linear(feedforward, hidden)
        self.norm_attention = nn.LayerNorm(hidden)
        self.norm_feedforward = nn.LayerNorm(hidden)
        self.dropout = nn.Dropout(dropout)

        self.sequential = update == "sequential"
        self.normalise_first = norm == "pre"

    def forward(
        self,
        hidden: Float[Tensor, "video time modality hidden"],
        mask: Bool[Tensor, "video time modality"],
        *,
        cross_attention: bool = True,
    ) -> Float[Tensor, "video time modality hidden"]:
        """Update both modalities.

        Args:
            hidden: Segment vectors.
            mask: Segments that exist.
            cross_attention: Whether a modality reads the other one.
        """
        audio, visual = hidden.unbind(dim=2)
        audio_present, visual_present = mask.unbind(dim=2)
        cross = self.cross if cross_attention else None
        new_audio = self.attend(
            audio, visual, (audio_present, visual_present), cross=cross
        )
        new_visual = self.attend(
            visual,
            new_audio if self.sequential else audio,
            (visual_present, audio_present),
            cross=cross,
        )
        return torch.stack((new_audio, new_visual), dim=2)

    def attend(
        self,
        stream: Float[Tensor, "video time hidden"],
        other: Float[Tensor, "video time hidden"],
        present: tuple[Bool[Tensor, "video time"], Bool[Tensor, "video time"]],
        *,
        cross: TemporalAttention | None,
    ) -> Float[Tensor, "video time hidden"]:
        """Update one modality by self-attention and cross-modal attention.

        Args:
            stream: Segments of the modality.
            other: Segments of the other modality.
            present: Existing segments of the modality and of the other one.
            cross: Cross-modal attention; None to read only the modality itself.
        """
        query = self.norm_attention(stream) if self.normalise_first else stream
        stream_present, other_present = present
        cross_change: Tensor | None = None
        if cross is not None:
            cross_change = self.dropout(cross(query, other, other_present))
        own_change = self.dropout(self.own(query, query, stream_present))
        if cross_change is not None:
            stream = stream + cross_change
        stream = stream + own_change

        if self.normalise_first:
            return stream + self.feed_forward(self.norm_feedforward(stream))
        stream = self.norm_attention(stream)
        output: Tensor = self.norm_feedforward(stream + self.feed_forward(stream))
        return output

    def feed_forward(
        self, stream: Float[Tensor, "video time hidden"]
    ) -> Float[Tensor, "video time hidden"]:
        """Apply two linear maps segment by segment."""
        wide = self.dropout(self.expand(stream).relu())
        output: Tensor = self.dropout(self.contract(wide))
        return output


def single_stream_sizes(feature_sizes: FeatureSizes, positions: int) -> tuple[int, int]:
    """Return the feature sizes of audio and of one region of a visual map.

    Args:
        feature_sizes: Feature size of each stream, per modality.
        positions: Number of regions of a map; 1 for one vector a segment.

    Raises:
        UsageError: A modality has several streams, or the visual features are no such map.
    """
    if any(len(sizes) != 1 for sizes in feature_sizes):
        counts = " and ".join(str(len(sizes)) for sizes in feature_sizes)
        raise UsageError(
            f"this network reads one stream of each modality, not {counts}",
            fix="name one encoder for each modality",
        )
    (audio,), (visual,) = feature_sizes
    if visual % positions:
        raise UsageError(
            f"{visual} features are no map of {positions} positions",
            fix="set positions to 1, or to 49",
        )
    return audio, visual // positions

"""MIL pooling: from segments (instances) to a video (the bag), per class.

Source: Tian, Li, Xu, ECCV 2020 (arXiv 2007.10558), attentive MMIL pooling, equations 6 to 8.
"""

from collections.abc import Callable

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

Pooling = Callable[[Tensor, Tensor], Tensor]


def weighted_sum(
    probability: Float[Tensor, "video time modality class"],
    weight: Float[Tensor, "video time modality class"],
) -> Float[Tensor, "video class"]:
    """Add up attended probabilities, as published.

    The weights sum to 1 over time in each modality and over modalities in each segment, which
    does not make their total 1: it lies between 0 and the number of modalities, so the result can
    exceed 1. Losses clamp it.
    """
    return (weight * probability).sum(dim=(1, 2))


def weighted_mean(
    probability: Float[Tensor, "video time modality class"],
    weight: Float[Tensor, "video time modality class"],
) -> Float[Tensor, "video class"]:
    """The same, divided by the total weight: a probability."""
    tiny = torch.finfo(
        weight.dtype
    ).tiny  # a video with nothing in it has no weight, and probability 0
    return weighted_sum(probability, weight) / weight.sum(dim=(1, 2)).clamp(min=tiny)


POOLINGS: dict[str, Pooling] = {"mmil": weighted_sum, "mmil_fixed": weighted_mean}


def masked_softmax(
    logit: Float[Tensor, "video time modality class"],
    mask: Bool[Tensor, "video time modality"],
    *,
    dim: int,
) -> Float[Tensor, "video time modality class"]:
    """Softmax over the cells that exist; zeros where there are none (never NaN, nor in the
    gradients)."""
    absent = ~mask[..., None]
    lowest = torch.finfo(logit.dtype).min
    return logit.masked_fill(absent, lowest).softmax(dim).masked_fill(absent, 0)


class AttentiveMMIL(nn.Module):
    """Attend, per class, to segments within a modality and to modalities within a segment."""

    def __init__(
        self, hidden: int, classes: int, *, pool: Pooling = weighted_sum
    ) -> None:
        super().__init__()
        self.time_attention = nn.Linear(hidden, classes)
        self.modality_attention = nn.Linear(hidden, classes)
        self.pool = pool

    def forward(
        self,
        hidden: Float[Tensor, "video time modality hidden"],
        probability: Float[Tensor, "video time modality class"],
        mask: Bool[Tensor, "video time modality"],
    ) -> tuple[Float[Tensor, "video modality class"], Float[Tensor, "video class"]]:
        """Return the probabilities of each modality of the video, and of the video."""
        over_time = masked_softmax(self.time_attention(hidden), mask, dim=1)
        over_modality = masked_softmax(self.modality_attention(hidden), mask, dim=2)
        modality = (over_time * probability).sum(dim=1)
        return modality, self.pool(probability, over_time * over_modality)

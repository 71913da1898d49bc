"""MIL pooling: from segments (instances) to a video (the bag), per class.

Source: Tian, Li, Xu, ECCV 2020, arXiv 2007.10558, attentive MMIL pooling, equations 6
to 8.
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
    """Add up the weighted probabilities, as published.

    The weights sum to 1 over time in each modality, times 1 over modalities in each
    segment. Their total is therefore not 1 but lies between 0 and the number of
    modalities, and the result can exceed 1. Losses clamp it.

    Args:
        probability: Probability of each class in each segment and modality.
        weight: Product of both attentions.
    """
    return (weight * probability).sum(dim=(1, 2))


def weighted_mean(
    probability: Float[Tensor, "video time modality class"],
    weight: Float[Tensor, "video time modality class"],
) -> Float[Tensor, "video class"]:
    """Divide `weighted_sum` by the total weight: the result is a probability.

    Args:
        probability: Probability of each class in each segment and modality.
        weight: Product of both attentions.
    """
    # a video without segments has no weight, and probability 0
    smallest = torch.finfo(weight.dtype).tiny
    total_weight = weight.sum(dim=(1, 2)).clamp(min=smallest)
    return weighted_sum(probability, weight) / total_weight


POOLINGS: dict[str, Pooling] = {"mmil": weighted_sum, "mmil_fixed": weighted_mean}


def masked_softmax(
    logit: Float[Tensor, "video time modality class"],
    mask: Bool[Tensor, "video time modality"],
    *,
    dim: int,
) -> Float[Tensor, "video time modality class"]:
    """Compute the softmax over the cells that exist; zeros where there are none.

    Neither the result nor a gradient is ever NaN.

    Args:
        logit: Logits.
        mask: Segments that exist.
        dim: Axis of the softmax.
    """
    absent = ~mask[..., None]
    lowest = torch.finfo(logit.dtype).min
    weight = logit.masked_fill(absent, lowest).softmax(dim)
    return weight.masked_fill(absent, 0)


class AttentiveMMIL(nn.Module):
    """Attend, per class, to segments within a modality and to modalities within a segment.

    Args:
        hidden: Size of a segment's vector.
        classes: Number of classes.
        pool: Pooling of the weighted probabilities, one of `POOLINGS`.
    """

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
        """Compute the probabilities of each modality of the video, and of the video.

        Args:
            hidden: Segment vectors.
            probability: Probability of each class in each segment and modality.
            mask: Segments that exist.
        """
        return self.average(probability, *self.attend(hidden), mask)

    def attend(
        self, hidden: Float[Tensor, "video time modality hidden"]
    ) -> tuple[
        Float[Tensor, "video time modality class"],
        Float[Tensor, "video time modality class"],
    ]:
        """Compute the logits of both attentions, over time and over modalities."""
        return self.time_attention(hidden), self.modality_attention(hidden)

    def average(
        self,
        probability: Float[Tensor, "video time modality class"],
        time_logit: Float[Tensor, "video time modality class"],
        modality_logit: Float[Tensor, "video time modality class"],
        mask: Bool[Tensor, "video time modality"],
    ) -> tuple[Float[Tensor, "video modality class"], Float[Tensor, "video class"]]:
        """Average the probabilities with the weights of both attentions.

        Args:
            probability: Probability of each class in each segment and modality.
            time_logit: Logits of the attention over time.
            modality_logit: Logits of the attention over modalities.
            mask: Segments that exist.
        """
        time_weight = masked_softmax(time_logit, mask, dim=1)
        modality_weight = masked_softmax(modality_logit, mask, dim=2)
        modality = (time_weight * probability).sum(dim=1)
        video = self.pool(probability, time_weight * modality_weight)
        return modality, video

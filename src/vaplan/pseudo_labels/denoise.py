"""PLD: pseudo label denoising.

Labels whose forward loss is far above the loss of the easiest segments of the same event
are flipped.

Source: Zhou et al. 2024, arXiv 2406.00919, pseudo label denoising.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from vaplan.arrays import MODALITIES, Prediction
from vaplan.errors import RecipeError, unknown

LOSS_CLIP = 1e-7  # distance of probabilities from 0 and 1


@dataclass(frozen=True)
class Denoising:
    """Settings of `flip_suspicious`.

    Attributes:
        keep: Number of an event's lowest-loss segments in the baseline (K in the paper);
            in short videos at most half of the segments.
        ratio: Ratio of a loss to the baseline above which a label is suspicious.
        floor: Flip only labels whose opposite the parser finds more probable. The
            published rule has no floor; it also flips a loss of 1e-6 where the baseline is
            1e-8.
        given_tags: Take the loss of the probability given that the video contains the
            class, as its tag says; see `condition_on_tags`. The published rule takes the
            parser's own probability.
        keep_presence: Never change whether a class occurs in a modality of a video: flips
            may only move onsets and offsets. The published rule flips every suspicious
            label.
        modalities: Modalities whose labels are denoised.
    """

    keep: int = 5
    ratio: float = 10.0
    floor: bool = True
    given_tags: bool = True
    keep_presence: bool = True
    modalities: tuple[str, ...] = ("visual",)

    def __post_init__(self) -> None:
        if self.keep < 1:
            raise RecipeError(f"keep must be at least 1, not {self.keep}")
        if not self.ratio > 1:
            raise RecipeError(f"ratio must be above 1, not {self.ratio}")
        for name in self.modalities:
            if name not in MODALITIES:
                raise RecipeError(unknown("modality", name, MODALITIES))


def condition_on_tags(
    prediction: Prediction,
) -> Float[Tensor, "video time modality class"]:
    """Compute the probability of a class in each segment, given that the video contains it.

    A segment can contain a class only if its video does, so P(segment | video) =
    P(segment) / P(video). The tags of the videos are known: a parser that doubts a tag
    says little about the time of the class.

    Args:
        prediction: Probabilities of a parser. HAN's attentive pooling can exceed 1.
    """
    smallest = torch.finfo(torch.float32).tiny
    video = prediction.video.clamp(smallest, 1)
    ratio = prediction.segment / video[:, None, None]
    return ratio.clamp(max=1)


def forward_loss(
    probability: Float[Tensor, "video time modality class"],
    label: Bool[Tensor, "video time modality class"],
) -> Float[Tensor, "video time modality class"]:
    """Compute the unreduced cross entropy of a parser against labels, in nats.

    Args:
        probability: Segment probabilities of a trained parser.
        label: Labels of the same segments.
    """
    present = probability.float()
    absent = 1 - present
    of_label = torch.where(label, present, absent)
    clipped = of_label.clamp(LOSS_CLIP, 1 - LOSS_CLIP)
    return -clipped.log()


def flip_suspicious(
    label: Bool[Tensor, "video time modality class"],
    loss: Float[Tensor, "video time modality class"],
    weak_label: Bool[Tensor, "video class"],
    mask: Bool[Tensor, "video time modality"],
    settings: Denoising | None = None,
) -> Bool[Tensor, "video time modality class"]:
    """Flip the labels whose loss is far above the same event's easiest segments.

    Only tagged classes in segments that exist are flipped.

    Args:
        label: Pseudo labels.
        loss: `forward_loss` of the parser in evaluation mode on these videos.
        weak_label: Tags of the videos.
        mask: Segments that exist.
        settings: Settings of the rule.

    Source: Zhou et al. 2024, arXiv 2406.00919, pseudo label denoising.
    """
    settings = settings or Denoising()
    easiest_loss = baseline(loss, mask, keep=settings.keep)
    is_suspicious = loss > settings.ratio * easiest_loss
    if settings.floor:
        is_suspicious &= loss > math.log(2)

    chosen = [name in settings.modalities for name in MODALITIES]
    is_denoised = torch.tensor(chosen, device=label.device)
    exists = mask[..., None]
    is_tagged = weak_label[:, None, None]
    may_flip = is_tagged & exists & is_denoised[:, None]
    flipped = label ^ (is_suspicious & may_flip)

    if not settings.keep_presence:
        return flipped
    is_present = (label & exists).any(dim=1, keepdim=True)
    stays_present = (flipped & exists).any(dim=1, keepdim=True)
    return torch.where(is_present & stays_present, flipped, label)


def baseline(
    loss: Float[Tensor, "video time modality class"],
    mask: Bool[Tensor, "video time modality"],
    *,
    keep: int,
) -> Float[Tensor, "video 1 modality class"]:
    """Average each event's lowest losses.

    Args:
        loss: Forward loss of every segment.
        mask: Segments that exist.
        keep: Number of losses, or half of the segments if the video is shorter.

    Returns:
        The mean; infinite where a modality has no segment, so that nothing is suspicious.
    """
    segments = mask.sum(dim=1, keepdim=True)
    count = (segments // 2).clamp(min=1, max=keep)
    exists = mask[..., None]
    existing_loss = loss.masked_fill(~exists, math.inf)
    ascending = existing_loss.sort(dim=1).values
    rank = torch.arange(loss.shape[1], device=loss.device)
    is_lowest = rank[:, None] < count
    lowest = ascending.masked_fill(~is_lowest[..., None], 0)
    total = lowest.sum(dim=1, keepdim=True)
    return total / count[..., None]

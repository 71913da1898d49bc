"""PLD: flip the pseudo labels that a trained parser finds far harder than the same event's easiest segments.

Source: Zhou et al. 2024, arXiv 2406.00919, pseudo label denoising.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from vaplan.arrays import MODALITIES, Prediction
from vaplan.errors import RecipeError, unknown


@dataclass(frozen=True)
class Denoising:
    """How `flip_suspicious` tells a suspicious label.

    Args:
        keep: How many of an event's lowest-loss segments make its baseline (fewer in a short video: at most half).
        ratio: How many times the baseline is suspicious.
        floor: Flip only where the parser puts the label's opposite above one half. Without it the rule is the
            published one, which also flips losses of 1e-6 where the baseline is 1e-8.
        given_tags: Judge by what the parser says of a segment given that the video holds the class, as its tag
            does; see `given_tags`. Without it the parser's own probability is taken, as published.
        keep_presence: Let what stands out along the timeline move onsets and offsets, never decide whether a class
            occurs in a modality at all: nothing is flipped where no label was, or where none would be left. Without
            it every suspicious label is flipped, as published.
        modalities: Whose labels are denoised.
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


def given_tags(prediction: Prediction) -> Float[Tensor, "video time modality class"]:
    """How likely a class is in each segment of a video that is known to hold it.

    A segment can hold a class only if its video does, so P(segment | video) = P(segment) / P(video). The tags of the
    videos whose labels are denoised are known: a parser that doubts a tag says little about when it occurs.
    """
    video = prediction.video.clamp(
        torch.finfo(torch.float32).tiny, 1
    )  # HAN's own pooling can exceed 1
    return (prediction.segment / video[:, None, None]).clamp(max=1)


def forward_loss(
    probability: Float[Tensor, "video time modality class"],
    label: Bool[Tensor, "video time modality class"],
) -> Float[Tensor, "video time modality class"]:
    """Unreduced cross entropy of a trained parser against hard labels, in nats."""
    of_label = torch.where(label, probability.float(), 1 - probability.float())
    return -of_label.clamp(1e-7, 1 - 1e-7).log()


def flip_suspicious(
    label: Bool[Tensor, "video time modality class"],
    loss: Float[Tensor, "video time modality class"],
    weak_label: Bool[Tensor, "video class"],
    mask: Bool[Tensor, "video time modality"],
    settings: Denoising | None = None,
) -> Bool[Tensor, "video time modality class"]:
    """Flip the labels whose loss stands far above the same event's easiest segments.

    Only classes of the weak label, and only segments that exist, are ever flipped.

    Args:
        loss: `forward_loss` of the parser, in evaluation mode, on these very videos.
    """
    chosen = settings or Denoising()
    suspicious = loss > chosen.ratio * baseline(loss, mask, keep=chosen.keep)
    if chosen.floor:
        suspicious &= loss > math.log(2)
    denoised = torch.tensor(
        [name in chosen.modalities for name in MODALITIES], device=label.device
    )
    flipped = label ^ (
        suspicious & weak_label[:, None, None] & (mask & denoised)[..., None]
    )
    if not chosen.keep_presence:
        return flipped
    before, after = (
        (labels & mask[..., None]).any(dim=1, keepdim=True)
        for labels in (label, flipped)
    )
    return torch.where(before & after, flipped, label)


def baseline(
    loss: Float[Tensor, "video time modality class"],
    mask: Bool[Tensor, "video time modality"],
    *,
    keep: int,
) -> Float[Tensor, "video 1 modality class"]:
    """Per event the mean of its `keep` lowest losses, or of half its segments where the video is short.

    Infinite where a modality has no segment: then nothing is suspicious.
    """
    kept = (mask.sum(dim=1, keepdim=True) // 2).clamp(min=1, max=keep)
    ranked = loss.masked_fill(~mask[..., None], math.inf).sort(dim=1).values
    rank = torch.arange(loss.shape[1], device=loss.device)[:, None]
    lowest = ranked.masked_fill(~(rank < kept)[..., None], 0)
    return lowest.sum(dim=1, keepdim=True) / kept[..., None]

"""JoMoLD: how much of each class's tags is noise in each modality, and which tags of a batch to doubt.

Source: Cheng et al., "Joint-Modal Label Denoising for Weakly-Supervised Audio-Visual Video Parsing", ECCV 2022,
arXiv 2204.11573, and the code published with it.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from vaplan.arrays import AUDIO, VISUAL
from vaplan.errors import RecipeError

OFFICIAL_VISUAL_FACTOR = 0.95


@dataclass(frozen=True)
class NoiseEstimate:
    """How `noise_ratios` tells a noisy tag.

    Args:
        below: For audio and visual: how many times the class's mean probability a tag must reach not to be noise.
        official: Take 0.95 of the visual probability, as the published code happens to. (Its other oddity, a mean of
            batch means that depends on the order of the videos, is not kept: the mean is over videos.)
    """

    below: tuple[float, ...] = (0.6, 1.8)
    official: bool = False

    def __post_init__(self) -> None:
        if len(self.below) != 2 or not all(value > 0 for value in self.below):
            raise RecipeError(f"below must be two numbers above 0, not {self.below}")


def noise_ratios(
    probability: Float[Tensor, "video modality class"],
    weak_label: Bool[Tensor, "video class"],
    present: Bool[Tensor, "video modality"],
    settings: NoiseEstimate | None = None,
) -> Float[Tensor, "modality class"]:
    """The share of each class's tags that an estimator hardly finds in a modality; 0 for a class without tags."""
    chosen = settings or NoiseEstimate()
    exists = present[..., None]
    mean = (probability * exists).double().sum(dim=0) / exists.sum(dim=0).clamp(min=1)
    said = (
        probability.double()
        * torch.tensor([1.0, OFFICIAL_VISUAL_FACTOR if chosen.official else 1.0])[
            :, None
        ]
    )
    tagged = weak_label[:, None] & exists
    noisy = tagged & (
        said < torch.tensor(chosen.below, dtype=torch.float64)[:, None] * mean
    )
    return noisy.sum(dim=0) / tagged.sum(dim=0).clamp(min=1).double()


def doubtful_tags(
    loss: Float[Tensor, "video modality class"],
    weak_label: Bool[Tensor, "video class"],
    present: Bool[Tensor, "video modality"],
    ratios: Float[Tensor, "modality class"],
) -> Bool[Tensor, "video modality class"]:
    """Of each class's tags in a batch, those that are hardest for a modality and at once easiest for the other.

    With n the class's noise ratio in the modality times its tags in the batch, cut to a whole number: the n highest
    losses of the modality and the n lowest of the other one. Equals count in the order of the videos.

    Args:
        loss: Unreduced cross entropy of each modality against the tags.
    """
    tagged = weak_label & present.all(dim=1)[:, None]
    allowed = (ratios.double() * tagged.sum(dim=0)).long()
    hardest = _rank((-loss).masked_fill(~tagged[:, None], torch.inf)) < allowed
    easiest = _rank(loss.masked_fill(~tagged[:, None], torch.inf))
    easy_for_the_other = easiest[:, [VISUAL, AUDIO]] < allowed
    return hardest & easy_for_the_other & tagged[:, None]


def _rank(value: Float[Tensor, "video modality class"]) -> Tensor:
    """The place of every video in rising order, per modality and class."""
    return value.argsort(dim=0, stable=True).argsort(dim=0, stable=True)

"""JoMoLD: noise ratios of tags per modality, and the noisy tags of a batch.

Source: Cheng et al., "Joint-Modal Label Denoising for Weakly-Supervised Audio-Visual Video
Parsing", ECCV 2022, arXiv 2204.11573, and the code published with it.
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
    """Settings of `noise_ratios`.

    Attributes:
        below: For audio and visual: a tag is noise if its probability is below this
            multiple of the class's mean probability.
        official: Multiply the visual probability by 0.95, as the published code does. (Its
            other deviation, a mean of batch means, is not reproduced: it depends on the
            order of the videos.)
    """

    below: tuple[float, ...] = (0.6, 1.8)
    official: bool = False

    def __post_init__(self) -> None:
        are_positive = all(value > 0 for value in self.below)
        if len(self.below) != 2 or not are_positive:
            raise RecipeError(f"below must be two numbers above 0, not {self.below}")


def noise_ratios(
    probability: Float[Tensor, "video modality class"],
    weak_label: Bool[Tensor, "video class"],
    present: Bool[Tensor, "video modality"],
    settings: NoiseEstimate | None = None,
) -> Float[Tensor, "modality class"]:
    """Estimate the share of each class's tags that are noise in a modality.

    Args:
        probability: Probability of each class in each modality, by an estimator.
        weak_label: Tags of the videos.
        present: Modalities that each video has.
        settings: Settings of the estimate.

    Returns:
        The noise ratios; 0 for a class without tags.
    """
    settings = settings or NoiseEstimate()
    exists = present[..., None]
    videos = exists.sum(dim=0).clamp(min=1)
    existing_probability = (probability * exists).double()
    mean = existing_probability.sum(dim=0) / videos
    visual_factor = OFFICIAL_VISUAL_FACTOR if settings.official else 1.0
    factor = torch.tensor([1.0, visual_factor])[:, None]
    scaled = probability.double() * factor
    below = torch.tensor(settings.below, dtype=torch.float64)[:, None]
    threshold = below * mean
    is_tagged = weak_label[:, None] & exists
    is_noisy = is_tagged & (scaled < threshold)
    noisy_count = is_noisy.sum(dim=0)
    tag_count = is_tagged.sum(dim=0).clamp(min=1)
    return noisy_count / tag_count.double()


def noisy_tags(
    loss: Float[Tensor, "video modality class"],
    weak_label: Bool[Tensor, "video class"],
    present: Bool[Tensor, "video modality"],
    ratios: Float[Tensor, "modality class"],
) -> Bool[Tensor, "video modality class"]:
    """Mark the tags of a batch that are hard for a modality and easy for the other one.

    Let n be the class's noise ratio in the modality times its number of tags in the batch,
    rounded down. Marked are tags among the n highest losses of the modality and the n
    lowest losses of the other modality. Equal losses count in the order of the videos.

    Args:
        loss: Unreduced cross entropy of each modality against the tags.
        weak_label: Tags of the videos.
        present: Modalities that each video has.
        ratios: Noise ratios; see `noise_ratios`.
    """
    is_tagged = weak_label & present.all(dim=1)[:, None]
    tag_count = is_tagged.sum(dim=0)
    count = (ratios.double() * tag_count).long()
    is_tagged = is_tagged[:, None]
    rank_from_highest = _rank((-loss).masked_fill(~is_tagged, torch.inf))
    rank_from_lowest = _rank(loss.masked_fill(~is_tagged, torch.inf))
    is_hard = rank_from_highest < count
    rank_in_other_modality = rank_from_lowest[:, [VISUAL, AUDIO]]
    is_easy_for_other_modality = rank_in_other_modality < count
    return is_hard & is_easy_for_other_modality & is_tagged


def _rank(value: Float[Tensor, "video modality class"]) -> Tensor:
    """Rank the videos in ascending order, per modality and class."""
    order = value.argsort(dim=0, stable=True)
    return order.argsort(dim=0, stable=True)

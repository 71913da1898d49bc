"""Losses: functions `(Prediction, Target) -> scalar`, summed with the weights a recipe names."""

from collections.abc import Callable, Mapping

import torch
from jaxtyping import Float
from torch import Tensor

from vaplan.arrays import Prediction, Target
from vaplan.errors import RecipeError, unknown
from vaplan.losses.mil import modality, modality_weak, segment, video
from vaplan.losses.richness import category_richness, segment_richness

Loss = Callable[[Prediction, Target], Tensor]

LOSSES: dict[str, Loss] = {
    "video": video,
    "modality": modality,
    "modality_weak": modality_weak,
    "segment": segment,
    "category_richness": category_richness,
    "segment_richness": segment_richness,
}


def total(
    prediction: Prediction, target: Target, weights: Mapping[str, float]
) -> tuple[Float[Tensor, ""], dict[str, Float[Tensor, ""]]]:
    """The weighted sum of the named losses, and each of them before weighting (detached, for the log)."""
    check(weights)
    parts = {name: LOSSES[name](prediction, target) for name in weights}
    summed = torch.stack([weight * parts[name] for name, weight in weights.items()]).sum()
    return summed, {name: part.detach() for name, part in parts.items()}


def check(weights: Mapping[str, float]) -> None:
    """Refuse an objective that names no loss, or one that does not exist."""
    if not weights:
        raise RecipeError("an objective without losses", fix=f"name some of {', '.join(LOSSES)}")
    for name in weights:
        if name not in LOSSES:
            raise RecipeError(unknown("loss", name, LOSSES))

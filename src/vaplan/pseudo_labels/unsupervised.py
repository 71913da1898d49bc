"""Thresholds without any dense label: from how confident the encoder is of classes that cannot be there."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from vaplan.arrays import MODALITIES
from vaplan.errors import RecipeError


def thresholds_without_labels(
    confidence: Float[Tensor, "video time modality class"],
    weak_label: Bool[Tensor, "video class"],
    mask: Bool[Tensor, "video time modality"],
    *,
    false_rate: float = 0.05,
) -> Float[Tensor, "modality class"]:
    """One threshold per modality, above which classes outside the tags fire at `false_rate` of all segments only.

    What is not tagged does not occur, so such a firing is a mistake of the encoder; a tagged class is held to the
    same standard.
    """
    chosen = []
    for m, name in enumerate(MODALITIES):
        untagged = confidence[:, :, m][mask[:, :, m, None] & ~weak_label[:, None]]
        if not len(untagged):
            raise RecipeError(
                f"no {name} segment without some class",
                fix=f"give --threshold {name}=…",
            )
        rank = max(1, round((1 - false_rate) * len(untagged)))
        chosen.append(untagged.kthvalue(rank).values)
    return torch.stack(chosen)[:, None].repeat(1, confidence.shape[-1])

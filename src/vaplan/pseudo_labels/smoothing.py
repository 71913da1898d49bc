"""Evidence smoothed along the timeline: what is heard or seen in a second is likely there in the next one too."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from vaplan.errors import RecipeError


def smooth(
    evidence: Float[Tensor, "video time modality class"],
    mask: Bool[Tensor, "video time modality"],
    *,
    width: float,
) -> Float[Tensor, "video time modality class"]:
    """The mean of each segment and those around it, weighted by a bell curve; segments that do not exist have no say.

    Args:
        width: The standard deviation of the curve, in segments; 0 leaves everything as it is.
    """
    if not 0 <= width < torch.inf:
        raise RecipeError(
            f"the smoothing is {width}",
            fix="give a number of segments, such as 0.5, or 0 for none",
        )
    if not width:
        return evidence
    place = torch.arange(evidence.shape[1], device=evidence.device)
    near = (-0.5 * ((place[:, None] - place) / width).square()).exp()
    exists = mask.to(evidence.dtype)
    told = torch.einsum("ts,vsm->vtm", near, exists)[..., None]
    around = torch.einsum(
        "ts,vsmc->vtmc", near, evidence.masked_fill(~mask[..., None], 0)
    )
    return torch.where(
        told > 0, around / told.clamp(min=torch.finfo(evidence.dtype).tiny), evidence
    )

"""Contrastive losses: what is heard in a segment lies nearer to what is seen in it than to the
video's other segments.

They read the segments as vectors of one size, which not every network tells. Only segments that
are both heard and seen take part; per video the mean over them, then the mean over the videos
that have any.
Source: MA (Wu, Yang, CVPR 2021) and JoMoLD (Cheng et al., ECCV 2022, arXiv 2204.11573), with the
code of both.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn.functional import normalize

from vaplan.arrays import AUDIO, VISUAL, Prediction, Target
from vaplan.errors import RecipeError
from vaplan.losses.mil import mean_of_present


def contrastive_ma(
    prediction: Prediction,
    _target: Target,
    *,
    temperature: float = 0.2,
    smoothing: float = 0.1,
) -> Float[Tensor, ""]:
    """MA's: audio after the modalities met against visual **before**, as a label-smoothed cross
    entropy.

    Args:
        smoothing: What share of the target lies on the other segments, evenly.
    """
    visual = _told(prediction.projected, "contrastive_ma")[:, :, VISUAL]
    audio = _told(prediction.attended, "contrastive_ma")[:, :, AUDIO]
    probability, paired = _match(
        audio, visual, prediction.mask.all(dim=-1), temperature
    )
    log = probability.clamp(min=torch.finfo(probability.dtype).tiny).log()
    return _mean_over_pairs(-(_wanted(paired, smoothing) * log).sum(dim=-1), paired)


def contrastive_jomold(
    prediction: Prediction,
    _target: Target,
    *,
    temperature: float = 0.2,
    smoothing: float = 0.1,
) -> Float[Tensor, ""]:
    """JoMoLD's: both modalities after they met, and the logarithm is taken of the smoothed sum.

    Args:
        prediction: Prediction of the network.
        _target: Not read.
        temperature: Temperature of the softmax.
        smoothing: Smoothing inside the logarithm.
    """
    vectors = _told(prediction.attended, "contrastive_jomold")
    probability, paired = _match(
        vectors[:, :, AUDIO],
        vectors[:, :, VISUAL],
        prediction.mask.all(dim=-1),
        temperature,
    )
    expected = (_wanted(paired, smoothing) * probability).sum(dim=-1)
    return _mean_over_pairs(-expected.masked_fill(~paired, 1).log(), paired)


def _told(
    vectors: Tensor | None, name: str
) -> Float[Tensor, "video time modality hidden"]:
    if vectors is None:
        raise RecipeError(
            f"{name} needs a network that tells its segments' vectors",
            fix="leave that loss out",
        )
    return vectors.float()


def _match(
    audio: Float[Tensor, "video time hidden"],
    visual: Float[Tensor, "video time hidden"],
    paired: Bool[Tensor, "video time"],
    temperature: float,
) -> tuple[Float[Tensor, "video time time"], Bool[Tensor, "video time"]]:
    """Compute the probability that an audio and a visual segment belong together; 0 if missing."""
    absent = ~paired[..., None]
    audio, visual = (
        normalize(vectors.masked_fill(absent, 0), dim=-1) for vectors in (audio, visual)
    )
    logit = audio @ visual.transpose(1, 2) / temperature
    pair = paired[:, :, None] & paired[:, None]
    return logit.masked_fill(~pair, torch.finfo(logit.dtype).min).softmax(
        dim=-1
    ).masked_fill(~pair, 0), paired


def _wanted(
    paired: Bool[Tensor, "video time"], smoothing: float
) -> Float[Tensor, "video time time"]:
    """The own segment, and a little of every other one; all of the own one where there is no
    other."""
    negatives = (paired.sum(dim=1) - 1).clamp(min=0)[:, None, None]
    diagonal = torch.eye(paired.shape[1], device=paired.device)
    share = torch.where(negatives > 0, smoothing / negatives.clamp(min=1), 0.0)
    desired = diagonal * (1 - share * negatives) + (1 - diagonal) * share
    return desired * (paired[:, :, None] & paired[:, None])


def _mean_over_pairs(
    loss: Float[Tensor, "video time"], paired: Bool[Tensor, "video time"]
) -> Float[Tensor, ""]:
    per_video = (loss * paired).sum(dim=1) / paired.sum(dim=1).clamp(min=1)
    return mean_of_present(per_video[:, None], paired.any(dim=1)[:, None])

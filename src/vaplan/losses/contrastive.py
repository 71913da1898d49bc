"""Contrastive losses between the audio and the visual vectors of a video's segments.

The vectors of a segment shall be more similar than vectors of two different segments of
the video. Only segments with both modalities are used. The loss is the mean over the
segments of a video, then over the videos with such segments; a video longer than the
network's window counts as its windows. The network must return
its segment vectors.

Source: MA (Wu, Yang, CVPR 2021) and JoMoLD (Cheng et al., ECCV 2022, arXiv 2204.11573),
with the code of both.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn.functional import normalize

from vaplan.arrays import AUDIO, VISUAL, Prediction, SegmentVectors, Target
from vaplan.errors import RecipeError
from vaplan.losses.mil import mean_of_present


def contrastive_ma(
    prediction: Prediction,
    _target: Target,
    *,
    temperature: float = 0.2,
    smoothing: float = 0.1,
) -> Float[Tensor, ""]:
    """MA's loss: label-smoothed cross entropy of matching segments.

    The audio vectors are those after cross-modal attention, the visual vectors those
    before it.

    Args:
        prediction: Prediction of the network.
        _target: Not used.
        temperature: Temperature of the softmax.
        smoothing: Share of the target for the other segments of the video.
    """
    vectors = _require_vectors(prediction, "contrastive_ma")
    projection = vectors.projected.float()
    attention = vectors.attended.float()
    has_both = vectors.mask.all(dim=-1)

    probability = _match_probability(
        attention[:, :, AUDIO], projection[:, :, VISUAL], has_both, temperature
    )
    smallest = torch.finfo(probability.dtype).tiny
    log_probability = probability.clamp(min=smallest).log()
    target = _match_target(has_both, smoothing)

    loss = -(target * log_probability).sum(dim=-1)
    return _mean_over_segments(loss, has_both)


def contrastive_jomold(
    prediction: Prediction,
    _target: Target,
    *,
    temperature: float = 0.2,
    smoothing: float = 0.1,
) -> Float[Tensor, ""]:
    """JoMoLD's loss: negative logarithm of the smoothed probability of matching segments.

    The vectors of both modalities are those after cross-modal attention.

    Args:
        prediction: Prediction of the network.
        _target: Not used.
        temperature: Temperature of the softmax.
        smoothing: Share of the target for the other segments of the video.
    """
    vectors = _require_vectors(prediction, "contrastive_jomold")
    attention = vectors.attended.float()
    has_both = vectors.mask.all(dim=-1)

    probability = _match_probability(
        attention[:, :, AUDIO], attention[:, :, VISUAL], has_both, temperature
    )
    target = _match_target(has_both, smoothing)

    smoothed_probability = (target * probability).sum(dim=-1)
    loss = -smoothed_probability.masked_fill(~has_both, 1).log()
    return _mean_over_segments(loss, has_both)


def _require_vectors(prediction: Prediction, loss_name: str) -> SegmentVectors:
    if prediction.vectors is None:
        raise RecipeError(
            f"{loss_name} needs a network that returns its segment vectors",
            fix="leave that loss out",
        )
    return prediction.vectors


def _match_probability(
    audio: Float[Tensor, "video time hidden"],
    visual: Float[Tensor, "video time hidden"],
    has_both: Bool[Tensor, "video time"],
    temperature: float,
) -> Float[Tensor, "video time time"]:
    """Compute the probability that an audio and a visual segment match.

    It is a softmax over the visual segments; 0 if a segment lacks a modality.
    """
    absent = ~has_both[..., None]
    audio = normalize(audio.masked_fill(absent, 0), dim=-1)
    visual = normalize(visual.masked_fill(absent, 0), dim=-1)
    logit = audio @ visual.transpose(1, 2) / temperature
    is_pair = _pairs(has_both)
    lowest = torch.finfo(logit.dtype).min
    probability = logit.masked_fill(~is_pair, lowest).softmax(dim=-1)
    return probability.masked_fill(~is_pair, 0)


def _match_target(
    has_both: Bool[Tensor, "video time"], smoothing: float
) -> Float[Tensor, "video time time"]:
    """Return the target probability that two segments match.

    A share of `smoothing` is distributed equally over the other segments of the video; a
    single segment has the whole target.
    """
    time = has_both.shape[1]
    is_same = torch.eye(time, device=has_both.device)
    segments = has_both.sum(dim=1)[:, None, None]
    other_segments = (segments - 1).clamp(min=0)
    equal_share = smoothing / other_segments.clamp(min=1)
    share = torch.where(other_segments > 0, equal_share, 0.0)
    match_target = is_same * (1 - share * other_segments)
    other_target = (1 - is_same) * share
    return (match_target + other_target) * _pairs(has_both)


def _pairs(has_both: Bool[Tensor, "video time"]) -> Bool[Tensor, "video time time"]:
    """Mark the pairs of segments that both have both modalities."""
    return has_both[:, :, None] & has_both[:, None]


def _mean_over_segments(
    loss: Float[Tensor, "video time"], exists: Bool[Tensor, "video time"]
) -> Float[Tensor, ""]:
    """Average over the existing segments of a video, then over videos with segments."""
    segments = exists.sum(dim=1, keepdim=True)
    total = (loss * exists).sum(dim=1, keepdim=True)
    per_video = total / segments.clamp(min=1)
    return mean_of_present(per_video, segments > 0)

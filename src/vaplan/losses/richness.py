"""PLE, the richness-aware loss: how many of the events a segment holds, and how much of the video
an event fills.

With n the number of classes of a modality's video-level pseudo label and T its segments: the
category richness of a segment is its share of those n classes, the segment richness of a class is
its share of the T segments.
Source: Zhou et al. 2024, arXiv 2406.00919, pseudo label exploitation. The two parts are separate
losses.
"""

from jaxtyping import Float
from torch import Tensor

from vaplan.arrays import Prediction, Target
from vaplan.losses.mil import (
    cross_entropy,
    existing_pseudo,
    mean_of_present,
    mean_over_time,
)


def category_richness(prediction: Prediction, target: Target) -> Float[Tensor, ""]:
    """Cross entropy of the category richness of each segment; probabilities of other classes take
    no part.

    Args:
        prediction: Prediction of the network.
        target: Labels of the same videos.
    """
    label = existing_pseudo(prediction, target).float()
    occurring = label.amax(dim=1, keepdim=True)
    possible = occurring.sum(dim=-1).clamp(
        min=1
    )  # a video without labels has richness 0, not NaN
    probability = prediction.segment.masked_fill(~prediction.mask[..., None], 0)
    predicted = (probability * occurring).sum(dim=-1) / possible
    loss = cross_entropy(predicted, label.sum(dim=-1) / possible, prediction.mask)
    return mean_of_present(
        mean_over_time(loss, prediction.mask), prediction.mask.any(dim=1)
    )


def segment_richness(prediction: Prediction, target: Target) -> Float[Tensor, ""]:
    """Cross entropy of the segment richness of each class of the taxonomy.

    Args:
        prediction: Prediction of the network.
        target: Labels of the same videos.
    """
    label = existing_pseudo(prediction, target).float()
    probability = prediction.segment.masked_fill(~prediction.mask[..., None], 0)
    segments = prediction.mask.sum(dim=1).clamp(min=1)[..., None]
    present = prediction.mask.any(dim=1)
    predicted, marked = probability.sum(dim=1) / segments, label.sum(dim=1) / segments
    loss = cross_entropy(predicted, marked, present[..., None]).mean(dim=-1)
    return mean_of_present(loss, present)

"""Richness-aware losses of pseudo label exploitation (PLE).

The video-level pseudo label of a modality has n classes, and the modality T segments.
The category richness of a segment is its share of those n classes. The segment richness
of a class is its share of the T segments. Both parts are separate losses.

Source: Zhou et al. 2024, arXiv 2406.00919, pseudo label exploitation.
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
    """Compute the cross entropy of the category richness of each segment.

    Probabilities of classes outside the video-level pseudo label do not count.

    Args:
        prediction: Prediction of the network.
        target: Labels of the same videos.
    """
    label = existing_pseudo(prediction, target).float()
    probability = _existing_probability(prediction)
    video_label = label.amax(dim=1, keepdim=True)
    # a video without labels has richness 0, not NaN
    classes = video_label.sum(dim=-1).clamp(min=1)
    predicted_richness = (probability * video_label).sum(dim=-1) / classes
    richness = label.sum(dim=-1) / classes
    loss = cross_entropy(predicted_richness, richness, prediction.mask)
    per_video = mean_over_time(loss, prediction.mask)
    return mean_of_present(per_video, prediction.mask.any(dim=1))


def segment_richness(prediction: Prediction, target: Target) -> Float[Tensor, ""]:
    """Compute the cross entropy of the segment richness of each class of the taxonomy.

    Args:
        prediction: Prediction of the network.
        target: Labels of the same videos.
    """
    label = existing_pseudo(prediction, target).float()
    probability = _existing_probability(prediction)
    present = prediction.mask.any(dim=1)
    segments = prediction.mask.sum(dim=1).clamp(min=1)[..., None]
    predicted_richness = probability.sum(dim=1) / segments
    richness = label.sum(dim=1) / segments
    loss = cross_entropy(predicted_richness, richness, present[..., None])
    return mean_of_present(loss.mean(dim=-1), present)


def _existing_probability(
    prediction: Prediction,
) -> Float[Tensor, "video time modality class"]:
    """Return the segment probabilities, 0 where a modality is absent."""
    absent = ~prediction.mask[..., None]
    return prediction.segment.masked_fill(absent, 0)

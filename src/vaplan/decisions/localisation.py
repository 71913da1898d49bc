"""Decision rules of audio-visual event localisation: one label a segment.

Every segment has one label: a class that is both audible and visible, or background. A
rule therefore marks a class in both modalities or in neither.

Source: Tian, Shi, Li, Duan, Xu, ECCV 2018, arXiv 1803.08842; Xia, Zhao, CVPR 2022 (CMBS).
"""

from collections.abc import Callable

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from vaplan.arrays import MODALITIES, Prediction


def cmbs_official(
    prediction: Prediction,
    *,
    threshold: float = 0.5,  # noqa: ARG001 - every localisation rule has this argument
) -> Bool[Tensor, "video time modality class"]:
    """Label every segment with the label of the video, as published for weak CMBS.

    The published rule marks a segment where the sigmoid of the gate exceeds one half. The
    gate is a sigmoid itself, so this always holds and no segment is localised.

    Args:
        prediction: Probabilities of a localisation network.
        threshold: Ignored.
    """
    label = _most_probable(prediction.video_gate(), background_weight=1.0)
    return _in_both_modalities(label, prediction.mask)


def event_gate(
    prediction: Prediction, *, threshold: float = 0.5
) -> Bool[Tensor, "video time modality class"]:
    """Label segments with the video's class where any event is probable enough.

    This is also the published rule of the fully supervised CMBS.

    Args:
        prediction: Probabilities of a localisation network.
        threshold: Least probability of an event of any class.
    """
    has_event = prediction.segment.amin(dim=2).sum(dim=-1) >= threshold
    video_class = _is_first_maximum(prediction.video_gate())
    marked = has_event[..., None] & video_class
    return _in_both_modalities(marked, prediction.mask)


def segment_label(
    prediction: Prediction, *, threshold: float = 0.5
) -> Bool[Tensor, "video time modality class"]:
    """Label each segment with its most probable label.

    Args:
        prediction: Probabilities of a localisation network.
        threshold: Background wins if it is `(1 - threshold) / threshold` times as
            probable as the most probable class.
    """
    odds = threshold / max(1 - threshold, torch.finfo(torch.float32).tiny)
    probability = prediction.segment.amin(dim=2)
    label = _most_probable(probability, background_weight=odds)
    return _in_both_modalities(label, prediction.mask)


def keep_one_label(
    marked: Bool[Tensor, "video time modality class"],
    probability: Float[Tensor, "video time modality class"],
) -> Bool[Tensor, "video time modality class"]:
    """Keep one class a segment, for networks that mark both modalities independently.

    Args:
        marked: Decisions; a class counts where it is marked in both modalities.
        probability: Of several such classes the one with the highest minimum over the
            modalities is kept.
    """
    in_both = marked.all(dim=2)
    candidates = probability.amin(dim=2).masked_fill(~in_both, -torch.inf)
    label = in_both & _is_first_maximum(candidates)
    return label[:, :, None].expand_as(marked)


LOCALISATION_RULES: dict[
    str, Callable[..., Bool[Tensor, "video time modality class"]]
] = {
    "cmbs_official": cmbs_official,
    "event_gate": event_gate,
    "segment_label": segment_label,
}


def _most_probable(
    probability: Float[Tensor, "*cells class"], *, background_weight: float
) -> Bool[Tensor, "*cells class"]:
    """Mark the most probable class, or none where weighted background is more probable."""
    background = 1 - probability.sum(dim=-1, keepdim=True)
    return _is_first_maximum(probability) & (
        probability >= background_weight * background
    )


def _is_first_maximum(
    values: Float[Tensor, "*cells class"],
) -> Bool[Tensor, "*cells class"]:
    """Mark the class with the highest value, the first one if several are equal."""
    classes = torch.arange(values.shape[-1], device=values.device)
    return classes == values.argmax(dim=-1, keepdim=True)


def _in_both_modalities(
    marked: Bool[Tensor, "video #time class"], mask: Bool[Tensor, "video time modality"]
) -> Bool[Tensor, "video time modality class"]:
    """Mark both modalities of the segments in which both exist."""
    marked = marked & mask.all(dim=-1)[..., None]
    return marked[:, :, None].expand(-1, -1, len(MODALITIES), -1)

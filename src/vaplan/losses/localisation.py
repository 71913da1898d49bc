"""Losses of audio-visual event localisation: one label a video, one label a segment, an event or
none.

A video without a class is background, and so is a segment whose pseudo labels name no class that
is both heard and seen; labels that name several share a target evenly. Only segments that are
both heard and seen take part: per video the mean over them, then the mean over the videos that
have any. Each loss has a form named `official` that keeps what the published code does, oddities
included.
Source: Tian, Shi, Li, Duan, Xu, ECCV 2018; Xia, Zhao, CVPR 2022 (CMBS); Zhou et al. 2024, arXiv
2406.00919 (`segment_label` on pseudo labels).
"""

from collections.abc import Callable

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn.functional import (
    binary_cross_entropy_with_logits,
    cross_entropy,
    multilabel_soft_margin_loss,
)

from vaplan.arrays import Prediction, Target
from vaplan.errors import RecipeError
from vaplan.localisation import Localisation


def video_label(prediction: Prediction, target: Target) -> Float[Tensor, ""]:
    """Cross entropy of the video's label: its class or background.

    Args:
        prediction: Prediction of the network.
        target: Labels of the same videos.
    """
    logit = _told(_localised(prediction).video_logit, "video_label")
    loss = cross_entropy(
        logit, _shares(_with_background(target.weak), logit), reduction="none"
    )
    return _mean(loss, _exists(prediction).any(dim=1))


def video_label_official(prediction: Prediction, target: Target) -> Float[Tensor, ""]:
    """As published: a soft margin of every label, with the softmax's outputs read as logits.

    They lie in [0, 1], so no weights bring the loss to 0: with 29 labels it is 0.6800 for a video
    that is right for sure and 0.7093 for one that could be anything.

    Args:
        prediction: Prediction of the network.
        target: Labels of the same videos.
    """
    score = _told(_localised(prediction).video_logit, "video_label_official").softmax(
        dim=-1
    )
    label = _with_background(target.weak).to(score.dtype)
    return _mean(_soft_margin(score, label), _exists(prediction).any(dim=1))


def segment_label(prediction: Prediction, target: Target) -> Float[Tensor, ""]:
    """Cross entropy of each segment's label.

    Args:
        prediction: Prediction of the network.
        target: Labels of the same videos.
    """
    log = _localised(prediction).segment_log
    label = _shares(_with_background(_marked(prediction, target)), log)
    exists = _exists(prediction)
    return _mean_of_segments(
        -(label * log.masked_fill(~exists[..., None], 0)).sum(dim=-1), exists
    )


def segment_label_official(prediction: Prediction, target: Target) -> Float[Tensor, ""]:
    """As published with AVE: a soft margin of every label of each segment, with probabilities
    read as logits.

    Args:
        prediction: Prediction of the network.
        target: Labels of the same videos.
    """
    exists = _exists(prediction)
    score = _localised(prediction).segment_log.exp().masked_fill(~exists[..., None], 0)
    label = _with_background(_marked(prediction, target)).to(score.dtype)
    return _mean_of_segments(_soft_margin(score, label), exists)


def event_and_class(prediction: Prediction, target: Target) -> Float[Tensor, ""]:
    """Full supervision: events of segments, the gate, and the class of the video.

    The gate is a probability and read as one; a video without events teaches no class.

    Args:
        prediction: Prediction of the network.
        target: Labels of the same videos.
    """
    localisation, exists = _localised(prediction), _exists(prediction)
    marked = _marked(prediction, target)
    gate = _told(localisation.gate, "event_and_class").masked_fill(~exists, 0.5)
    tiny = torch.finfo(gate.dtype).eps
    gate_loss = _mean_of_segments(
        _cross_entropy_of(gate.clamp(tiny, 1 - tiny), marked.any(dim=-1)), exists
    )
    share = marked.sum(dim=1).to(gate.dtype)
    share = share / share.sum(dim=-1, keepdim=True).clamp(min=1)
    classes = [
        _mean(cross_entropy(z, share, reduction="none"), marked.any(dim=(1, 2)))
        for z in localisation.class_logits
    ]
    return _event(localisation, marked, exists) + gate_loss + torch.stack(classes).sum()


def event_and_class_official(
    prediction: Prediction, target: Target
) -> Float[Tensor, ""]:
    """As published: the gate is read as a logit, though it is a probability; a video without
    events is of class 0.

    Args:
        prediction: Prediction of the network.
        target: Labels of the same videos.
    """
    localisation, exists = _localised(prediction), _exists(prediction)
    marked = _marked(prediction, target)
    gate = _told(localisation.gate, "event_and_class_official")
    label = marked.any(dim=-1).to(gate.dtype)
    gate_loss = binary_cross_entropy_with_logits(
        gate.masked_fill(~exists, 0), label, reduction="none"
    )
    index = marked.int().argmax(dim=-1).amax(dim=1)
    some = exists.any(dim=1)
    classes = [
        _mean(cross_entropy(logit, index, reduction="none"), some)
        for logit in localisation.class_logits
    ]
    return (
        _event(localisation, marked, exists)
        + _mean_of_segments(gate_loss, exists)
        + torch.stack(classes).sum()
    )


LOCALISATION: dict[str, Callable[[Prediction, Target], Tensor]] = {
    "video_label": video_label,
    "video_label_official": video_label_official,
    "segment_label": segment_label,
    "segment_label_official": segment_label_official,
    "event_and_class": event_and_class,
    "event_and_class_official": event_and_class_official,
}


def _localised(prediction: Prediction) -> Localisation:
    if not isinstance(prediction, Localisation):
        raise RecipeError(
            "this loss needs a network that localises",
            fix="use a CMBS, or the losses `video`, `segment`",
        )
    return prediction


def _told(tensor: Tensor | None, name: str) -> Tensor:
    if tensor is None:
        raise RecipeError(
            f"this network does not say what {name} reads",
            fix="use the losses of its own supervision",
        )
    return tensor


def _exists(prediction: Prediction) -> Bool[Tensor, "video time"]:
    return prediction.mask.all(dim=-1)


def _marked(prediction: Prediction, target: Target) -> Bool[Tensor, "video time class"]:
    """Mark the classes that are both audible and visible."""
    if target.pseudo is None:
        raise RecipeError(
            "this objective needs pseudo labels",
            fix="make them with `vaplan label` and give --labels FILE",
        )
    return target.pseudo.all(dim=2) & _exists(prediction)[..., None]


def _with_background(
    marked: Bool[Tensor, "*cells class"],
) -> Bool[Tensor, "*cells label"]:
    return torch.cat((marked, ~marked.any(dim=-1, keepdim=True)), dim=-1)


def _shares(
    marked: Bool[Tensor, "*cells label"], like: Tensor
) -> Float[Tensor, "*cells label"]:
    label = marked.to(like.dtype)
    return label / label.sum(dim=-1, keepdim=True)


def _soft_margin(
    logit: Float[Tensor, "*cells label"], label: Float[Tensor, "*cells label"]
) -> Float[Tensor, "*cells"]:
    return multilabel_soft_margin_loss(logit, label, reduction="none")


def _cross_entropy_of(
    probability: Float[Tensor, "video time"], label: Bool[Tensor, "video time"]
) -> Float[Tensor, "video time"]:
    return -torch.where(label, probability.log(), (-probability).log1p())


def _event(
    localisation: Localisation,
    marked: Bool[Tensor, "video time class"],
    exists: Bool[Tensor, "video time"],
) -> Float[Tensor, ""]:
    logit = _told(localisation.event_logit, "event_and_class").masked_fill(~exists, 0)
    label = marked.any(dim=-1).to(logit.dtype)
    return _mean_of_segments(
        binary_cross_entropy_with_logits(logit, label, reduction="none"), exists
    )


def _mean_of_segments(
    loss: Float[Tensor, "video time"], exists: Bool[Tensor, "video time"]
) -> Float[Tensor, ""]:
    per_video = (loss * exists).sum(dim=1) / exists.sum(dim=1).clamp(min=1)
    return _mean(per_video, exists.any(dim=1))


def _mean(
    loss: Float[Tensor, " video"], counted: Bool[Tensor, " video"]
) -> Float[Tensor, ""]:
    return (loss * counted).sum() / counted.sum().clamp(min=1)

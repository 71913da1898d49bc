"""Losses of audio-visual event localisation.

Each video and each segment has one label: a class, or background. A video without a
class is background. So is a segment without a class that is both audible and visible
according to its pseudo labels. If there are several classes, each has an equal share of
the target. Only segments with both modalities count. The loss is the mean over the
segments of a video, then over the videos with such segments. Each loss also has an
`official` form that does the same as the published code.

Source: Tian, Shi, Li, Duan, Xu, ECCV 2018; Xia, Zhao, CVPR 2022 (CMBS); Zhou et al.
2024, arXiv 2406.00919 (`segment_label` on pseudo labels).
"""

from collections.abc import Callable

import torch
from jaxtyping import Bool, Float, Int
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
    """Compute the cross entropy of the video's label: its class or background.

    Args:
        prediction: Prediction of the network.
        target: Labels of the same videos.
    """
    localisation = _require_localisation(prediction)
    logit = _require(localisation.video_logit, "video_label")
    label = _shares(_with_background(target.weak), logit)
    loss = cross_entropy(logit, label, reduction="none")
    return _mean(loss, _exists(prediction).any(dim=1))


def video_label_official(prediction: Prediction, target: Target) -> Float[Tensor, ""]:
    """Compute the published soft margin of every label of the video.

    It reads the outputs of a softmax as logits. They lie in [0, 1], so no weights bring
    the loss to 0: with 29 labels it is 0.6800 for a certain and correct video and 0.7093
    for a uniform prediction.

    Args:
        prediction: Prediction of the network.
        target: Labels of the same videos.
    """
    localisation = _require_localisation(prediction)
    logit = _require(localisation.video_logit, "video_label_official")
    probability = logit.softmax(dim=-1)
    label = _with_background(target.weak).to(probability.dtype)
    loss = _soft_margin(probability, label)
    return _mean(loss, _exists(prediction).any(dim=1))


def segment_label(prediction: Prediction, target: Target) -> Float[Tensor, ""]:
    """Compute the cross entropy of each segment's label.

    Args:
        prediction: Prediction of the network.
        target: Labels of the same videos.
    """
    localisation = _require_localisation(prediction)
    exists = _exists(prediction)
    log_probability = localisation.segment_log

    classes = _segment_classes(prediction, target)
    label = _shares(_with_background(classes), log_probability)
    existing_log = log_probability.masked_fill(~exists[..., None], 0)
    loss = -(label * existing_log).sum(dim=-1)
    return _mean_over_segments(loss, exists)


def segment_label_official(prediction: Prediction, target: Target) -> Float[Tensor, ""]:
    """Compute the soft margin of every label of each segment, as published with AVE.

    It reads probabilities as logits.

    Args:
        prediction: Prediction of the network.
        target: Labels of the same videos.
    """
    localisation = _require_localisation(prediction)
    exists = _exists(prediction)
    probability = localisation.segment_log.exp().masked_fill(~exists[..., None], 0)
    classes = _segment_classes(prediction, target)
    label = _with_background(classes).to(probability.dtype)
    loss = _soft_margin(probability, label)
    return _mean_over_segments(loss, exists)


def event_and_class(prediction: Prediction, target: Target) -> Float[Tensor, ""]:
    """Compute the fully supervised loss of events, gate and class.

    It is the sum of three parts: whether a segment contains an event, the gate of a
    segment (read as a probability), and the class of the video. A video without events
    does not count for the class.

    Args:
        prediction: Prediction of the network.
        target: Labels of the same videos.
    """
    localisation = _require_localisation(prediction)
    exists = _exists(prediction)
    classes = _segment_classes(prediction, target)
    has_event = classes.any(dim=-1)
    gate = _require(localisation.gate, "event_and_class")
    epsilon = torch.finfo(gate.dtype).eps
    existing_gate = gate.masked_fill(~exists, 0.5).clamp(epsilon, 1 - epsilon)
    gate_loss = _binary_cross_entropy(existing_gate, has_event)
    class_segments = classes.sum(dim=1).to(gate.dtype)
    total_segments = class_segments.sum(dim=-1, keepdim=True).clamp(min=1)
    class_share = class_segments / total_segments
    event_loss = _event_loss(localisation, has_event, exists)
    class_loss = _class_loss(localisation, class_share, has_event.any(dim=1))
    return event_loss + _mean_over_segments(gate_loss, exists) + class_loss


def event_and_class_official(
    prediction: Prediction, target: Target
) -> Float[Tensor, ""]:
    """Compute the published, fully supervised loss of events, gate and class.

    It reads the gate as a logit, though it is a probability; a video without events has
    class 0.

    Args:
        prediction: Prediction of the network.
        target: Labels of the same videos.
    """
    localisation = _require_localisation(prediction)
    exists = _exists(prediction)
    classes = _segment_classes(prediction, target)
    has_event = classes.any(dim=-1)

    gate = _require(localisation.gate, "event_and_class_official")
    gate_loss = binary_cross_entropy_with_logits(
        gate.masked_fill(~exists, 0), has_event.to(gate.dtype), reduction="none"
    )

    class_index = classes.int().argmax(dim=-1).amax(dim=1)
    event_loss = _event_loss(localisation, has_event, exists)
    class_loss = _class_loss(localisation, class_index, exists.any(dim=1))
    return event_loss + _mean_over_segments(gate_loss, exists) + class_loss


LOCALISATION: dict[str, Callable[[Prediction, Target], Tensor]] = {
    "video_label": video_label,
    "video_label_official": video_label_official,
    "segment_label": segment_label,
    "segment_label_official": segment_label_official,
    "event_and_class": event_and_class,
    "event_and_class_official": event_and_class_official,
}


def _require_localisation(prediction: Prediction) -> Localisation:
    if not isinstance(prediction, Localisation):
        raise RecipeError(
            "this loss needs a network that localises",
            fix="use a CMBS, or the losses `video`, `segment`",
        )
    return prediction


def _require(output: Tensor | None, loss_name: str) -> Tensor:
    if output is None:
        raise RecipeError(
            f"this network lacks the output that the loss {loss_name} needs",
            fix="use the losses of its own supervision",
        )
    return output


def _exists(prediction: Prediction) -> Bool[Tensor, "video time"]:
    """Mark the segments with both modalities."""
    return prediction.mask.all(dim=-1)


def _segment_classes(
    prediction: Prediction, target: Target
) -> Bool[Tensor, "video time class"]:
    """Mark the classes that are both audible and visible in a segment."""
    if target.pseudo is None:
        raise RecipeError(
            "this objective needs pseudo labels",
            fix="make them with `vaplan label` and give --labels FILE",
        )
    exists = _exists(prediction)
    return target.pseudo.all(dim=2) & exists[..., None]


def _with_background(
    classes: Bool[Tensor, "*cells class"],
) -> Bool[Tensor, "*cells label"]:
    """Append the label of background, which is marked where no class is."""
    background = ~classes.any(dim=-1, keepdim=True)
    return torch.cat((classes, background), dim=-1)


def _shares(
    labels: Bool[Tensor, "*cells label"], like: Tensor
) -> Float[Tensor, "*cells label"]:
    """Give each of several labels an equal share of the target."""
    target = labels.to(like.dtype)
    return target / target.sum(dim=-1, keepdim=True)


def _soft_margin(
    logit: Float[Tensor, "*cells label"], label: Float[Tensor, "*cells label"]
) -> Float[Tensor, "*cells"]:
    return multilabel_soft_margin_loss(logit, label, reduction="none")


def _binary_cross_entropy(
    probability: Float[Tensor, "video time"], label: Bool[Tensor, "video time"]
) -> Float[Tensor, "video time"]:
    positive_log = probability.log()
    negative_log = (-probability).log1p()
    return -torch.where(label, positive_log, negative_log)


def _event_loss(
    localisation: Localisation,
    has_event: Bool[Tensor, "video time"],
    exists: Bool[Tensor, "video time"],
) -> Float[Tensor, ""]:
    """Compute the cross entropy of whether a segment contains an event."""
    event_logit = _require(localisation.event_logit, "event_and_class")
    existing_logit = event_logit.masked_fill(~exists, 0)
    label = has_event.to(event_logit.dtype)
    loss = binary_cross_entropy_with_logits(existing_logit, label, reduction="none")
    return _mean_over_segments(loss, exists)


def _class_loss(
    localisation: Localisation,
    label: Float[Tensor, "video class"] | Int[Tensor, " video"],
    counts: Bool[Tensor, " video"],
) -> Float[Tensor, ""]:
    """Add up the cross entropies of the class logits, over the videos that count."""
    losses = []
    for class_logit in localisation.class_logits:
        loss = cross_entropy(class_logit, label, reduction="none")
        losses.append(_mean(loss, counts))
    return torch.stack(losses).sum()


def _mean_over_segments(
    loss: Float[Tensor, "video time"], exists: Bool[Tensor, "video time"]
) -> Float[Tensor, ""]:
    """Average over the existing segments of a video, then over videos with segments."""
    segments = exists.sum(dim=1)
    total = (loss * exists).sum(dim=1)
    per_video = total / segments.clamp(min=1)
    return _mean(per_video, segments > 0)


def _mean(
    loss: Float[Tensor, " video"], counts: Bool[Tensor, " video"]
) -> Float[Tensor, ""]:
    """Average over the videos that count; 0 without any."""
    total = (loss * counts).sum()
    videos = counts.sum().clamp(min=1)
    return total / videos

"""Audio-visual event localisation: what a network says of it, and how that becomes labels.

Every segment has one label: the class of an event that is both heard and seen there, or background, which comes last.
A decision therefore marks a class in both modalities or in neither.
Source: Tian, Shi, Li, Duan, Xu, ECCV 2018 (arXiv 1803.08842); Xia, Zhao, CVPR 2022 (CMBS).
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from vaplan.arrays import MODALITIES, Prediction

Decision = Callable[..., Bool[Tensor, "video time modality class"]]


@dataclass(frozen=True, kw_only=True)
class Localisation(Prediction):
    """A prediction with one label a segment, and what the losses of localisation read.

    `segment`, `modality` and `video` are probabilities of the classes, equal in both modalities; what they lack to 1
    is background's.

    Attributes:
        segment_log: Log probabilities of the labels of each segment.
        video_logit: Of the video's labels, background included, where the network asks for those.
        event_logit: Whether a segment holds an event of any class.
        gate: How sure the network is that a segment matters, in [0, 1].
        class_logits: Of the video's classes, background left out; each set is trained by its own cross entropy.
    """

    segment_log: Float[Tensor, "video time label"]
    video_logit: Float[Tensor, "video label"] | None = None
    event_logit: Float[Tensor, "video time"] | None = None
    gate: Float[Tensor, "video time"] | None = None
    class_logits: tuple[Float[Tensor, "video class"], ...] = ()


def localised(
    segment_log: Float[Tensor, "video time label"],
    video: Float[Tensor, "video class"],
    mask: Bool[Tensor, "video time modality"],
    *,
    video_logit: Float[Tensor, "video label"] | None = None,
    event_logit: Float[Tensor, "video time"] | None = None,
    gate: Float[Tensor, "video time"] | None = None,
    class_logits: tuple[Float[Tensor, "video class"], ...] = (),
) -> Localisation:
    """Put what a network says on the grid; a segment that is not both heard and seen is background."""
    exists = mask.all(dim=-1)
    segment = segment_log[..., :-1].exp().masked_fill(~exists[..., None], 0)
    video = video.masked_fill(~exists.any(dim=1, keepdim=True), 0)
    modalities = len(MODALITIES)
    return Localisation(
        segment=segment[:, :, None].expand(-1, -1, modalities, -1),
        modality=video[:, None].expand(-1, modalities, -1),
        video=video,
        mask=mask,
        segment_log=segment_log,
        video_logit=video_logit,
        event_logit=event_logit,
        gate=gate,
        class_logits=class_logits,
    )


def cmbs_official(
    prediction: Prediction,
    *,
    threshold: float = 0.5,  # noqa: ARG001 - every decision rule has this argument
) -> Bool[Tensor, "video time modality class"]:
    """Weak CMBS as published: every segment gets the label of the video, and nothing is localised.

    The published rule marks a segment where the sigmoid of the gate is above one half. The gate is a sigmoid already,
    so this is always true, and `threshold` changes nothing.
    """
    return _in_both(_likeliest(prediction.video, odds=1.0)[:, None], prediction.mask)


def event_gate(
    prediction: Prediction, *, threshold: float = 0.5
) -> Bool[Tensor, "video time modality class"]:
    """The video's class, wherever the probability of any event is at least `threshold`; else background.

    It is also the published rule of the fully supervised CMBS.
    """
    event = prediction.segment.amin(dim=2).sum(dim=-1) >= threshold
    return _in_both(
        event[..., None] & _highest(prediction.video)[:, None], prediction.mask
    )


def segment_label(
    prediction: Prediction, *, threshold: float = 0.5
) -> Bool[Tensor, "video time modality class"]:
    """Each segment's likeliest label; background has to be `(1 - threshold) / threshold` times as likely as a class."""
    odds = threshold / max(1 - threshold, torch.finfo(torch.float32).tiny)
    return _in_both(
        _likeliest(prediction.segment.amin(dim=2), odds=odds), prediction.mask
    )


def one_label(
    marked: Bool[Tensor, "video time modality class"],
    probability: Float[Tensor, "video time modality class"],
) -> Bool[Tensor, "video time modality class"]:
    """Keep what is marked in both modalities, and of several classes the one whose lower probability is highest.

    For networks and labels that say of each modality by itself what it holds.
    """
    both = marked.all(dim=2)
    likeliest = _highest(probability.amin(dim=2).masked_fill(~both, -torch.inf))
    return (both & likeliest)[:, :, None].expand_as(marked)


DECISIONS: dict[str, Decision] = {
    "cmbs_official": cmbs_official,
    "event_gate": event_gate,
    "segment_label": segment_label,
}


def _likeliest(
    probability: Float[Tensor, "*cells class"], *, odds: float
) -> Bool[Tensor, "*cells class"]:
    """The likeliest class, or none where background, weighed by `odds`, is likelier."""
    background = 1 - probability.sum(dim=-1, keepdim=True)
    return _highest(probability) & (probability >= odds * background)


def _highest(
    probability: Float[Tensor, "*cells class"],
) -> Bool[Tensor, "*cells class"]:
    """The first of the highest classes."""
    classes = torch.arange(probability.shape[-1], device=probability.device)
    return classes == probability.argmax(dim=-1, keepdim=True)


def _in_both(
    marked: Bool[Tensor, "video #time class"], mask: Bool[Tensor, "video time modality"]
) -> Bool[Tensor, "video time modality class"]:
    marked = marked & mask.all(dim=-1)[..., None]
    return marked[:, :, None].expand(-1, -1, len(MODALITIES), -1)

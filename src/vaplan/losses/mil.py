"""Cross entropies of the video, of its modalities, and of its segments.

All losses are averaged in the same way: over the existing cells of a video, then over
the videos that have the modality; the modalities are added. Values under the mask have
no effect. The keyword arguments are settings of a recipe.

Source: Tian, Li, Xu, ECCV 2020 (`video`, `modality_weak`); Zhou et al. 2024, arXiv
2406.00919 (`modality`, `segment`); Lai et al., NeurIPS 2023, arXiv 2305.17343
(`segment_logit`).
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from vaplan.arrays import Prediction, Target
from vaplan.errors import RecipeError, unknown

SMOOTHING = (0.0, 0.1)  # HAN smooths the weak label for visual only
REMOVED = ("smoothed", "zero")
LABELS = ("hard", "soft", "weighted")
SMALLEST_PROBABILITY = 1e-7  # of a cross entropy, so that it is finite


def video(prediction: Prediction, target: Target) -> Float[Tensor, ""]:
    """Compute the cross entropy of the video's probabilities and its weak label.

    Args:
        prediction: Prediction of the network.
        target: Labels of the same videos.
    """
    label = target.weak.float()
    has_segments = prediction.mask.any(dim=(1, 2))
    exists = has_segments[:, None]
    loss = cross_entropy(prediction.video, label, exists)
    per_video = loss.mean(dim=-1, keepdim=True)
    return mean_of_present(per_video, exists)


def modality(
    prediction: Prediction,
    target: Target,
    *,
    smoothing: tuple[float, ...] = (0.0, 0.0),
    balance: tuple[float, ...] = (1.0, 1.0),
    removed: str = "smoothed",
    labels: str = "hard",
) -> Float[Tensor, ""]:
    """Compute the cross entropy of each modality and its video-level pseudo label.

    Args:
        prediction: Prediction of the network.
        target: Labels of the same videos.
        smoothing: Smoothing of the labels of each modality; 0.1 turns the labels 0 and 1
            into 0.05 and 0.95.
        balance: Weight of each modality.
        removed: Label of a tag that is no pseudo label of the modality: "smoothed" as
            all other negative labels, or "zero" for any smoothing (the published code of
            MA and JoMoLD).
        labels: As in `segment`; the value of a modality is the highest of its segments.
    """
    if removed not in REMOVED:
        raise RecipeError(unknown("treatment of removed labels", removed, REMOVED))
    segment_label, segment_weight = labels_of(prediction, target, labels)
    label = _smooth(segment_label.amax(dim=1), smoothing)
    if removed == "zero":
        pseudo_label = existing_pseudo(prediction, target).any(dim=1)
        is_removed = target.weak[:, None] & ~pseudo_label
        label = label.masked_fill(is_removed, 0)
    weight = None if segment_weight is None else segment_weight.amax(dim=1)
    return _modality_loss(prediction, label, balance, weight)


def modality_weak(
    prediction: Prediction,
    target: Target,
    *,
    smoothing: tuple[float, ...] = SMOOTHING,
    balance: tuple[float, ...] = (1.0, 1.0),
) -> Float[Tensor, ""]:
    """Compute the cross entropy of each modality and the smoothed weak label, as in HAN.

    Args:
        prediction: Prediction of the network.
        target: Labels of the same videos.
        smoothing: Smoothing of the labels of each modality; 0.1 turns the labels 0 and 1
            into 0.05 and 0.95.
        balance: Weight of each modality.
    """
    weak_label = target.weak.float()[:, None]
    label = _smooth(weak_label, smoothing)
    return _modality_loss(prediction, label, balance)


def segment(
    prediction: Prediction, target: Target, *, labels: str = "hard"
) -> Float[Tensor, ""]:
    """Compute the cross entropy of each segment and its pseudo labels.

    Args:
        prediction: Prediction of the network.
        target: Labels of the same videos.
        labels: "hard": the pseudo labels. "soft": the probability p that a pseudo label
            is 1. "weighted": the pseudo labels with the weight |2p - 1|.
    """
    label, weight = labels_of(prediction, target, labels)
    loss = cross_entropy(prediction.segment, label, prediction.mask[..., None])
    return _mean_over_segments(_weighted(loss, weight), prediction.mask)


def segment_logit(
    prediction: Prediction, target: Target, *, labels: str = "hard"
) -> Float[Tensor, ""]:
    """Compute the loss `segment` from logits instead of probabilities.

    Logits are not clamped, so a segment with a confident wrong prediction also has a
    gradient.

    Args:
        prediction: Prediction of the network.
        target: Labels of the same videos.
        labels: As in `segment`.
    """
    if prediction.logit is None:
        raise RecipeError(
            "segment_logit needs a network that returns logits",
            fix="use the loss `segment`",
        )
    absent = ~prediction.mask[..., None]
    logit = prediction.logit.float().masked_fill(absent, 0)
    label, weight = labels_of(prediction, target, labels)
    loss = torch.nn.functional.binary_cross_entropy_with_logits(
        logit, label, reduction="none"
    )
    return _mean_over_segments(_weighted(loss, weight), prediction.mask)


def cross_entropy(
    probability: Float[Tensor, "*cells"],
    label: Float[Tensor, "*cells"],
    exists: Bool[Tensor, "*#cells"],
) -> Float[Tensor, "*cells"]:
    """Compute the binary cross entropy of each cell in nats.

    It is finite for any probability, also for those of HAN above 1, and constant where
    a cell does not exist. It is computed in float32, since 1 - 1e-7 is 1 in half
    precision.

    Args:
        probability: Predicted probabilities.
        label: Labels in [0, 1].
        exists: Cells that count.
    """
    existing = probability.float().masked_fill(~exists, 0.5)
    clipped = existing.clamp(SMALLEST_PROBABILITY, 1 - SMALLEST_PROBABILITY)
    positive = label * clipped.log()
    negative = (1 - label) * (-clipped).log1p()
    return -(positive + negative)


def mean_over_time(
    loss: Float[Tensor, "video time modality"],
    mask: Bool[Tensor, "video time modality"],
) -> Float[Tensor, "video modality"]:
    """Average over the segments that exist; 0 where none does.

    Args:
        loss: Unreduced loss.
        mask: Segments that exist.
    """
    segments = mask.sum(dim=1)
    total = (loss * mask).sum(dim=1)
    return total / segments.clamp(min=1)


def mean_of_present(
    loss: Float[Tensor, "video modality"], present: Bool[Tensor, "video modality"]
) -> Float[Tensor, ""]:
    """Average, per modality, over the videos that have it, and add the modalities.

    A modality that no video has adds nothing.

    Args:
        loss: Unreduced loss.
        present: Modalities that each video has.
    """
    videos = present.sum(dim=0)
    total = (loss * present).sum(dim=0)
    per_modality = total / videos.clamp(min=1)
    return per_modality.sum()


def existing_pseudo(
    prediction: Prediction, target: Target
) -> Bool[Tensor, "video time modality class"]:
    """Return the pseudo labels of the segments that exist.

    Args:
        prediction: Prediction of the network.
        target: Labels of the same videos.

    Raises:
        RecipeError: There are no pseudo labels.
    """
    if target.pseudo is None:
        raise RecipeError(
            "this objective needs pseudo labels",
            fix="make them with `vaplan label` and give --labels FILE",
        )
    return target.pseudo & prediction.mask[..., None]


def labels_of(
    prediction: Prediction, target: Target, labels: str
) -> tuple[
    Float[Tensor, "video time modality class"],
    Float[Tensor, "video time modality class"] | None,
]:
    """Return the label and the weight of each existing segment; see `segment`.

    Args:
        prediction: Prediction of the network.
        target: Labels of the same videos.
        labels: `hard`, `soft` or `weighted`.

    Returns:
        Labels in [0, 1], and weights in [0, 1] or None for equal weights.
    """
    if labels not in LABELS:
        raise RecipeError(unknown("kind of labels", labels, LABELS))
    if labels == "hard":
        return existing_pseudo(prediction, target).float(), None
    if target.label_probability is None:
        raise RecipeError(
            f"labels: {labels} needs label probabilities",
            fix="write label_probability: TABLE, made by `vaplan label --out-probability`",
        )
    exists = prediction.mask[..., None]
    probability = target.label_probability.float() * exists
    if labels == "soft":
        return probability, None
    weight = (2 * probability - 1).abs()
    return existing_pseudo(prediction, target).float(), weight


def _weighted(
    loss: Float[Tensor, "*cells"], weight: Float[Tensor, "*cells"] | None
) -> Float[Tensor, "*cells"]:
    return loss if weight is None else loss * weight


def _smooth(
    label: Float[Tensor, "video #modality class"], smoothing: tuple[float, ...]
) -> Float[Tensor, "video modality class"]:
    strength = label.new_tensor(smoothing)[:, None]
    return label * (1 - strength) + strength / 2


def _modality_loss(
    prediction: Prediction,
    label: Float[Tensor, "video modality class"],
    balance: tuple[float, ...],
    weight: Float[Tensor, "video modality class"] | None = None,
) -> Float[Tensor, ""]:
    """Compute the balanced cross entropy of the modalities of each video."""
    present = prediction.mask.any(dim=1)
    loss = cross_entropy(prediction.modality, label, present[..., None])
    per_modality = _weighted(loss, weight).mean(dim=-1)
    balanced = per_modality * loss.new_tensor(balance)
    return mean_of_present(balanced, present)


def _mean_over_segments(
    loss: Float[Tensor, "video time modality class"],
    mask: Bool[Tensor, "video time modality"],
) -> Float[Tensor, ""]:
    """Average over classes, over the existing segments, and over videos."""
    segment_loss = loss.mean(dim=-1)
    per_video = mean_over_time(segment_loss, mask)
    present = mask.any(dim=1)
    return mean_of_present(per_video, present)

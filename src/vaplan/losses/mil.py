"""Cross entropies of the video, of each modality of the video, and of each segment.

All reduce alike: per video the mean over the cells that exist, then the mean over the videos that
have the modality, then the sum over modalities. What lies under a mask takes part in nothing.
Keyword arguments are what a recipe can set. Source: Tian, Li, Xu, ECCV 2020 (`video`,
`modality_weak`); Zhou et al. 2024, arXiv 2406.00919 (`modality`, `segment`); Lai et al., NeurIPS
2023, arXiv 2305.17343 (`segment_logit`).
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from vaplan.arrays import Prediction, Target
from vaplan.errors import RecipeError, unknown

SMOOTHING = (0.0, 0.1)  # audio is trusted with the weak label as it is, visual less
REMOVED = ("smoothed", "zero")
LABELS = ("hard", "soft", "weighted")


def video(prediction: Prediction, target: Target) -> Float[Tensor, ""]:
    """The video's probabilities against its weak label, over the videos that have anything in
    them.

    Args:
        prediction: Prediction of the network.
        target: Labels of the same videos.
    """
    present = prediction.mask.any(dim=(1, 2))
    loss = cross_entropy(prediction.video, target.weak.float(), present[:, None]).mean(
        dim=-1
    )
    return mean_of_present(loss[:, None], present[:, None])


def modality(
    prediction: Prediction,
    target: Target,
    *,
    smoothing: tuple[float, ...] = (0.0, 0.0),
    balance: tuple[float, ...] = (1.0, 1.0),
    removed: str = "smoothed",
    labels: str = "hard",
) -> Float[Tensor, ""]:
    """Each modality's probabilities against its video-level pseudo label.

    Args:
        smoothing: Per modality; 0.1 turns the labels 0 and 1 into 0.05 and 0.95.
        balance: What each modality counts.
        removed: What a tag that is no pseudo label of the modality turns into: "smoothed", as
            every other negative, or "zero", whatever the smoothing (the published codes of MA and
            JoMoLD).
        labels: As in `segment`; a modality holds a class as likely as the likeliest of its
            segments.
    """
    if removed not in REMOVED:
        raise RecipeError(unknown("treatment of removed labels", removed, REMOVED))
    wanted, certainty = labels_of(prediction, target, labels)
    label = _smoothed(wanted.amax(dim=1), smoothing)
    if removed == "zero":
        pseudo = existing_pseudo(prediction, target).any(dim=1)
        label = label.masked_fill(target.weak[:, None] & ~pseudo, 0)
    return _modality(
        prediction,
        label,
        balance,
        certainty if certainty is None else certainty.amax(dim=1),
    )


def modality_weak(
    prediction: Prediction,
    target: Target,
    *,
    smoothing: tuple[float, ...] = SMOOTHING,
    balance: tuple[float, ...] = (1.0, 1.0),
) -> Float[Tensor, ""]:
    """Each modality's probabilities against the weak label, smoothed: HAN's answer to labels
    without a modality.

    Args:
        smoothing: Per modality; 0.1 turns the labels 0 and 1 into 0.05 and 0.95.
        balance: What each modality counts.
    """
    return _modality(
        prediction, _smoothed(target.weak.float()[:, None], smoothing), balance
    )


def segment(
    prediction: Prediction, target: Target, *, labels: str = "hard"
) -> Float[Tensor, ""]:
    """Each segment's probabilities against its pseudo labels.

    Args:
        labels: "hard" as they are, "soft" as the probability that they are 1, or "weighted":
            hard, and each counts by how sure it is, |2p - 1|.
    """
    label, certainty = labels_of(prediction, target, labels)
    loss = _weighted(
        cross_entropy(prediction.segment, label, prediction.mask[..., None]), certainty
    ).mean(dim=-1)
    return mean_of_present(
        mean_over_time(loss, prediction.mask), prediction.mask.any(dim=1)
    )


def segment_logit(
    prediction: Prediction, target: Target, *, labels: str = "hard"
) -> Float[Tensor, ""]:
    """As `segment`, from the network's logits: never clamped, so that a segment that is far off
    has a gradient too.

    Args:
        labels: As in `segment`.
    """
    if prediction.logit is None:
        raise RecipeError(
            "segment_logit needs a network that tells its logits",
            fix="use the loss `segment`",
        )
    exists = prediction.mask[..., None]
    logit = prediction.logit.float().masked_fill(~exists, 0)
    label, certainty = labels_of(prediction, target, labels)
    loss = torch.nn.functional.binary_cross_entropy_with_logits(
        logit, label, reduction="none"
    )
    loss = _weighted(loss, certainty).mean(dim=-1)
    return mean_of_present(
        mean_over_time(loss, prediction.mask), prediction.mask.any(dim=1)
    )


def cross_entropy(
    probability: Float[Tensor, "*cells"],
    label: Float[Tensor, "*cells"],
    exists: Bool[Tensor, "*#cells"],
) -> Float[Tensor, "*cells"]:
    """Unreduced binary cross entropy, in nats; finite for any probability, also HAN's above 1.

    Computed in float32 because 1 - 1e-7 is 1 in half precision; constant where nothing exists.

    Args:
        probability: Predicted probabilities.
        label: Labels in [0, 1].
        exists: Cells that count.
    """
    safe = probability.float().masked_fill(~exists, 0.5).clamp(1e-7, 1 - 1e-7)
    return -(label * safe.log() + (1 - label) * (-safe).log1p())


def mean_over_time(
    loss: Float[Tensor, "video time modality"],
    mask: Bool[Tensor, "video time modality"],
) -> Float[Tensor, "video modality"]:
    """The mean over the segments that exist; 0 where none does.

    Args:
        loss: Unreduced loss.
        mask: Segments that exist.
    """
    return (loss * mask).sum(dim=1) / mask.sum(dim=1).clamp(min=1)


def mean_of_present(
    loss: Float[Tensor, "video modality"], present: Bool[Tensor, "video modality"]
) -> Float[Tensor, ""]:
    """Per modality the mean over the videos that have it, summed; a modality no video has adds
    nothing.

    Args:
        loss: Unreduced loss.
        present: Modalities that each video has.
    """
    return ((loss * present).sum(dim=0) / present.sum(dim=0).clamp(min=1)).sum()


def existing_pseudo(
    prediction: Prediction, target: Target
) -> Bool[Tensor, "video time modality class"]:
    """The pseudo labels of the segments that exist, or an error where there are none at all.

    Args:
        prediction: Prediction of the network.
        target: Labels of the same videos.
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
    """Return the target and weight of each existing segment; see `segment`.

    Args:
        prediction: Prediction of the network.
        target: Labels of the same videos.
        labels: `hard`, `soft` or `weighted`.
    """
    if labels not in LABELS:
        raise RecipeError(unknown("kind of labels", labels, LABELS))
    if labels != "hard" and target.label_probability is None:
        raise RecipeError(
            f"labels: {labels} needs label probabilities",
            fix="write label_probability: TABLE, made by `vaplan label --label-probability`",
        )
    if labels == "hard" or target.label_probability is None:
        return existing_pseudo(prediction, target).float(), None
    soft = target.label_probability.float() * prediction.mask[..., None]
    if labels == "soft":
        return soft, None
    return existing_pseudo(prediction, target).float(), (2 * soft - 1).abs()


def _weighted(
    loss: Float[Tensor, "*cells"], weight: Float[Tensor, "*cells"] | None
) -> Float[Tensor, "*cells"]:
    return loss if weight is None else loss * weight


def _smoothed(
    label: Float[Tensor, "video #modality class"], smoothing: tuple[float, ...]
) -> Float[Tensor, "video modality class"]:
    strength = label.new_tensor(smoothing)[:, None]
    return label * (1 - strength) + strength / 2


def _modality(
    prediction: Prediction,
    label: Float[Tensor, "video modality class"],
    balance: tuple[float, ...],
    certainty: Float[Tensor, "video modality class"] | None = None,
) -> Float[Tensor, ""]:
    present = prediction.mask.any(dim=1)
    loss = _weighted(
        cross_entropy(prediction.modality, label, present[..., None]), certainty
    ).mean(dim=-1)
    return mean_of_present(loss * loss.new_tensor(balance), present)

"""From probabilities to decisions: a threshold for the segments, and a gate that the video must pass."""

from collections.abc import Callable

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from vaplan.arrays import AUDIO, MODALITIES, Prediction
from vaplan.errors import RecipeError, unknown
from vaplan.localisation import DECISIONS as LOCALISATION
from vaplan.metrics.ave import label_accuracy


def global_gate(prediction: Prediction) -> Float[Tensor, "video 1 1 class"]:
    """HAN's published rule, and VALOR's: the video as a whole must hold the class."""
    return prediction.video[:, None, None]


def modality_gate(prediction: Prediction) -> Float[Tensor, "video 1 modality class"]:
    """The rule of MA and JoMoLD: that modality of the video must hold the class."""
    return prediction.modality[:, None]


def mixed_gate(prediction: Prediction) -> Float[Tensor, "video 1 modality class"]:
    """MM-CSE's: what is heard passes the gate of the whole video, what is seen that of its own modality."""
    audio = torch.tensor(
        [m == AUDIO for m in range(len(MODALITIES))], device=prediction.video.device
    )
    return torch.where(audio[:, None], prediction.video[:, None], prediction.modality)[
        :, None
    ]


def segment_gate(prediction: Prediction) -> Float[Tensor, "video time modality class"]:
    """No gate: segments decide alone."""
    return prediction.segment


DECISIONS: dict[str, Callable[[Prediction], Tensor]] = {
    "global_gate": global_gate,
    "modality_gate": modality_gate,
    "mixed_gate": mixed_gate,
    "segment": segment_gate,
}
RULES = (*DECISIONS, *LOCALISATION)


def decide(
    prediction: Prediction,
    *,
    rule: str = "global_gate",
    threshold: float = 0.5,
    thresholds: Float[Tensor, "modality class"] | None = None,
) -> Bool[Tensor, "video time modality class"]:
    """Mark the segments at or above `threshold` for which the rule's gate is, too; or as a rule of localisation says.

    Args:
        thresholds: For the segments in place of `threshold`, which stays that of the gate; see `fit_thresholds`. A rule
            of localisation has one threshold: any of these.
    """
    if rule not in RULES:
        raise RecipeError(unknown("decision rule", rule, RULES))
    if rule in LOCALISATION:
        return LOCALISATION[rule](
            prediction,
            threshold=threshold if thresholds is None else float(thresholds[0, 0]),
        )
    least: float | Tensor = threshold if thresholds is None else thresholds
    passed = prediction.mask[..., None]
    if rule != "segment":
        passed = passed & (DECISIONS[rule](prediction) >= threshold)
    return (prediction.segment >= least) & passed


def fit_thresholds(
    prediction: Prediction,
    reference: Bool[Tensor, "video time modality class"],
    *,
    rule: str,
    threshold: float = 0.5,
    candidates: int = 19,
) -> Float[Tensor, "modality class"]:
    """The segment threshold of each modality and class with the highest F over these videos' segments.

    Tried are evenly spaced values in (0, 1) and `threshold` itself, the one nearest to `threshold` of equals; a class
    that nobody marks in a modality keeps `threshold`. A rule of localisation gets the one threshold with the highest
    accuracy: what a network says that learned from the labels of whole videos is far too sure.
    """
    if rule in LOCALISATION:
        return _most_accurate(prediction, reference, rule).expand(
            prediction.segment.shape[2:]
        )
    values = torch.linspace(0, 1, candidates + 2)[1:-1]
    values = torch.cat(
        [
            torch.tensor([threshold]),
            values[(values - threshold).abs().argsort(stable=True)],
        ]
    )
    shape = prediction.segment.shape[2:]
    scores = []
    for value in values:
        marked = decide(
            prediction, rule=rule, threshold=threshold, thresholds=value.expand(shape)
        )
        right = (marked & reference).sum(dim=(0, 1))
        scores.append(
            2
            * right
            / (marked.sum(dim=(0, 1)) + reference.sum(dim=(0, 1))).clamp(min=1)
        )
    best = values[torch.stack(scores).argmax(dim=0)]  # the first of equals
    return torch.where(reference.any(dim=1).any(dim=0), best, torch.tensor(threshold))


def _most_accurate(
    prediction: Prediction,
    reference: Bool[Tensor, "video time modality class"],
    rule: str,
) -> Tensor:
    """Of thresholds with evenly spaced log odds, the one nearest to one half of equals."""
    odds = torch.linspace(-5, 5, 41)
    values = odds[odds.abs().argsort(stable=True)].sigmoid()
    decided = (
        LOCALISATION[rule](prediction, threshold=float(value)) for value in values
    )
    accuracies = [
        label_accuracy(reference.numpy(), marked.numpy()) for marked in decided
    ]
    return values[torch.tensor(accuracies).argmax()]

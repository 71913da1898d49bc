"""How much evidence is enough for a label: thresholds per modality and class, by the name of how they are chosen."""

from collections.abc import Callable
from dataclasses import replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from vaplan import pseudo_labels
from vaplan.annotations import Annotations
from vaplan.arrays import MODALITIES
from vaplan.errors import RecipeError, unknown
from vaplan.metrics.llp import label_f
from vaplan.parser import MARGIN
from vaplan.pseudo_labels.generate import ThresholdSpec
from vaplan.stages.evidence import Evidence

Thresholds = Float[Tensor, "modality class"]


def choose_thresholds(
    found: Evidence, *, given: ThresholdSpec | None = None, how: str | None = None
) -> tuple[Thresholds, str]:
    """The thresholds, and in words where they come from.

    Args:
        given: Numbers of one's own; the other modality, where they name one only, is chosen as ever.
        how: A name of `CHOICES`. By default `val` where it can be, else `mixture`; and without any tag the usual.
    """
    own = pseudo_labels.thresholds(len(found.data.taxonomy), given or {})
    if given and set(MODALITIES) <= set(given):
        return own, "given"
    chosen, spoken = _chosen(found, how)
    if not given:
        return chosen, spoken
    named = torch.tensor([name in given for name in MODALITIES])
    return torch.where(
        named[:, None], own, chosen
    ), f"{', '.join(given)} given, else {spoken}"


def _chosen(found: Evidence, how: str | None) -> tuple[Thresholds, str]:
    if (
        how is None
        and found.weak_label.all()
        and found.strategy == MARGIN
        and not _dense(found)
    ):
        spoken = "as there are no tags to tell classes apart by"
        return pseudo_labels.thresholds(
            len(found.data.taxonomy), pseudo_labels.MARGINS
        ), spoken
    name = how or ("val" if _dense(found) else "mixture")
    if name not in CHOICES:
        raise RecipeError(unknown("way to choose thresholds", name, CHOICES))
    return CHOICES[name](found)


def _fitted(found: Evidence) -> tuple[Thresholds, str]:
    """One a modality, with the highest segment-level F on the densely labelled videos of split val."""
    dense = _dense(found)
    if not dense:
        what = "--choose val needs densely labelled videos in split val"
        raise RecipeError(what, fix="say --choose mixture, which needs tags alone")
    reference = found.data.ordered([found.data.ids[i] for i in dense]).reference(
        found.values.shape[1]
    )

    def score(
        labels: Bool[Tensor, "video time modality class"], modality: int
    ) -> float:
        return label_f(reference, labels.numpy())[MODALITIES[modality]]["segment"]

    those = found.values[dense], found.weak_label[dense], found.mask[dense]
    spoken = f"fitted on {len(dense)} densely labelled videos of split val"
    return pseudo_labels.choose_thresholds(*those, score), spoken


def _mixture(found: Evidence) -> tuple[Thresholds, str]:
    """One a class and modality, at which a label is as likely right as wrong."""
    return (
        found.mixture().thresholds(),
        "where a label is as likely right as wrong, from tagged and untagged videos",
    )


def _untagged(found: Evidence) -> tuple[Thresholds, str]:
    """One a modality, which classes outside the tags seldom exceed."""
    chosen = pseudo_labels.thresholds_without_labels(
        found.values, found.weak_label, found.mask
    )
    return chosen, "from classes outside the tags"


def _usual(found: Evidence) -> tuple[Thresholds, str]:
    """The paper's multiples of chance, or the usual margin."""
    if found.strategy == "logit":
        raise RecipeError(
            "logits have no usual thresholds",
            fix="say --choose mixture, or give --threshold",
        )
    usual = pseudo_labels.MARGINS if found.strategy == MARGIN else {}
    return pseudo_labels.thresholds(len(found.data.taxonomy), usual), "as usual"


CHOICES: dict[str, Callable[[Evidence], tuple[Thresholds, str]]] = {
    "val": _fitted,
    "mixture": _mixture,
    "untagged": _untagged,
    "usual": _usual,
}


def _dense(found: Evidence) -> list[int]:
    """The videos that thresholds can be fitted on; where nobody tagged anything, a video without events is unknown."""
    data = found.data if found.tagged else replace(found.data, events={})
    return dense_of_val(data)


def dense_of_val(data: Annotations) -> list[int]:
    """Which videos of the data set are densely labelled ones of split val."""
    return [
        i
        for i, video in enumerate(data.videos)
        if video.split == "val" and video.video in data.events
    ]

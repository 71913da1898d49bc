"""Labels made by a machine: PLG makes them (`generate`), PLD denoises them (`denoise`)."""

from vaplan.pseudo_labels.denoise import Denoising, flip_suspicious, forward_loss, given_tags
from vaplan.pseudo_labels.generate import (
    choose_thresholds,
    confidence,
    generate_pseudo_labels,
    similarity,
    thresholds,
    video_level,
)
from vaplan.pseudo_labels.unsupervised import thresholds_without_labels

__all__ = [
    "Denoising",
    "choose_thresholds",
    "confidence",
    "flip_suspicious",
    "forward_loss",
    "generate_pseudo_labels",
    "given_tags",
    "similarity",
    "thresholds",
    "thresholds_without_labels",
    "video_level",
]

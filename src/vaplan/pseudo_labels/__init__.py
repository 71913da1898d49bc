"""Labels made by a machine: PLG makes them (`generate`), PLD denoises them (`denoise`).

Beside them stand MA's exchange (`swap`), JoMoLD's noise (`noise`) and VALOR's thresholds and prompts (`valor`).
"""

from vaplan.pseudo_labels.denoise import Denoising, flip_suspicious, forward_loss, given_tags
from vaplan.pseudo_labels.generate import (
    STRATEGIES,
    choose_thresholds,
    confidence,
    evidence,
    generate_pseudo_labels,
    similarity,
    thresholds,
    video_level,
)
from vaplan.pseudo_labels.noise import NoiseEstimate, doubtful_tags, noise_ratios
from vaplan.pseudo_labels.swap import draw_partners, error_rates, exchanged, removed_by_exchange
from vaplan.pseudo_labels.unsupervised import thresholds_without_labels
from vaplan.pseudo_labels.valor import valor_prompts, valor_thresholds

__all__ = [
    "STRATEGIES",
    "Denoising",
    "NoiseEstimate",
    "choose_thresholds",
    "confidence",
    "doubtful_tags",
    "draw_partners",
    "error_rates",
    "evidence",
    "exchanged",
    "flip_suspicious",
    "forward_loss",
    "generate_pseudo_labels",
    "given_tags",
    "noise_ratios",
    "removed_by_exchange",
    "similarity",
    "thresholds",
    "thresholds_without_labels",
    "valor_prompts",
    "valor_thresholds",
    "video_level",
]

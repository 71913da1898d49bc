"""Labels made by a machine: PLG makes them (`generate`), PLD denoises them (`denoise`).

Beside them stand MA's exchange (`swap`), JoMoLD's noise (`noise`), VALOR's thresholds and prompts (`valor`), and what
to hold a class against where there are no tags (`open_vocabulary`). Without dense labels, `mixture` says how likely a
label is right; `smooth` averages evidence along the timeline; `fuse` joins it with what a parser says, and `fit_stack`
learns from densely labelled videos how to.
"""

from vaplan.pseudo_labels.denoise import (
    Denoising,
    flip_suspicious,
    forward_loss,
    given_tags,
)
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
from vaplan.pseudo_labels.mixture import Mixture, fit_mixture
from vaplan.pseudo_labels.noise import NoiseEstimate, doubtful_tags, noise_ratios
from vaplan.pseudo_labels.open_vocabulary import MARGINS, above_everyday
from vaplan.pseudo_labels.posterior import fuse
from vaplan.pseudo_labels.smoothing import smooth
from vaplan.pseudo_labels.stacking import Stack, fit_stack
from vaplan.pseudo_labels.swap import (
    draw_partners,
    error_rates,
    exchanged,
    removed_by_exchange,
)
from vaplan.pseudo_labels.unsupervised import thresholds_without_labels
from vaplan.pseudo_labels.valor import valor_prompts, valor_thresholds

__all__ = [
    "MARGINS",
    "STRATEGIES",
    "Denoising",
    "Mixture",
    "NoiseEstimate",
    "Stack",
    "above_everyday",
    "choose_thresholds",
    "confidence",
    "doubtful_tags",
    "draw_partners",
    "error_rates",
    "evidence",
    "exchanged",
    "fit_mixture",
    "fit_stack",
    "flip_suspicious",
    "forward_loss",
    "fuse",
    "generate_pseudo_labels",
    "given_tags",
    "noise_ratios",
    "removed_by_exchange",
    "similarity",
    "smooth",
    "thresholds",
    "thresholds_without_labels",
    "valor_prompts",
    "valor_thresholds",
    "video_level",
]

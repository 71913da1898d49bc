"""Pseudo labels: generation (PLG), denoising (PLD), refinement and diagnostics.

PLG computes `evidence`, chooses `thresholds` and applies them in `generate`. PLD flips
suspicious labels in `denoise`. Without dense labels, `hmm` and `mixture` estimate the
probability of each label and `diagnostics` its quality; `rules` names all rules. `fusion`
refines labels with a parser's predictions. The steps of other methods are `ma`, `jomold`
and `valor`.
"""

from vaplan.pseudo_labels.background import Background, fit_background
from vaplan.pseudo_labels.denoise import (
    Denoising,
    condition_on_tags,
    flip_suspicious,
    forward_loss,
)
from vaplan.pseudo_labels.diagnostics import (
    LabelDiagnostics,
    diagnose_labels,
    label_agreement,
)
from vaplan.pseudo_labels.evidence import (
    CONFIDENCE,
    DEVIATION,
    LOGIT,
    MARGIN,
    STRATEGIES,
    Evidence,
    compute_evidence,
    confidence,
    similarity,
    smooth,
    subtract_background,
)
from vaplan.pseudo_labels.expected_f import labels_of_highest_expected_f
from vaplan.pseudo_labels.fusion import (
    Sources,
    StackingModel,
    fit_stacking,
    fuse_log_odds,
)
from vaplan.pseudo_labels.generate import generate_pseudo_labels, video_level
from vaplan.pseudo_labels.hmm import (
    HiddenMarkovModel,
    LabelProbability,
    fit_hidden_markov_model,
)
from vaplan.pseudo_labels.jomold import NoiseEstimate, noise_ratios, noisy_tags
from vaplan.pseudo_labels.ma import (
    draw_partners,
    error_rates,
    exchange_modality,
    removed_by_exchange,
)
from vaplan.pseudo_labels.mixture import Mixture, fit_mixture
from vaplan.pseudo_labels.rules import LABEL_RULES, ChosenLabels, choose_labels
from vaplan.pseudo_labels.thresholds import (
    DEVIATIONS,
    MARGINS,
    THRESHOLD_RULES,
    ThresholdSpec,
    choose_thresholds,
    fit_thresholds_to_score,
    make_thresholds,
    thresholds_at_false_positive_rate,
)
from vaplan.pseudo_labels.valor import valor_prompts, valor_thresholds

__all__ = [
    "CONFIDENCE",
    "DEVIATION",
    "DEVIATIONS",
    "LABEL_RULES",
    "LOGIT",
    "MARGIN",
    "MARGINS",
    "STRATEGIES",
    "THRESHOLD_RULES",
    "Background",
    "ChosenLabels",
    "Denoising",
    "Evidence",
    "HiddenMarkovModel",
    "LabelDiagnostics",
    "LabelProbability",
    "Mixture",
    "NoiseEstimate",
    "Sources",
    "StackingModel",
    "ThresholdSpec",
    "choose_labels",
    "choose_thresholds",
    "compute_evidence",
    "condition_on_tags",
    "confidence",
    "diagnose_labels",
    "draw_partners",
    "error_rates",
    "exchange_modality",
    "fit_background",
    "fit_hidden_markov_model",
    "fit_mixture",
    "fit_stacking",
    "fit_thresholds_to_score",
    "flip_suspicious",
    "forward_loss",
    "fuse_log_odds",
    "generate_pseudo_labels",
    "label_agreement",
    "labels_of_highest_expected_f",
    "make_thresholds",
    "noise_ratios",
    "noisy_tags",
    "removed_by_exchange",
    "similarity",
    "smooth",
    "subtract_background",
    "thresholds_at_false_positive_rate",
    "valor_prompts",
    "valor_thresholds",
    "video_level",
]

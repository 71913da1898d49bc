"""Fit the segment thresholds of a decision rule on dense labels or on pseudo labels."""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from vaplan.arrays import Prediction
from vaplan.decisions.gates import GATED_RULES
from vaplan.decisions.localisation import LOCALISATION_RULES
from vaplan.metrics.ave import label_accuracy

LOCALISATION_CANDIDATES = 41
MAX_LOG_ODDS = 5.0  # of the candidates for localisation, whose probabilities saturate


def fit_thresholds(
    prediction: Prediction,
    reference: Bool[Tensor, "video time modality class"],
    *,
    rule: str,
    threshold: float = 0.5,
    candidates: int = 19,
) -> Float[Tensor, "modality class"]:
    """Choose segment thresholds that maximise the segment-level F of each class.

    The candidates are evenly spaced in (0, 1), plus `threshold` itself; of equally good
    ones the nearest to `threshold` is taken. A class without reference events in a
    modality keeps `threshold`. A localisation rule has one threshold for everything,
    chosen by accuracy from candidates with evenly spaced log odds.

    Args:
        prediction: Probabilities of a parser.
        reference: Dense labels of the same videos.
        rule: Name of the decision rule.
        threshold: Threshold of the gate.
        candidates: Number of evenly spaced candidates.
    """
    shape = prediction.segment.shape[2:]
    if rule in LOCALISATION_RULES:
        return _fit_localisation_threshold(prediction, reference, rule).expand(shape)
    values = torch.linspace(0, 1, candidates + 2)[1:-1]
    by_distance = (values - threshold).abs().argsort(stable=True)
    values = torch.cat([torch.tensor([threshold]), values[by_distance]])
    scores = []
    for value in values:
        marked = GATED_RULES[rule](
            prediction, threshold=threshold, segment_thresholds=value.expand(shape)
        )
        hits = (marked & reference).sum(dim=(0, 1))
        total = marked.sum(dim=(0, 1)) + reference.sum(dim=(0, 1))
        scores.append(2 * hits / total.clamp(min=1))
    best = values[torch.stack(scores).argmax(dim=0)]
    occurs = reference.any(dim=1).any(dim=0)
    return torch.where(occurs, best, torch.tensor(threshold))


def match_label_shares(
    prediction: Prediction,
    labels: Bool[Tensor, "video time modality class"],
    *,
    rule: str,
    threshold: float = 0.5,
    candidates: int = 99,
) -> Float[Tensor, "modality class"]:
    """Choose segment thresholds with which a parser marks as many segments as are labelled.

    Parsers are unsure: at a threshold of one half they mark less than they learned from. Each
    modality gets one threshold. The candidates are evenly spaced in (0, 1); of equally good
    ones the nearest to `threshold` is taken.

    Args:
        prediction: Probabilities of a parser.
        labels: Pseudo labels of the same videos.
        rule: Name of the decision rule.
        threshold: Threshold of the gate.
        candidates: Number of candidates.
    """
    shape = prediction.segment.shape[2:]
    values = torch.linspace(0, 1, candidates + 2)[1:-1]
    values = values[(values - threshold).abs().argsort(stable=True)]
    expected = _count_by_modality(labels & prediction.mask[..., None])
    distances = []
    for value in values:
        marked = GATED_RULES[rule](
            prediction, threshold=threshold, segment_thresholds=value.expand(shape)
        )
        distances.append((_count_by_modality(marked) - expected).abs())
    best = values[torch.stack(distances).argmin(dim=0)]
    return best[:, None].expand(shape)


def _count_by_modality(
    marked: Bool[Tensor, "video time modality class"],
) -> Int[Tensor, " modality"]:
    return marked.sum(dim=(0, 1, 3))


def _fit_localisation_threshold(
    prediction: Prediction,
    reference: Bool[Tensor, "video time modality class"],
    rule: str,
) -> Tensor:
    log_odds = torch.linspace(-MAX_LOG_ODDS, MAX_LOG_ODDS, LOCALISATION_CANDIDATES)
    values = log_odds[log_odds.abs().argsort(stable=True)].sigmoid()
    accuracies = []
    for value in values:
        marked = LOCALISATION_RULES[rule](prediction, threshold=float(value))
        accuracies.append(label_accuracy(reference.numpy(), marked.numpy()))
    return values[torch.tensor(accuracies).argmax()]

"""Losses: functions `(Prediction, Target, **settings) -> scalar`, summed with the weights a
recipe names.

An objective maps the names of losses to their weights, or to a weight and settings of theirs:
`{"video": 1.0, "modality": {"weight": 1.0, "smoothing": (0.0, 0.1)}}`.
"""

import inspect
import math
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from vaplan.arrays import Prediction, Target
from vaplan.errors import RecipeError, unknown
from vaplan.losses.contrastive import contrastive_jomold, contrastive_ma
from vaplan.losses.localisation import LOCALISATION
from vaplan.losses.mil import modality, modality_weak, segment, segment_logit, video
from vaplan.losses.richness import category_richness, segment_richness

Loss = Callable[..., Tensor]
Objective = Mapping[str, float | Mapping[str, Any]]

LOSSES: dict[str, Loss] = {
    "video": video,
    "modality": modality,
    "modality_weak": modality_weak,
    "segment": segment,
    "segment_logit": segment_logit,
    "category_richness": category_richness,
    "segment_richness": segment_richness,
    "contrastive_ma": contrastive_ma,
    "contrastive_jomold": contrastive_jomold,
    **LOCALISATION,
}
WEIGHT = "weight"


def total(
    prediction: Prediction, target: Target, objective: Objective
) -> tuple[Float[Tensor, ""], dict[str, Float[Tensor, ""]]]:
    """The weighted sum of the named losses, and each of them before weighting (detached, for the
    log).

    Args:
        prediction: Prediction of the network.
        target: Labels of the same videos.
        objective: Names of losses with their weights or settings.
    """
    check(objective)
    terms = {name: _term(term) for name, term in objective.items()}
    parts = {
        name: LOSSES[name](prediction, target, **settings)
        for name, (_, settings) in terms.items()
    }
    summed = torch.stack(
        [weight * parts[name] for name, (weight, _) in terms.items()]
    ).sum()
    return summed, {name: part.detach() for name, part in parts.items()}


def defaults(name: str) -> dict[str, Any]:
    """Return the settings of a loss and their defaults: its weight and keyword arguments."""
    if name not in LOSSES:
        raise RecipeError(unknown("loss", name, LOSSES))
    return {WEIGHT: 1.0, **_keyword_arguments(LOSSES[name])}


@cache
def _keyword_arguments(loss: Loss) -> dict[str, Any]:
    parameters = inspect.signature(loss).parameters.values()
    return {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}


def check(objective: Objective) -> None:
    """Refuse an objective that names no loss, one that does not exist, or a setting that cannot
    be."""
    if not objective:
        raise RecipeError(
            "an objective without losses", fix=f"name some of {', '.join(LOSSES)}"
        )
    for name, term in objective.items():
        settings = defaults(name)
        for key, value in (
            term if isinstance(term, Mapping) else {WEIGHT: term}
        ).items():
            if key not in settings:
                raise RecipeError(unknown(f"setting of {name}", key, settings))
            _check_value(f"{name}.{key}", value, settings[key])


def _check_value(name: str, value: Any, default: Any) -> None:
    if isinstance(default, str):
        return
    values = value if isinstance(value, tuple | list) else (value,)
    if isinstance(default, tuple) and len(values) != len(default):
        raise RecipeError(
            f"{name} has {len(values)} values, expected {len(default)}",
            fix="give one for each modality",
        )
    if any(not math.isfinite(number) or number < 0 for number in values):
        raise RecipeError(f"{name} is {value!r}, expected numbers of 0 or more")


def _term(term: float | Mapping[str, Any]) -> tuple[float, dict[str, Any]]:
    if not isinstance(term, Mapping):
        return float(term), {}
    settings = dict(term)
    return float(settings.pop(WEIGHT, 1.0)), settings

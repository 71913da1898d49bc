"""Losses: functions `(Prediction, Target, **settings) -> scalar`, and their weighted sum.

An objective maps the names of losses to their weights, or to a weight and settings:
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
    """Compute the weighted sum of the losses of an objective.

    Args:
        prediction: Prediction of the network.
        target: Labels of the same videos.
        objective: Names of losses with their weights or settings.

    Returns:
        The sum, and each loss before weighting, detached, for the log.
    """
    check(objective)
    losses: dict[str, Tensor] = {}
    terms: list[Tensor] = []
    for name, entry in objective.items():
        weight, settings = _weight_and_settings(entry)
        loss = LOSSES[name](prediction, target, **settings)
        losses[name] = loss.detach()
        terms.append(weight * loss)
    return torch.stack(terms).sum(), losses


def defaults(name: str) -> dict[str, Any]:
    """Return the defaults of a loss's settings: its weight and keyword arguments."""
    if name not in LOSSES:
        raise RecipeError(unknown("loss", name, LOSSES))
    return {WEIGHT: 1.0, **_keyword_arguments(LOSSES[name])}


@cache
def _keyword_arguments(loss: Loss) -> dict[str, Any]:
    parameters = inspect.signature(loss).parameters.values()
    return {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}


def check(objective: Objective) -> None:
    """Check the names, settings and weights of an objective.

    Raises:
        RecipeError: There are no losses, a name is unknown, or a value is not possible.
    """
    if not objective:
        raise RecipeError(
            "an objective without losses", fix=f"name some of {', '.join(LOSSES)}"
        )
    for name, entry in objective.items():
        known_settings = defaults(name)
        settings = entry if isinstance(entry, Mapping) else {WEIGHT: entry}
        for key, value in settings.items():
            if key not in known_settings:
                raise RecipeError(unknown(f"setting of {name}", key, known_settings))
            _check_value(f"{name}.{key}", value, known_settings[key])


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


def _weight_and_settings(
    entry: float | Mapping[str, Any],
) -> tuple[float, dict[str, Any]]:
    """Split an entry of an objective into the weight and other settings of the loss."""
    if not isinstance(entry, Mapping):
        return float(entry), {}
    settings = dict(entry)
    weight = settings.pop(WEIGHT, 1.0)
    return float(weight), settings

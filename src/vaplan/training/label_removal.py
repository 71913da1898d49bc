"""JoMoLD's training: remove noisy tags of each batch per modality before each step."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from vaplan.arrays import MODALITIES, Inputs, Target
from vaplan.errors import RecipeError, unknown
from vaplan.pseudo_labels.jomold import noisy_tags
from vaplan.taxonomy import Taxonomy

WARM_UPS, FORWARDS = ("ramp", "official"), ("fixed", "official")


@dataclass(frozen=True)
class Removal:
    """How tags are removed in training, after Cheng et al., ECCV 2022.

    Args:
        ratios: The file that `stages.noise_ratios` wrote.
        warm_up: "ramp", as described: the ratios grow to their full height over `warm_up_epochs`;
            or "official", as the published code behaves: nothing is removed in the first epoch,
            and everything from the second on.
        warm_up_epochs: Of the ramp.
        forward: "fixed": the losses that decide come from the network as it is trained and used,
            with cross attention and without dropout; or "official": without cross attention and
            with dropout.
        smoothing: Of the labels that the losses are taken against, per modality.
    """

    ratios: str = ""
    warm_up: str = "ramp"
    warm_up_epochs: float = 0.9
    forward: str = "fixed"
    smoothing: tuple[float, ...] = (0.0, 0.1)

    def __post_init__(self) -> None:
        for name, names in (("warm_up", WARM_UPS), ("forward", FORWARDS)):
            if getattr(self, name) not in names:
                raise RecipeError(unknown(name, getattr(self, name), names))
        if not self.warm_up_epochs >= 0 or len(self.smoothing) != 2:
            raise RecipeError(
                "warm_up_epochs must be 0 or more, and smoothing two numbers"
            )


@dataclass(frozen=True)
class Remover:
    """A `TargetHook`: pseudo labels of a batch are its tags in both modalities without the
    noisy ones."""

    settings: Removal
    ratios: Float[Tensor, "modality class"]

    @torch.no_grad()
    def __call__(
        self, model: nn.Module, inputs: Inputs, target: Target, passed: float
    ) -> Target:
        """The labels of this step, `passed` epochs after the start."""
        probability, present = self._modality(model, inputs), inputs.mask.any(dim=1)
        strength = probability.new_tensor(self.settings.smoothing)[:, None]
        label = target.weak[:, None].float() * (1 - strength) + strength / 2
        safe = probability.float().clamp(1e-7, 1 - 1e-7)
        loss = -(label * safe.log() + (1 - label) * (-safe).log1p())
        ratios = self.ratios.to(loss.device) * warm_up(passed, self.settings)
        labels = target.weak[:, None] & ~noisy_tags(loss, target.weak, present, ratios)
        return Target(target.weak, labels[:, None] & inputs.mask[..., None])

    def _modality(self, model: nn.Module, inputs: Inputs) -> Tensor:
        options: dict[str, Any] = (
            {"cross_attention": False} if self.settings.forward == "official" else {}
        )
        model.train(self.settings.forward == "official")
        probability: Tensor = model(inputs, **options).modality
        model.train()
        return probability


def warm_up(passed: float, settings: Removal) -> float:
    """The share of the ratios that counts after so many epochs.

    Args:
        passed: Number of epochs so far; fractions count.
        settings: Settings; see their class.

    >>> [warm_up(passed, Removal(warm_up="official")) for passed in (0.0, 0.95, 1.0)]
    [0.0, 0.0, 1.0]
    >>> [warm_up(passed, Removal(warm_up_epochs=2.0)) for passed in (0.0, 0.5, 3.0)]
    [0.0, 0.25, 1.0]
    """
    if settings.warm_up == "official":
        return float(passed >= 1)
    return (
        min(1.0, passed / settings.warm_up_epochs) if settings.warm_up_epochs else 1.0
    )


def load_removal(settings: Removal, taxonomy: Taxonomy) -> Remover:
    """Load the noise ratios that the settings name.

    Args:
        settings: Settings of the removal; `ratios` is a file of `vaplan noise`.
        taxonomy: Classes of the data set.

    Raises:
        RecipeError: There is no such file, or it lacks a class.
    """
    if not settings.ratios:
        raise RecipeError(
            "the recipe names no noise ratios", fix="give --set removal.ratios=FILE"
        )
    path = Path(settings.ratios)
    try:
        ratios = json.loads(path.read_text(encoding="utf-8"))["ratios"]
        rows = [
            [float(ratios[modality][name]) for name in taxonomy.classes]
            for modality in MODALITIES
        ]
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise RecipeError(
            f"it holds no noise ratios of these classes: {error!r}",
            file=path,
            fix="make them with `vaplan noise` on this data set",
        ) from None
    return Remover(settings, torch.tensor(rows, dtype=torch.float64))

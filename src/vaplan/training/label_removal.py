"""JoMoLD's training: remove noisy tags of each batch per modality before each step."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from vaplan.arrays import MODALITIES, Target
from vaplan.errors import RecipeError, unknown
from vaplan.models.windows import Batch, predict_batch
from vaplan.pseudo_labels.jomold import noisy_tags
from vaplan.reading import json_object
from vaplan.taxonomy import Taxonomy

WARM_UPS = ("ramp", "official")
FORWARDS = ("fixed", "official")
SMALLEST_PROBABILITY = 1e-7  # of a cross entropy, so that it is finite


@dataclass(frozen=True)
class Removal:
    """How tags are removed in training, after Cheng et al., ECCV 2022.

    Args:
        ratios: File that `stages.noise_ratios` wrote.
        warm_up: "ramp", as in the paper: the ratios grow linearly over `warm_up_epochs`.
            "official", as in the published code: no tags are removed in the first epoch,
            and the full ratios from the second epoch.
        warm_up_epochs: Length of the ramp.
        forward: "fixed": the losses are computed with cross attention and without
            dropout. "official": without cross attention and with dropout.
        smoothing: Smoothing of the labels in these losses, per modality.
    """

    ratios: str = ""
    warm_up: str = "ramp"
    warm_up_epochs: float = 0.9
    forward: str = "fixed"
    smoothing: tuple[float, ...] = (0.0, 0.1)

    def __post_init__(self) -> None:
        for name, choices in (("warm_up", WARM_UPS), ("forward", FORWARDS)):
            value = getattr(self, name)
            if value not in choices:
                raise RecipeError(unknown(name, value, choices))
        if not self.warm_up_epochs >= 0 or len(self.smoothing) != 2:
            raise RecipeError(
                "warm_up_epochs must be 0 or more, and smoothing two numbers"
            )


@dataclass(frozen=True)
class Remover:
    """A `TargetHook` that makes pseudo labels from tags without the noisy ones.

    Every segment of a modality has the tags of the video that are not noisy there.

    Attributes:
        settings: Settings of the removal.
        ratios: Share of noisy tags of each class in each modality.
    """

    settings: Removal
    ratios: Float[Tensor, "modality class"]

    @torch.no_grad()
    def __call__(
        self, model: nn.Module, batch: Batch, target: Target, epochs: float
    ) -> Target:
        """Return the labels of a step.

        Args:
            model: Network.
            batch: Features of the batch.
            target: Labels of the batch; the tags are used.
            epochs: Number of epochs so far; fractions count.
        """
        tags = target.weak
        probability = self._modality_probability(model, batch)
        loss = self._loss(probability, tags)
        ratios = self.ratios.to(loss.device) * warm_up(epochs, self.settings)
        present = batch.mask.any(dim=1)
        is_noisy = noisy_tags(loss, tags, present, ratios)
        modality_tags = tags[:, None] & ~is_noisy
        pseudo_label = modality_tags[:, None] & batch.mask[..., None]
        return Target(tags, pseudo_label)

    def _modality_probability(
        self, model: nn.Module, batch: Batch
    ) -> Float[Tensor, "video modality class"]:
        """Predict with the forward pass of the settings; the network is then in training."""
        is_official = self.settings.forward == "official"
        options: dict[str, Any] = {"cross_attention": False} if is_official else {}
        model.train(is_official)
        probability: Tensor = predict_batch(model, batch, **options).modality
        model.train()
        return probability

    def _loss(
        self, probability: Float[Tensor, "video modality class"], tags: Tensor
    ) -> Float[Tensor, "video modality class"]:
        """Compute the cross entropy of each modality and the smoothed tags."""
        strength = probability.new_tensor(self.settings.smoothing)[:, None]
        label = tags[:, None].float() * (1 - strength) + strength / 2
        clipped = probability.float().clamp(
            SMALLEST_PROBABILITY, 1 - SMALLEST_PROBABILITY
        )
        positive = label * clipped.log()
        negative = (1 - label) * (-clipped).log1p()
        return -(positive + negative)


def warm_up(epochs: float, settings: Removal) -> float:
    """Return the factor of the ratios after a number of epochs, in [0, 1].

    Args:
        epochs: Number of epochs so far; fractions count.
        settings: Settings of the removal.

    >>> [warm_up(epochs, Removal(warm_up="official")) for epochs in (0.0, 0.95, 1.0)]
    [0.0, 0.0, 1.0]
    >>> [warm_up(epochs, Removal(warm_up_epochs=2.0)) for epochs in (0.0, 0.5, 3.0)]
    [0.0, 0.25, 1.0]
    """
    if settings.warm_up == "official":
        return 1.0 if epochs >= 1 else 0.0
    if settings.warm_up_epochs == 0:
        return 1.0
    return min(1.0, epochs / settings.warm_up_epochs)


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
    fix = "make them with `vaplan noise` on this data set"
    content = json_object(path, what="noise ratios", fix=fix, error=RecipeError)
    try:
        ratios = content["ratios"]
        rows = [
            [float(ratios[modality][name]) for name in taxonomy.classes]
            for modality in MODALITIES
        ]
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise RecipeError(
            f"no noise ratios of these classes: {error!r}", file=path, fix=fix
        ) from None
    if not all(0 <= ratio <= 1 for row in rows for ratio in row):
        raise RecipeError("a noise ratio is not in [0, 1]", file=path, fix=fix)
    return Remover(settings, torch.tensor(rows, dtype=torch.float64))

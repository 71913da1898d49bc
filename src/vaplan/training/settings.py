"""How to train, as a value, and the learning rate of each epoch."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch

from vaplan.errors import RecipeError, unknown
from vaplan.metrics.llp import KINDS, LEVELS

OPTIMISERS: dict[str, Callable[..., torch.optim.Optimizer]] = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}
SELECTIONS = tuple(f"{level} {kind}" for level in LEVELS for kind in KINDS)
TIES = ("later", "earlier")


def _constant(_epoch: int, _settings: "Training") -> float:
    return 1.0


def _step(epoch: int, settings: "Training") -> float:
    return settings.step_factor ** (epoch // settings.step_epochs)


def _cosine(epoch: int, settings: "Training") -> float:
    return 0.5 * (1 + math.cos(math.pi * epoch / settings.epochs))


Schedule = Callable[[int, "Training"], float]
SHAPES: dict[str, Schedule] = {"constant": _constant, "step": _step, "cosine": _cosine}
WARMUP_COSINE = "warmup_cosine"
SCHEDULES = (*SHAPES, WARMUP_COSINE)


@dataclass(frozen=True)
class Training:
    """How to train; see `fit`.

    `schedule` is "constant", "step" (times `step_factor` every `step_epochs`) or "cosine" (to zero over `epochs`);
    any of them may begin with `warmup_epochs` of linear growth. "warmup_cosine" (VALOR) reaches `learning_rate` in
    epoch number `warmup_epochs` and `lowest_rate` in the last. `select` is "last", or "best": the weights of the epoch
    that validates best by `select_by`, the later one of equals or the earlier one (`ties`); `patience` ends a training
    after so many epochs that were not better. `threads` are those of the CPU: another number gives other last bits,
    and small networks are fastest with one.
    """

    epochs: int = 30
    batch_size: int = 64
    learning_rate: float = 5e-4
    weight_decay: float = 0.0
    optimiser: str = "adam"
    betas: tuple[float, ...] = (0.9, 0.999)
    schedule: str = "constant"
    step_epochs: int = 10
    step_factor: float = 0.1
    warmup_epochs: int = 0
    lowest_rate: float = 0.0
    clip_norm: float | None = None
    select: str = "last"
    select_by: str = "segment type"
    ties: str = "later"
    patience: int | None = None
    seed: int = 0
    device: str = "cpu"
    threads: int = 1

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "step_epochs", "threads"):
            if getattr(self, name) < 1:
                raise RecipeError(f"{name} must be at least 1, not {getattr(self, name)}")
        if self.patience is not None and self.patience < 1:
            raise RecipeError(f"patience must be at least 1, not {self.patience}")
        if not (self.learning_rate > 0 and math.isfinite(self.learning_rate)):
            raise RecipeError(f"learning_rate must be above 0, not {self.learning_rate}")
        if not 0 <= self.lowest_rate <= self.learning_rate:
            raise RecipeError(f"lowest_rate must lie between 0 and learning_rate, not {self.lowest_rate}")
        if len(self.betas) != 2 or not all(0 <= beta < 1 for beta in self.betas):
            raise RecipeError(f"betas must be two numbers in [0, 1), not {self.betas}")
        self._check_names()

    def _check_names(self) -> None:
        known_names = {
            "optimiser": OPTIMISERS,
            "schedule": SCHEDULES,
            "select": ("last", "best"),
            "select_by": SELECTIONS,
            "ties": TIES,
        }
        for name, known in known_names.items():
            if getattr(self, name) not in known:
                raise RecipeError(unknown(name, getattr(self, name), known))

    @property
    def validates(self) -> bool:
        """Whether each epoch is validated."""
        return self.select == "best" or self.patience is not None


def learning_rate(epoch: int, settings: Training) -> float:
    """The learning rate of the epoch with this index, from 0.

    >>> [learning_rate(epoch, Training(schedule="step", step_epochs=2, learning_rate=1.0)) for epoch in (0, 1, 2)]
    [1.0, 1.0, 0.1]
    """
    if settings.schedule == WARMUP_COSINE:
        return _warmup_cosine(epoch + 1, settings)
    growth = min(1.0, (epoch + 1) / (settings.warmup_epochs + 1))
    return settings.learning_rate * growth * SHAPES[settings.schedule](epoch, settings)


def _warmup_cosine(number: int, settings: Training) -> float:
    """VALOR's rate in epoch `number`, from 1."""
    if number < settings.warmup_epochs:
        return settings.learning_rate * number / settings.warmup_epochs
    passed = (number - settings.warmup_epochs) / max(1, settings.epochs - settings.warmup_epochs)
    span = settings.learning_rate - settings.lowest_rate
    return settings.lowest_rate + 0.5 * span * (1 + math.cos(math.pi * passed))

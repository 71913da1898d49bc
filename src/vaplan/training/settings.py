"""How to train, as a value, and the learning rate of each epoch."""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass

import torch

from vaplan.errors import RecipeError, unknown
from vaplan.metrics.llp import KINDS, LEVELS

OPTIMISERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
}
ACCURACY = "accuracy"  # of localisation
SELECTIONS = (*(f"{level} {kind}" for level in LEVELS for kind in KINDS), ACCURACY)
SELECTION_SPLITS = ("val", "test")
TIES = ("later", "earlier")
PRECISIONS = ("fp32", "bf16", "auto")
DEVICES = r"auto|cpu|mps|cuda(:\d+)?"


def _constant(_epoch: int, _settings: "Training") -> float:
    return 1.0


def _step(epoch: int, settings: "Training") -> float:
    return settings.step_factor ** (epoch // settings.step_epochs)


def _milestones(epoch: int, settings: "Training") -> float:
    return settings.step_factor ** sum(
        epoch >= milestone for milestone in settings.milestones
    )


def _cosine(epoch: int, settings: "Training") -> float:
    return 0.5 * (1 + math.cos(math.pi * epoch / settings.epochs))


Schedule = Callable[[int, "Training"], float]
SHAPES: dict[str, Schedule] = {
    "constant": _constant,
    "step": _step,
    "milestones": _milestones,
    "cosine": _cosine,
}
WARMUP_COSINE = "warmup_cosine"
SCHEDULES = (*SHAPES, WARMUP_COSINE)


@dataclass(frozen=True)
class Training:
    """How to train; see `fit`.

    `schedule` is "constant", "step" (times `step_factor` every `step_epochs`), "milestones"
    (times `step_factor` after so many epochs each) or "cosine" (to zero over `epochs`); any of
    them may begin with `warmup_epochs` of linear growth. "warmup_cosine" (VALOR) reaches
    `learning_rate` in epoch number `warmup_epochs` and `lowest_rate` in the last. `select` is
    "last", or "best": the weights of the epoch that validates best by `select_by`, the later one
    of equals or the earlier one (`ties`). It validates on split `select_on`: published code that
    chose on "test" can be repeated, and the run says so. `patience` ends a training after so many
    epochs that were not better. `threads` are those of the CPU: another number gives other last
    bits, and small networks are fastest with one. `device` is "auto", "cpu", "cuda", "cuda:1" or
    "mps"; `precision` "fp32", "bf16" (products only: weights, losses and the finished parser stay
    in fp32), or "auto": bf16 where the device multiplies in it. With `ema` the weights that are
    validated and kept are a moving average of the trained ones; in each step the average so far
    counts that much (0.99, say; 0 for none).
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
    milestones: tuple[int, ...] = ()
    warmup_epochs: int = 0
    lowest_rate: float = 0.0
    clip_norm: float | None = None
    ema: float = 0.0
    select: str = "last"
    select_by: str = "segment type"
    select_on: str = "val"
    ties: str = "later"
    patience: int | None = None
    seed: int = 0
    device: str = "cpu"
    precision: str = "fp32"
    threads: int = 1

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "step_epochs", "threads"):
            if getattr(self, name) < 1:
                raise RecipeError(
                    f"{name} must be at least 1, not {getattr(self, name)}"
                )
        if self.patience is not None and self.patience < 1:
            raise RecipeError(f"patience must be at least 1, not {self.patience}")
        if not (self.learning_rate > 0 and math.isfinite(self.learning_rate)):
            raise RecipeError(
                f"learning_rate must be above 0, not {self.learning_rate}"
            )
        if not 0 <= self.lowest_rate <= self.learning_rate:
            raise RecipeError(
                f"lowest_rate must lie between 0 and learning_rate, not {self.lowest_rate}"
            )
        if not 0 <= self.ema < 1:
            raise RecipeError(
                f"ema must lie in [0, 1), not {self.ema}",
                fix="write ema: 0.99, or 0 for none",
            )
        if len(self.betas) != 2 or not all(0 <= beta < 1 for beta in self.betas):
            raise RecipeError(f"betas must be two numbers in [0, 1), not {self.betas}")
        if not re.fullmatch(DEVICES, self.device):
            raise RecipeError(
                f"unknown device {self.device!r}",
                fix="say auto, cpu, cuda, cuda:1 or mps",
            )
        self._check_names()

    def _check_names(self) -> None:
        known_names = {
            "optimiser": OPTIMISERS,
            "schedule": SCHEDULES,
            "select": ("last", "best"),
            "select_by": SELECTIONS,
            "select_on": SELECTION_SPLITS,
            "ties": TIES,
            "precision": PRECISIONS,
        }
        for name, names in known_names.items():
            if getattr(self, name) not in names:
                raise RecipeError(unknown(name, getattr(self, name), names))

    @property
    def validates(self) -> bool:
        """Whether each epoch is validated."""
        return self.select == "best" or self.patience is not None


def learning_rate(epoch: int, settings: Training) -> float:
    """The learning rate of the epoch with this index, from 0.

    Args:
        epoch: Index of the epoch, from 0.
        settings: Settings; see their class.

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
    passed = (number - settings.warmup_epochs) / max(
        1, settings.epochs - settings.warmup_epochs
    )
    span = settings.learning_rate - settings.lowest_rate
    return settings.lowest_rate + 0.5 * span * (1 + math.cos(math.pi * passed))

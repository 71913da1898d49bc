"""Training settings, and the learning rate of each epoch."""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass

import torch

from vaplan.errors import RecipeError, unknown
from vaplan.metrics.llp import KINDS, LEVELS
from vaplan.models.windows import WINDOW
from vaplan.reading import MAX_SEED

OPTIMISERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
}
ACCURACY = "accuracy"  # the official number of AVE
SELECTIONS = (*(f"{level} {kind}" for level in LEVELS for kind in KINDS), ACCURACY)
SELECTION_SPLITS = ("val", "test")
TIES = ("later", "earlier")
PRECISIONS = ("fp32", "bf16", "auto")
DEVICES = r"auto|cpu|mps|cuda(:\d+)?"


def _constant(_epoch: int, _settings: "Training") -> float:
    return 1.0


def _step(epoch: int, settings: "Training") -> float:
    steps = epoch // settings.step_epochs
    return settings.step_factor**steps


def _milestones(epoch: int, settings: "Training") -> float:
    steps = sum(epoch >= milestone for milestone in settings.milestones)
    return settings.step_factor**steps


def _cosine(epoch: int, settings: "Training") -> float:
    angle = math.pi * epoch / settings.epochs
    return 0.5 * (1 + math.cos(angle))


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

    Args:
        epochs: Number of epochs.
        batch_size: Number of videos of a batch. A video that is longer than a window
            counts as its windows.
        window: Number of segments that attend to each other. A longer video is cut into
            windows of this length; see `models.windows`.
        max_segments: Largest number of segments of a video in a batch. Of a longer video,
            windows are drawn for each step.
        learning_rate: Highest learning rate.
        weight_decay: Weight decay of the optimiser.
        optimiser: A name in `OPTIMISERS`.
        betas: Both decay rates of the optimiser's moments.
        schedule: "constant"; "step": times `step_factor` every `step_epochs`;
            "milestones": times `step_factor` after each of `milestones`; "cosine": to
            zero over `epochs`; "warmup_cosine" (VALOR): reaches `learning_rate` in epoch
            number `warmup_epochs` and `lowest_rate` in the last epoch.
        step_epochs: Number of epochs of a step.
        step_factor: Factor of the learning rate at a step or milestone.
        milestones: Numbers of epochs after which the learning rate changes.
        warmup_epochs: Number of epochs in which the learning rate grows linearly, with
            any schedule.
        lowest_rate: Last learning rate of "warmup_cosine".
        clip_norm: Largest norm of the gradients; None for no limit.
        ema: Weight of the previous average in each step, in [0, 1), 0.99 for example. The
            averaged weights are validated and returned. 0 for no average.
        select: Weights of the "last" epoch, or of the "best" one by validation.
        select_by: Number of the validation, one of `SELECTIONS`.
        select_on: Split of the validation. Published code that selects on "test" can be
            reproduced, and the run reports it.
        ties: Which of two equally good epochs is the best, the "later" or the "earlier".
        patience: Number of epochs without improvement that ends the training.
        seed: Seed of batches, dropout and other random numbers.
        device: "auto", "cpu", "cuda", "cuda:1" or "mps".
        precision: "fp32"; "bf16" (only of products: weights, losses and the trained
            parser are fp32); "auto": bf16 if the device multiplies in it.
        threads: Number of CPU threads. Two threads on two idle cores need about 0.65 of the
            time of one (`benchmarks/results/threads.md`), but a fifth to a quarter more CPU
            time: a thread that waits for the other one does not sleep. Where other processes
            want the cores, two threads can be slower than one. The default is one, because
            the number has an effect on the last bits of the result; to use more cores, train
            several runs at a time.
    """

    epochs: int = 30
    batch_size: int = 64
    window: int = WINDOW
    max_segments: int = 600
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
        for name in ("epochs", "batch_size", "window", "step_epochs", "threads"):
            number = getattr(self, name)
            if number < 1:
                raise RecipeError(f"{name} must be at least 1, not {number}")
        if self.max_segments < self.window:
            raise RecipeError(
                f"max_segments must be at least the window of {self.window}, "
                f"not {self.max_segments}"
            )
        if not 0 <= self.seed <= MAX_SEED:
            raise RecipeError(
                f"seed must be at least 0 and less than 2^63, not {self.seed}"
            )
        if self.patience is not None and self.patience < 1:
            raise RecipeError(f"patience must be at least 1, not {self.patience}")
        if not (self.learning_rate > 0 and math.isfinite(self.learning_rate)):
            raise RecipeError(
                f"learning_rate must be above 0, not {self.learning_rate}"
            )
        if not 0 <= self.lowest_rate <= self.learning_rate:
            raise RecipeError(
                "lowest_rate must lie between 0 and learning_rate, "
                f"not {self.lowest_rate}"
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
                fix="write auto, cpu, cuda, cuda:1 or mps",
            )
        self._check_names()

    def _check_names(self) -> None:
        choices = {
            "optimiser": OPTIMISERS,
            "schedule": SCHEDULES,
            "select": ("last", "best"),
            "select_by": SELECTIONS,
            "select_on": SELECTION_SPLITS,
            "ties": TIES,
            "precision": PRECISIONS,
        }
        for name, names in choices.items():
            value = getattr(self, name)
            if value not in names:
                raise RecipeError(unknown(name, value, names))

    @property
    def validates(self) -> bool:
        """Whether the network is validated after each epoch."""
        return self.select == "best" or self.patience is not None


def learning_rate(epoch: int, settings: Training) -> float:
    """Compute the learning rate of an epoch.

    Args:
        epoch: Index of the epoch, from 0.
        settings: Training settings.

    >>> settings = Training(schedule="step", step_epochs=2, learning_rate=1.0)
    >>> [learning_rate(epoch, settings) for epoch in (0, 1, 2)]
    [1.0, 1.0, 0.1]
    """
    if settings.schedule == WARMUP_COSINE:
        return _warmup_cosine(epoch + 1, settings)
    growth = min(1.0, (epoch + 1) / (settings.warmup_epochs + 1))
    factor = SHAPES[settings.schedule](epoch, settings)
    return settings.learning_rate * growth * factor


def _warmup_cosine(number: int, settings: Training) -> float:
    """Compute VALOR's learning rate of an epoch, numbered from 1."""
    if number < settings.warmup_epochs:
        return settings.learning_rate * number / settings.warmup_epochs
    cosine_epochs = max(1, settings.epochs - settings.warmup_epochs)
    progress = (number - settings.warmup_epochs) / cosine_epochs
    span = settings.learning_rate - settings.lowest_rate
    return settings.lowest_rate + 0.5 * span * (1 + math.cos(math.pi * progress))

"""Train a parser, run it over many videos, and turn what it says into decisions.

One loop for every method: batches are taken by index from arrays in memory, the objective is a weighted sum of named
losses. The same seed gives the same weights on the same machine.
"""

import copy
import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float
from lightning_fabric import Fabric
from torch import Tensor, nn

from vaplan import losses as objective
from vaplan.arrays import Inputs, Prediction, Target
from vaplan.errors import RecipeError, unknown

Epoch = dict[str, int | float]
Validate = Callable[[nn.Module], float]
OPTIMISERS: dict[str, Callable[..., torch.optim.Optimizer]] = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}


def _constant(_epoch: int, _settings: "Training") -> float:
    return 1.0


def _step(epoch: int, settings: "Training") -> float:
    return settings.step_factor ** (epoch // settings.step_epochs)


def _cosine(epoch: int, settings: "Training") -> float:
    return 0.5 * (1 + math.cos(math.pi * epoch / settings.epochs))


Schedule = Callable[[int, "Training"], float]
SCHEDULES: dict[str, Schedule] = {"constant": _constant, "step": _step, "cosine": _cosine}


@dataclass(frozen=True)
class Training:
    """How to train; see `fit`.

    `schedule` is "constant", "step" (times `step_factor` every `step_epochs`) or "cosine" (to zero over `epochs`);
    any of them may begin with `warmup_epochs` of linear growth. `select` is "last", or "best": the weights of the
    epoch that validates best, the later one of equals. `threads` are those of the CPU: another number gives other last
    bits, and small networks are fastest with one.
    """

    epochs: int = 30
    batch_size: int = 64
    learning_rate: float = 5e-4
    weight_decay: float = 0.0
    optimiser: str = "adam"
    schedule: str = "constant"
    step_epochs: int = 10
    step_factor: float = 0.1
    warmup_epochs: int = 0
    clip_norm: float | None = None
    select: str = "last"
    seed: int = 0
    device: str = "cpu"
    threads: int = 1

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "step_epochs", "threads"):
            if getattr(self, name) < 1:
                raise RecipeError(f"{name} must be at least 1, not {getattr(self, name)}")
        if not (self.learning_rate > 0 and math.isfinite(self.learning_rate)):
            raise RecipeError(f"learning_rate must be above 0, not {self.learning_rate}")
        for name, known in (("optimiser", OPTIMISERS), ("schedule", SCHEDULES), ("select", ("last", "best"))):
            if getattr(self, name) not in known:
                raise RecipeError(unknown(name, getattr(self, name), known))


def fit(
    model: nn.Module,
    inputs: Inputs,
    target: Target,
    *,
    settings: Training,
    losses: Mapping[str, float],
    validate: Validate | None = None,
    on_epoch: Callable[[Epoch], None] | None = None,
) -> list[Epoch]:
    """Train `model` in place and return its history, one entry an epoch.

    Args:
        losses: Names of `losses.LOSSES` and their weights.
        validate: Called after each epoch with the model in evaluation mode; larger is better.
        on_epoch: Called with each entry: the mean objective ("loss"), each loss before weighting, "learning_rate",
            "epoch", and "validation" where there is one.
    """
    _check(losses, settings, validate)
    fabric = Fabric(accelerator=settings.device, devices=1)
    make = OPTIMISERS[settings.optimiser]
    optimiser = make(model.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay)
    wrapped = fabric.setup(_Objective(model, losses), optimiser)
    data = _move_inputs(inputs, fabric.device), _move_target(target, fabric.device)
    history: list[Epoch] = []
    best = -math.inf, model.state_dict()  # not a copy: without a better epoch, the weights stay as they are
    order = torch.Generator().manual_seed(settings.seed)  # its own, so that methods see the same batches
    with seeded(settings.seed), threads(settings.threads):
        for epoch in range(settings.epochs):
            means = _train_epoch(fabric, wrapped, data, settings, epoch=epoch, order=order)
            entry = _entry(epoch, means, settings)
            model.eval()
            if validate is not None:
                entry["validation"] = validate(model)
            if settings.select == "best" and entry["validation"] >= best[0]:
                best = entry["validation"], copy.deepcopy(model.state_dict())
            history.append(entry)
            if on_epoch is not None:
                on_epoch(entry)
    model.load_state_dict(best[1])
    return history


@torch.no_grad()
def predict(model: nn.Module, inputs: Inputs, *, batch_size: int = 256) -> Prediction:
    """What the model says about each video, in evaluation mode; the result is on the CPU."""
    device = next(iter(model.parameters()), torch.empty(0)).device
    was_training = model.training
    model.eval()
    batches = (inputs[start : start + batch_size] for start in range(0, len(inputs), batch_size))
    with threads(1):
        said = [model(_move_inputs(batch, device)) for batch in batches]
    model.train(was_training)
    return Prediction(
        *(torch.cat([getattr(p, name).cpu() for p in said]) for name in ("segment", "modality", "video", "mask"))
    )


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Compute with so many CPU threads inside, and as before outside: the number decides the last bits of a result."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Draw torch's random numbers from `seed` inside, and leave the outside as it was.

    Build a model in it for the same initial weights each time.
    """
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        yield


def global_gate(prediction: Prediction) -> Float[Tensor, "video 1 1 class"]:
    """HAN's published rule: the video as a whole must hold the class."""
    return prediction.video[:, None, None]


def modality_gate(prediction: Prediction) -> Float[Tensor, "video 1 modality class"]:
    """The rule of MA and JoMoLD: that modality of the video must hold the class."""
    return prediction.modality[:, None]


def segment_gate(prediction: Prediction) -> Float[Tensor, "video time modality class"]:
    """No gate: segments decide alone."""
    return prediction.segment


DECISIONS: dict[str, Callable[[Prediction], Tensor]] = {
    "global_gate": global_gate,
    "modality_gate": modality_gate,
    "segment": segment_gate,
}


def decide(
    prediction: Prediction, *, rule: str = "global_gate", threshold: float = 0.5
) -> Bool[Tensor, "video time modality class"]:
    """Mark the segments at or above `threshold` for which the rule's gate is, too."""
    if rule not in DECISIONS:
        raise RecipeError(unknown("decision rule", rule, DECISIONS))
    passed = DECISIONS[rule](prediction) >= threshold
    return (prediction.segment >= threshold) & passed & prediction.mask[..., None]


def learning_rate(epoch: int, settings: Training) -> float:
    """The learning rate of the epoch with this index, from 0.

    >>> [learning_rate(epoch, Training(schedule="step", step_epochs=2, learning_rate=1.0)) for epoch in (0, 1, 2)]
    [1.0, 1.0, 0.1]
    """
    growth = min(1.0, (epoch + 1) / (settings.warmup_epochs + 1))
    return settings.learning_rate * growth * SCHEDULES[settings.schedule](epoch, settings)


class _Objective(nn.Module):
    """A model and its losses as one module: Fabric wraps it, and wants plain tensors in and out."""

    def __init__(self, model: nn.Module, weights: Mapping[str, float]) -> None:
        super().__init__()
        self.model, self.weights = model, dict(weights)

    def forward(
        self, streams: Any, mask: Tensor, weak: Tensor, pseudo: Tensor | None
    ) -> tuple[Tensor, dict[str, Tensor]]:
        return objective.total(self.model(Inputs(streams, mask)), Target(weak, pseudo), self.weights)


def _train_epoch(
    fabric: Fabric,
    wrapped: tuple[Any, Any],
    data: tuple[Inputs, Target],
    settings: Training,
    *,
    epoch: int,
    order: torch.Generator,
) -> dict[str, float]:
    """Pass once over the videos, and return the objective and its parts as means over videos."""
    (network, optimiser), (inputs, target) = wrapped, data
    network.train()
    for group in optimiser.param_groups:
        group["lr"] = learning_rate(epoch, settings)
    sums: dict[str, Tensor] = defaultdict(lambda: torch.zeros((), device=fabric.device))
    shuffled = torch.randperm(len(inputs), generator=order).to(fabric.device)
    for index in torch.split(shuffled, settings.batch_size):
        batch, labels = inputs[index], target[index]
        loss, parts = network(batch.streams, batch.mask, labels.weak, labels.pseudo)
        optimiser.zero_grad()
        fabric.backward(loss)
        if settings.clip_norm is not None:
            fabric.clip_gradients(network, optimiser, max_norm=settings.clip_norm)
        optimiser.step()
        for name, part in {"loss": loss.detach(), **parts}.items():
            sums[name] += part * len(index)
    return {name: float(value) / len(inputs) for name, value in sums.items()}


def _entry(epoch: int, means: dict[str, float], settings: Training) -> Epoch:
    if not math.isfinite(means["loss"]):
        raise RecipeError(
            f"the loss is {means['loss']} in epoch {epoch + 1}",
            fix="lower learning_rate, set clip_norm, or look for values that are not numbers in the features",
        )
    return {"epoch": epoch + 1, "learning_rate": learning_rate(epoch, settings), **means}


def _check(losses: Mapping[str, float], settings: Training, validate: Validate | None) -> None:
    objective.check(losses)
    if settings.select == "best" and validate is None:
        raise RecipeError("select: best needs validation videos", fix="give some, or select: last")


def _move_inputs(inputs: Inputs, device: torch.device) -> Inputs:
    audio, visual = (tuple(stream.to(device) for stream in streams) for streams in inputs.streams)
    return Inputs((audio, visual), inputs.mask.to(device))


def _move_target(target: Target, device: torch.device) -> Target:
    pseudo = None if target.pseudo is None else target.pseudo.to(device)
    return Target(target.weak.to(device), pseudo)

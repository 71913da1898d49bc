"""The one training loop: batches by index from arrays in memory or mapped to it, and a weighted
sum of named losses.

It can be killed between any two steps and resumed with the same bits.
"""

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from vaplan import losses as objectives
from vaplan.arrays import Inputs, Target
from vaplan.errors import RecipeError
from vaplan.losses import Objective
from vaplan.training.checkpoints import (
    Checkpoints,
    optimiser_tensors,
    restore_optimiser,
)
from vaplan.training.devices import (
    fabric,
    gather_batch,
    in_full_precision,
    is_rank_zero,
    place,
    rank_slice,
    to_device_if_fits,
)
from vaplan.training.inference import move_inputs, move_target, seeded, threads
from vaplan.training.mean_teacher import Teacher, correct_targets, update_ema
from vaplan.training.settings import OPTIMISERS, Training, learning_rate

Epoch = dict[str, int | float]
Validate = Callable[[nn.Module], float]
TargetHook = Callable[[nn.Module, Inputs, Target, float], Target]


def fit(
    model: nn.Module,
    inputs: Inputs,
    target: Target,
    *,
    settings: Training,
    losses: Objective,
    validate: Validate | None = None,
    on_epoch: Callable[[Epoch], None] | None = None,
    target_hook: TargetHook | None = None,
    teacher: Teacher | None = None,
    checkpoints: Checkpoints | None = None,
) -> list[Epoch]:
    """Train `model` in place and return its history, one entry an epoch.

    Args:
        losses: Names of `losses.LOSSES` and their weights, or settings with a weight among them.
        validate: Called after each epoch with the model in evaluation mode; larger is better.
        on_epoch: Called with each entry: the mean objective ("loss"), each loss before weighting,
            "learning_rate", "epoch", and "validation" where there is one.
        target_hook: Called before each step with the model, the batch, its labels and the number
            of epochs so far (2.5 in the middle of the third); returns the labels of that step.
        teacher: How the averaged network (`settings.ema`) corrects these labels.
        checkpoints: Where to keep what a killed training needs, and whether to go on from there.
    """
    objectives.check(losses)
    if settings.validates and validate is None:
        what = "select: best" if settings.select == "best" else "patience"
        raise RecipeError(
            f"{what} needs validation videos",
            fix="give some, or select: last without patience",
        )
    if teacher is not None and not settings.ema:
        raise RecipeError(
            "a teacher is an average of weights, and there is none",
            fix="set training.ema, to 0.99 say",
        )
    loop = _Loop(
        model,
        (inputs, target),
        settings,
        losses=losses,
        target_hook=target_hook,
        teacher=teacher,
        checkpoints=checkpoints,
    )
    with seeded(settings.seed), threads(settings.threads):
        loop.resume()
        while not loop.ended:
            entry = loop.train_epoch()
            if validate is not None:
                score = validate(loop.judged.eval()) if is_rank_zero() else 0.0
                entry["validation"] = loop.fabric.broadcast(score)
            loop.finish_epoch(entry)
            if on_epoch is not None and is_rank_zero():
                on_epoch(entry)
    model.load_state_dict(loop.judged.state_dict() if loop.best is None else loop.best)
    model.eval()
    return loop.state.history


@dataclass
class _State:
    """Position of a training: between two steps or two epochs."""

    epoch: int = 0
    steps: int = 0  # of this epoch
    history: list[Epoch] = field(default_factory=list)
    best: float | None = None
    since_best: int = 0


class _Objective(nn.Module):
    """A model and its losses as one module, as Fabric requires."""

    def __init__(self, model: nn.Module, objective: Objective) -> None:
        super().__init__()
        self.model, self.objective = model, objective

    def forward(
        self, streams: Any, mask: Tensor, labels: dict[str, Any], share: slice
    ) -> tuple[Tensor, dict[str, Tensor]]:
        prediction, target = self.model(Inputs(streams, mask)), Target(**labels)
        with torch.autocast(mask.device.type, enabled=False):
            prediction = gather_batch(
                in_full_precision(prediction), share, len(target.weak)
            )
            return objectives.total(prediction, target, self.objective)


class _Loop:
    """State of a running training; all of it can be saved and restored."""

    def __init__(
        self,
        model: nn.Module,
        data: tuple[Inputs, Target],
        settings: Training,
        *,
        losses: Objective,
        target_hook: TargetHook | None,
        teacher: Teacher | None,
        checkpoints: Checkpoints | None,
    ) -> None:
        self.model, self.settings, self.checkpoints = model, settings, checkpoints
        self.target_hook, self.teacher = target_hook, teacher
        self.fabric = fabric(place(settings))
        options = {
            "lr": settings.learning_rate,
            "weight_decay": settings.weight_decay,
            "betas": settings.betas,
        }
        self.optimiser = OPTIMISERS[settings.optimiser](model.parameters(), **options)
        self.network, self.stepper = self.fabric.setup(
            _Objective(model, losses), self.optimiser
        )
        self.inputs, self.target = (
            to_device_if_fits(data[0], self.fabric.device),
            move_target(data[1], self.fabric.device),
        )
        self.order = torch.Generator().manual_seed(
            settings.seed
        )  # its own, so that methods see the same batches
        self.average = (
            copy.deepcopy(model).requires_grad_(False).eval() if settings.ema else None
        )
        self.state, self.best = (
            _State(),
            None if settings.select == "last" else self.judged.state_dict(),
        )
        self.sums: dict[str, Tensor] = {}
        self.shuffled = torch.empty(0, dtype=torch.long)

    @property
    def judged(self) -> nn.Module:
        """Network that is validated and saved: the averaged one, if there is one."""
        return self.model if self.average is None else self.average

    @property
    def ended(self) -> bool:
        """Whether all epochs are over, or enough of them without getting better."""
        patience, state = self.settings.patience, self.state
        return state.epoch >= self.settings.epochs or (
            patience is not None and state.since_best >= patience
        )

    def train_epoch(self) -> Epoch:
        """Pass once over the videos, and return the objective and its parts as means over
        videos."""
        epoch, videos = self.state.epoch, len(self.inputs)
        self.network.train()
        for group in self.stepper.param_groups:
            group["lr"] = learning_rate(epoch, self.settings)
        if not self.state.steps:
            self.shuffled = torch.randperm(videos, generator=self.order).to(
                self.inputs.mask.device
            )
            self.sums = {}
        for index in torch.split(self.shuffled, self.settings.batch_size)[
            self.state.steps :
        ]:
            self.step(index)
            self.state.steps += 1
            self.keep()
        means = {name: float(value) / videos for name, value in self.sums.items()}
        if not math.isfinite(means["loss"]):
            raise RecipeError(
                f"the loss is {means['loss']} in epoch {epoch + 1}",
                fix="lower learning_rate, set clip_norm, or look for values that are not numbers in the features",
            )
        return {
            "epoch": epoch + 1,
            "learning_rate": learning_rate(epoch, self.settings),
            **means,
        }

    def step(self, index: Tensor) -> None:
        """Learn from one batch."""
        batch, rank = (
            move_inputs(self.inputs[index], self.fabric.device),
            self.fabric.global_rank,
        )
        self.draw_anew(0)
        labels = self.labels(batch, self.target[index.to(self.fabric.device)])
        self.draw_anew(rank)
        share = rank_slice(len(index), self.fabric)
        local_batch = batch[share]
        loss, parts = self.network(
            local_batch.streams, local_batch.mask, vars(labels), share
        )
        self.stepper.zero_grad()
        self.fabric.backward(
            loss * (self.fabric.world_size if len(local_batch) < len(batch) else 1)
        )  # gradients are averaged
        if self.settings.clip_norm is not None:
            self.fabric.clip_gradients(
                self.network, self.stepper, max_norm=self.settings.clip_norm
            )
        self.stepper.step()
        if self.average is not None:
            passed = (
                self.state.epoch
                * math.ceil(len(self.inputs) / self.settings.batch_size)
                + self.state.steps
            )
            update_ema(self.average, self.model, decay=self.settings.ema, step=passed)
        for name, part in {"loss": loss.detach(), **parts}.items():
            self.sums[name] = self.sums.get(name, torch.zeros_like(part)) + part * len(
                index
            )

    def labels(self, batch: Inputs, target: Target) -> Target:
        """Return the targets of a batch after the target hook and the teacher."""
        passed = self.state.epoch + self.state.steps * self.settings.batch_size / len(
            self.inputs
        )
        with self.fabric.autocast():
            if self.target_hook is not None:
                target = self.target_hook(self.model, batch, target, passed)
            if (
                self.teacher is not None
                and self.average is not None
                and passed >= self.teacher.warmup_epochs
            ):
                with torch.no_grad():
                    target = correct_targets(
                        in_full_precision(self.average(batch)), target, self.teacher
                    )
        return target

    def draw_anew(self, rank: int) -> None:
        """Seed the random numbers of each step and rank, if there are several processes."""
        if self.fabric.world_size > 1:
            torch.manual_seed(
                hash((self.settings.seed, self.state.epoch, self.state.steps, rank))
            )

    def finish_epoch(self, entry: Epoch) -> None:
        """Record the epoch and keep its weights if they are the best."""
        state, score = self.state, entry.get("validation")
        state.history.append(entry)
        state.epoch, state.steps, state.since_best = (
            state.epoch + 1,
            0,
            state.since_best + 1,
        )
        if score is not None:
            better = state.best is None or score > state.best
            if better or (score == state.best and self.settings.ties == "later"):
                if self.settings.select == "best":
                    self.best = copy.deepcopy(self.judged.state_dict())
                state.best = float(score)
            state.since_best = 0 if better else state.since_best
        self.keep()

    def keep(self) -> None:
        """Write a checkpoint, if it is time for one."""
        if self.checkpoints is None or not self.checkpoints.due or not is_rank_zero():
            return
        tensors = {
            f"model.{name}": tensor for name, tensor in self.model.state_dict().items()
        }
        tensors |= optimiser_tensors(self.optimiser) | {
            f"sums.{name}": value for name, value in self.sums.items()
        }
        tensors |= {
            "order": self.order.get_state(),
            "shuffled": self.shuffled,
            "random": torch.get_rng_state(),
        }
        if self.fabric.device.type == "cuda":
            tensors["random_cuda"] = torch.cuda.get_rng_state(self.fabric.device)
        if self.average is not None:
            tensors |= {
                f"average.{name}": tensor
                for name, tensor in self.average.state_dict().items()
            }
        if self.best is not None and self.state.best is not None:
            tensors |= {f"best.{name}": tensor for name, tensor in self.best.items()}
        self.checkpoints.write(tensors, vars(self.state))

    def resume(self) -> None:
        """Restore the last checkpoint."""
        checkpoint = self.checkpoints.read() if self.checkpoints else None
        if checkpoint is None:
            return
        tensors, details = checkpoint
        self.state = _State(
            **{name: value for name, value in details.items() if name != "of"}
        )
        self.model.load_state_dict(_below(tensors, "model"))
        if self.average is not None:
            self.average.load_state_dict(_below(tensors, "average"))
        restore_optimiser(self.optimiser, tensors)
        self.sums = {
            name: value.to(self.fabric.device)
            for name, value in _below(tensors, "sums").items()
        }
        self.best = _below(tensors, "best") or self.best
        self.order.set_state(tensors["order"])
        self.shuffled = tensors["shuffled"].to(self.inputs.mask.device)
        torch.set_rng_state(tensors["random"])
        if "random_cuda" in tensors:
            torch.cuda.set_rng_state(tensors["random_cuda"], self.fabric.device)


def _below(tensors: dict[str, Tensor], group: str) -> dict[str, Tensor]:
    return {
        name.removeprefix(f"{group}."): t
        for name, t in tensors.items()
        if name.startswith(f"{group}.")
    }

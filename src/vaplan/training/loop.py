"""The training loop of all methods.

It takes batches by index from arrays, in memory or mapped from a file, and minimises a
weighted sum of losses. A training that is killed between two steps can be resumed with
the same bits.
"""

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from vaplan import losses as objectives
from vaplan.arrays import Inputs, Target
from vaplan.errors import RecipeError, RunError
from vaplan.losses import Objective
from vaplan.models.windows import (
    Batch,
    Windows,
    draw_windows,
    make_batch,
    predict_batch,
)
from vaplan.ragged import Lengths, Ragged, as_ragged, map_fields
from vaplan.training.checkpoints import (
    Checkpoints,
    optimiser_tensors,
    restore_optimiser,
)
from vaplan.training.devices import (
    gather_batch,
    in_full_precision,
    is_rank_zero,
    make_fabric,
    rank_slice,
    resolve_compute,
    to_device_if_fits,
)
from vaplan.training.inference import seeded, threads
from vaplan.training.mean_teacher import Teacher, correct_targets, update_ema
from vaplan.training.settings import OPTIMISERS, Training, learning_rate

Epoch = dict[str, int | float]
Validate = Callable[[nn.Module], float]
TargetHook = Callable[[nn.Module, Batch, Target, float], Target]


def fit(
    model: nn.Module,
    inputs: Inputs | Ragged[Inputs],
    target: Target | Ragged[Target],
    *,
    settings: Training,
    losses: Objective,
    validate: Validate | None = None,
    on_epoch: Callable[[Epoch], None] | None = None,
    target_hook: TargetHook | None = None,
    teacher: Teacher | None = None,
    checkpoints: Checkpoints | None = None,
) -> list[Epoch]:
    """Train a network in place.

    Args:
        model: Network, changed in place and then in evaluation mode.
        inputs: Features of a collection, or padded features of equally long videos.
        target: Labels of the same videos.
        settings: Training settings.
        losses: Names of `losses.LOSSES` with their weights or settings.
        validate: Called after each epoch with the network in evaluation mode; a larger
            result is better.
        on_epoch: Called with the entry of each epoch.
        target_hook: Called before each step with the network, the batch, its labels and
            the number of epochs so far (2.5 in the middle of the third epoch). It returns
            the labels of this step.
        teacher: How the averaged network (`settings.ema`) corrects these labels.
        checkpoints: File of the checkpoints, and whether to resume from it.

    Returns:
        One entry an epoch: its number ("epoch"), the "learning_rate", the mean objective
        ("loss"), the mean of each loss before weighting, and the result of `validate`
        ("validation").

    Raises:
        RecipeError: Settings contradict each other, or the loss is not finite.
    """
    objectives.check(losses)
    if settings.validates and validate is None:
        setting = "select: best" if settings.select == "best" else "patience"
        raise RecipeError(
            f"{setting} needs validation videos",
            fix="give some, or select: last without patience",
        )
    if teacher is not None and not settings.ema:
        raise RecipeError(
            "a teacher is an average of weights, and there is none",
            fix="set training.ema, for example to 0.99",
        )
    collection = as_ragged(inputs)
    loop = _Loop(
        model,
        (collection, _as_collection(target, collection.lengths)),
        settings,
        losses=losses,
        target_hook=target_hook,
        teacher=teacher,
        checkpoints=checkpoints,
    )
    with seeded(settings.seed), threads(settings.threads):
        loop.resume()
        while not loop.is_finished:
            entry = loop.train_epoch()
            if validate is not None:
                score = validate(loop.output_model.eval()) if is_rank_zero() else 0.0
                entry["validation"] = loop.fabric.broadcast(score)
            loop.finish_epoch(entry)
            if on_epoch is not None and is_rank_zero():
                on_epoch(entry)
    model.load_state_dict(loop.best or loop.output_model.state_dict())
    model.eval()
    return loop.state.history


def _as_collection(target: Target | Ragged[Target], lengths: Lengths) -> Ragged[Target]:
    if isinstance(target, Ragged):
        return target
    return Ragged(map_fields(target, lengths.flatten), lengths)


@dataclass
class _State:
    """Position and history of a training, between two steps or two epochs.

    Attributes:
        epoch: Index of the current epoch.
        steps: Number of finished steps of this epoch.
        all_steps: Number of finished steps of all epochs.
        history: Entries of the finished epochs.
        best: Best result of the validation so far.
        since_best: Number of epochs since the best one.
    """

    epoch: int = 0
    steps: int = 0
    all_steps: int = 0
    history: list[Epoch] = field(default_factory=list)
    best: float | None = None
    since_best: int = 0

    def check(self) -> None:
        """Raise ValueError for values that no training has; they may come from a file."""
        counts = (self.epoch, self.steps, self.all_steps, self.since_best)
        are_counts = all(type(count) is int and count >= 0 for count in counts)
        has_best = self.best is None or type(self.best) in (int, float)
        has_history = isinstance(self.history, list) and all(
            isinstance(entry, dict) and type(entry.get("epoch")) is int
            for entry in self.history
        )
        if not (are_counts and has_best and has_history):
            raise ValueError("its position or history is damaged")


class _Objective(nn.Module):
    """A model and its losses as one module, as Fabric requires."""

    def __init__(self, model: nn.Module, objective: Objective) -> None:
        super().__init__()
        self.model = model
        self.objective = objective

    def forward(
        self,
        inputs: dict[str, Any],
        mask: Tensor,
        windows: dict[str, Any] | None,
        labels: dict[str, Any],
        share: slice,
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Compute the objective of a batch, and each loss.

        Args:
            inputs: Fields of the `Inputs` of the videos of this process.
            mask: Segments of these videos that exist.
            windows: Fields of their `Windows`, if they have some.
            labels: Fields of the `Target` of the whole batch.
            share: Videos of the batch that this process computes.
        """
        batch = Batch(Inputs(**inputs), mask, Windows(**windows) if windows else None)
        prediction = predict_batch(self.model, batch)
        target = Target(**labels)
        with torch.autocast(mask.device.type, enabled=False):
            local = in_full_precision(prediction)
            gathered = gather_batch(local, share, len(target.weak))
            return objectives.total(gathered, target, self.objective)


class _Loop:
    """A training in progress; its state can be saved and restored."""

    def __init__(
        self,
        model: nn.Module,
        data: tuple[Ragged[Inputs], Ragged[Target]],
        settings: Training,
        *,
        losses: Objective,
        target_hook: TargetHook | None,
        teacher: Teacher | None,
        checkpoints: Checkpoints | None,
    ) -> None:
        inputs, target = data
        self.model = model
        self.losses = losses
        self.settings = settings
        self.checkpoints = checkpoints
        self.target_hook = target_hook
        self.teacher = teacher

        self.fabric = make_fabric(resolve_compute(settings))
        self.optimiser = OPTIMISERS[settings.optimiser](
            model.parameters(),
            lr=settings.learning_rate,
            weight_decay=settings.weight_decay,
            betas=settings.betas,
        )
        self.network, self.stepper = self.fabric.setup(
            _Objective(model, losses), self.optimiser
        )

        self.inputs = to_device_if_fits(inputs, self.fabric.device)
        self.target = target.to(self.fabric.device)
        # a generator of its own, so that all methods have the same batches
        self.order = torch.Generator().manual_seed(settings.seed)
        self.average: nn.Module | None = None
        if settings.ema:
            self.average = copy.deepcopy(model).requires_grad_(False).eval()

        self.state = _State()
        self.best: dict[str, Tensor] | None = None
        if settings.select == "best":
            self.best = self.output_model.state_dict()
        self.sums: dict[str, Tensor] = {}
        self.shuffled = torch.empty(0, dtype=torch.long)
        self.batches = list[Tensor]()

    @property
    def output_model(self) -> nn.Module:
        """The network that is validated and returned: the averaged one, if there is one."""
        return self.model if self.average is None else self.average

    @property
    def is_finished(self) -> bool:
        """Whether all epochs are over, or too many of them without improvement."""
        if self.state.epoch >= self.settings.epochs:
            return True
        patience = self.settings.patience
        return patience is not None and self.state.since_best >= patience

    @property
    def epochs_so_far(self) -> float:
        """Number of epochs so far; fractions count."""
        videos = sum(len(batch) for batch in self.batches[: self.state.steps])
        return self.state.epoch + videos / len(self.inputs)

    def train_epoch(self) -> Epoch:
        """Train for one epoch, or for the rest of a resumed one.

        Returns:
            Entry of the epoch; the losses are means over videos.
        """
        videos = len(self.inputs)
        epoch = self.state.epoch
        rate = learning_rate(epoch, self.settings)
        self.network.train()
        for group in self.stepper.param_groups:
            group["lr"] = rate

        if self.state.steps == 0:
            order = torch.randperm(videos, generator=self.order)
            self.shuffled = order.to(self.inputs.values.mask.device)
            self.sums = {}

        self.batches = self.split_batches()
        for index in self.batches[self.state.steps :]:
            self.step(index)
            self.state.steps += 1
            self.state.all_steps += 1
            self.save_if_due()

        means = {name: float(value) / videos for name, value in self.sums.items()}
        if not math.isfinite(means["loss"]):
            raise RecipeError(
                f"the loss is {means['loss']} in epoch {epoch + 1}",
                fix="lower learning_rate, set clip_norm, or look for values that are "
                "not numbers in the features",
            )
        return {"epoch": epoch + 1, "learning_rate": rate, **means}

    def split_batches(self) -> list[Tensor]:
        """Divide the shuffled videos into batches of the size of the settings.

        A video that is longer than a window counts as its windows, so that the number of
        steps and the memory of a step do not depend on how the material is cut.
        """
        settings = self.settings
        lengths = self.inputs.lengths
        if lengths.longest <= settings.window:
            return [*torch.split(self.shuffled, settings.batch_size)]

        segments = np.minimum(lengths.counts, settings.max_segments)
        windows = np.maximum(1, -(-segments // settings.window))

        sizes = list[int]()
        free = 0
        for count in windows[self.shuffled.numpy(force=True)].tolist():
            if count > free:
                sizes.append(0)
                free = settings.batch_size
            sizes[-1] += 1
            free -= count
        return [*torch.split(self.shuffled, sizes)]

    def step(self, index: Tensor) -> None:
        """Update the weights from the batch with these indices."""
        inputs, labels, videos = self.read_videos(index)
        window = self.settings.window
        device = self.fabric.device
        batch = make_batch(inputs, videos, window=window).to(device)
        self.seed_step(0)
        target = self.step_target(batch, labels.batch(videos))
        self.seed_step(self.fabric.global_rank)

        share = rank_slice(len(index), self.fabric)
        local_batch = batch
        if share != slice(None):
            local_batch = make_batch(
                inputs, videos[share], window=window, time=batch.mask.shape[1]
            ).to(device)

        windows = local_batch.windows
        loss, losses = self.network(
            vars(local_batch.inputs),
            local_batch.mask,
            vars(windows) if windows else None,
            vars(target),
            share,
        )

        self.stepper.zero_grad()
        # gradients are averaged over processes, so that shares of a batch need a factor
        is_shared = len(local_batch) < len(batch)
        self.fabric.backward(loss * (self.fabric.world_size if is_shared else 1))
        if self.settings.clip_norm is not None:
            self.fabric.clip_gradients(
                self.network, self.stepper, max_norm=self.settings.clip_norm
            )
        self.stepper.step()

        if self.average is not None:
            update_ema(
                self.average,
                self.model,
                decay=self.settings.ema,
                step=self.state.all_steps,
            )
        for name, value in {"loss": loss.detach(), **losses}.items():
            previous = self.sums.get(name, torch.zeros_like(value))
            self.sums[name] = previous + value * len(index)

    def read_videos(
        self, index: Tensor
    ) -> tuple[Ragged[Inputs], Ragged[Target], Tensor]:
        """Return collections with the videos of a batch, and their indices in them.

        Of very long videos they hold windows that are drawn for each step.

        Args:
            index: Indices of the videos in the data set.
        """
        sample = draw_windows(
            self.inputs.lengths,
            index,
            window=self.settings.window,
            limit=self.settings.max_segments,
            random=self.order,
        )
        if sample is None:
            return self.inputs, self.target, index
        inputs = sample.take(self.inputs, index)
        target = sample.take(self.target, index)
        return inputs, target, torch.arange(len(index), device=index.device)

    def step_target(self, batch: Batch, target: Target) -> Target:
        """Return the labels of a batch after the target hook and the teacher.

        Args:
            batch: Features of the batch.
            target: Labels of the batch.
        """
        epochs = self.epochs_so_far
        with self.fabric.autocast():
            if self.target_hook is not None:
                target = self.target_hook(self.model, batch, target, epochs)
            if self.teacher is None or self.average is None:
                return target
            if epochs < self.teacher.warmup_epochs:
                return target

            with torch.no_grad():
                prediction = in_full_precision(predict_batch(self.average, batch))
                return correct_targets(prediction, target, self.teacher)

    def seed_step(self, rank: int) -> None:
        """Seed the random numbers of a step and rank, if there are several processes."""
        if self.fabric.world_size == 1:
            return
        state = self.state
        torch.manual_seed(hash((self.settings.seed, state.epoch, state.steps, rank)))

    def finish_epoch(self, entry: Epoch) -> None:
        """Record the epoch, and its weights if they are the best so far."""
        state = self.state
        state.history.append(entry)
        state.epoch += 1
        state.steps = 0
        state.since_best += 1
        if "validation" in entry:
            self._compare_with_best(float(entry["validation"]))
        self.save_if_due()

    def _compare_with_best(self, score: float) -> None:
        """Update the best weights and the number of epochs since the best one."""
        state = self.state
        is_better = state.best is None or score > state.best
        is_later_tie = score == state.best and self.settings.ties == "later"
        if is_better:
            state.since_best = 0
        if is_better or is_later_tie:
            state.best = score
            if self.settings.select == "best":
                self.best = copy.deepcopy(self.output_model.state_dict())

    def save_if_due(self) -> None:
        """Write a checkpoint if it is time for one."""
        if self.checkpoints is None or not self.checkpoints.due or not is_rank_zero():
            return

        tensors = {
            "order": self.order.get_state(),
            "shuffled": self.shuffled,
            "random": torch.get_rng_state(),
            **_with_prefix("model", self.model.state_dict()),
            **_with_prefix("sums", self.sums),
            **optimiser_tensors(self.optimiser),
        }

        if self.fabric.device.type == "cuda":
            tensors["random_cuda"] = torch.cuda.get_rng_state(self.fabric.device)
        if self.average is not None:
            tensors |= _with_prefix("average", self.average.state_dict())
        if self.best is not None and self.state.best is not None:
            tensors |= _with_prefix("best", self.best)
        self.checkpoints.write(tensors, vars(self.state))

    def resume(self) -> None:
        """Restore the last checkpoint, if there is one to resume from."""
        checkpoint = self.checkpoints.read() if self.checkpoints else None
        if self.checkpoints is None or checkpoint is None:
            return
        try:
            self._restore(*checkpoint)
        except (LookupError, TypeError, ValueError, RuntimeError) as error:
            raise RunError(
                f"the checkpoint does not fit the training: {error}",
                file=self.checkpoints.path,
                fix="train again without resuming",
            ) from None

    def _restore(self, tensors: dict[str, Tensor], state: dict[str, Any]) -> None:
        device = self.fabric.device
        self.state = _State(**state)
        self.state.check()
        self.model.load_state_dict(_without_prefix("model", tensors))
        if self.average is not None:
            self.average.load_state_dict(_without_prefix("average", tensors))
        restore_optimiser(self.optimiser, tensors)

        sums = _without_prefix("sums", tensors)
        # in the order of the log, which a file does not keep
        names = ["loss", *self.losses]
        if self.state.steps and sums.keys() != set(names):
            raise ValueError("it holds other losses")
        self.sums = {name: sums[name].to(device) for name in names if name in sums}

        self.best = _without_prefix("best", tensors) or self.best
        self.order.set_state(tensors["order"])
        self.shuffled = tensors["shuffled"].to(self.inputs.values.mask.device)
        videos = torch.arange(len(self.inputs), device=self.shuffled.device)
        if not torch.equal(self.shuffled.sort().values, videos):
            raise ValueError("it holds another number of videos")

        torch.set_rng_state(tensors["random"])
        if "random_cuda" in tensors:
            torch.cuda.set_rng_state(tensors["random_cuda"], device)


def _with_prefix(group: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {f"{group}.{name}": tensor for name, tensor in tensors.items()}


def _without_prefix(group: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors of a group under their own names."""
    prefix = f"{group}."
    return {
        name.removeprefix(prefix): tensor
        for name, tensor in tensors.items()
        if name.startswith(prefix)
    }

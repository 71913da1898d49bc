"""Predict many videos; local settings of random numbers and threads."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from vaplan.arrays import Inputs, Prediction, Target


@torch.no_grad()
def predict(model: nn.Module, inputs: Inputs, *, batch_size: int = 256) -> Prediction:
    """Predict videos in evaluation mode; the result is on the CPU.

    Args:
        model: Network.
        inputs: Features of the videos.
        batch_size: Number of videos at a time.
    """
    device = next(iter(model.parameters()), torch.empty(0)).device
    was_training = model.training
    model.eval()
    predictions = []
    with threads(1):
        for start in range(0, len(inputs), batch_size):
            batch = inputs[start : start + batch_size]
            predictions.append(model(move_inputs(batch, device)))
    model.train(was_training)
    return Prediction.cat(predictions)


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Set the number of CPU threads inside a `with` block.

    The number has an effect on the last bits of a result.
    """
    outer_count = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(outer_count)


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed the random numbers of torch inside a `with` block.

    A network that is built inside has the same initial weights each time.
    """
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        yield


def move_inputs(inputs: Inputs, device: torch.device) -> Inputs:
    """Copy features to a device.

    Args:
        inputs: Features of the videos.
        device: Device to move to.
    """
    return inputs.map(lambda tensor: tensor.to(device))


def move_target(target: Target, device: torch.device) -> Target:
    """Copy labels to a device.

    Args:
        target: Labels of the videos.
        device: Device to move to.
    """
    return target.map(lambda tensor: tensor.to(device))

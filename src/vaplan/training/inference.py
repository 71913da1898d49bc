"""Run a parser over many videos, and keep random numbers and threads to oneself."""

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
    batches = (
        inputs[start : start + batch_size]
        for start in range(0, len(inputs), batch_size)
    )
    with threads(1):
        predictions = [model(move_inputs(batch, device)) for batch in batches]
    model.train(was_training)
    return Prediction.cat(predictions)


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Compute with so many CPU threads inside, and as before outside: the number decides the last
    bits of a result."""
    threads_before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(threads_before)


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Draw torch's random numbers from `seed` inside, and leave the outside as it was.

    Build a model in it for the same initial weights each time.
    """
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        yield


def move_inputs(inputs: Inputs, device: torch.device) -> Inputs:
    """The same features on another device.

    Args:
        inputs: Features of the videos.
        device: Device to move to.
    """
    return inputs.map(lambda tensor: tensor.to(device))


def move_target(target: Target, device: torch.device) -> Target:
    """The same labels on another device.

    Args:
        target: Labels of the videos.
        device: Device to move to.
    """
    return target.map(lambda tensor: tensor.to(device))

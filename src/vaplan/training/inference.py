"""Predict many videos; local settings of random numbers and threads."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import overload

import torch
from torch import nn

from vaplan.arrays import Inputs, Prediction
from vaplan.models.windows import (
    WINDOW,
    make_batch,
    predict_batch,
    predict_with_windows,
)
from vaplan.ragged import Index, Ragged


@overload
def predict(
    model: nn.Module, inputs: Inputs, *, window: int = ..., batch_size: int = ...
) -> Prediction: ...


@overload
def predict(
    model: nn.Module,
    inputs: Ragged[Inputs],
    *,
    window: int = ...,
    batch_size: int = ...,
) -> Ragged[Prediction]: ...


def predict(
    model: nn.Module,
    inputs: Inputs | Ragged[Inputs],
    *,
    window: int = WINDOW,
    batch_size: int = 256,
) -> Prediction | Ragged[Prediction]:
    """Predict videos in evaluation mode; the result is on the CPU.

    A video longer than a window is parsed in half-overlapping windows, and the outputs of
    its segments are averaged over them; see `models.windows`.

    On a CPU, each thread of torch computes batches of its own. Their number therefore has no
    effect on the result.

    Args:
        model: Network.
        inputs: Features of a collection, or padded features of equally long videos.
        window: Number of segments of a window.
        batch_size: Largest number of videos at a time.

    Returns:
        The probabilities of a collection, or padded like the features.
    """
    if isinstance(inputs, Inputs):
        collection = Ragged.of(inputs)
        return predict(model, collection, window=window, batch_size=batch_size).batch()
    device = next(iter(model.parameters()), torch.empty(0)).device
    was_training = model.training
    model.eval()

    @torch.no_grad()
    def predict_group(videos: Index) -> Prediction:
        with threads(1):
            batch = make_batch(inputs, videos, window=window, overlap=True).to(device)
            if inputs.lengths.longest <= window:
                return predict_batch(model, batch).probabilities()
            return predict_with_windows(model, batch).probabilities()

    prediction = Ragged.from_groups(
        inputs.lengths,
        predict_group,
        videos=batch_size,
        workers=torch.get_num_threads() if device.type == "cpu" else 1,
    )
    model.train(was_training)
    return prediction


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

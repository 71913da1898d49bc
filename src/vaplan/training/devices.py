"""Where a training computes: on which device, in which precision, and in how many processes that
share each batch.

Started by `torchrun`, every process computes its share of each batch. What they say is then put
together, so that losses over a whole batch, ranks within it included, are those of one process,
and so are the gradients.
"""

import gc
import logging
import os
from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from vaplan.arrays import Inputs
from vaplan.encoders.compute import Compute
from vaplan.training.inference import move_inputs
from vaplan.training.settings import Training

if TYPE_CHECKING:
    from lightning_fabric import Fabric

ROOM = 0.5  # of a device's free memory, for features


@dataclass(frozen=True)
class Place:
    """Where and how a training computes on this machine, nothing left open."""

    device: str
    precision: str
    threads: int
    processes: int = 1


def place(settings: Training) -> Place:
    """Resolve device, precision and threads on this machine; EncoderError without the device."""
    compute = Compute(settings.device, settings.precision).settled()
    return Place(compute.device, compute.precision, settings.threads, processes())


def processes() -> int:
    """How many processes train together."""
    return (
        int(os.environ["WORLD_SIZE"])
        if torch.distributed.is_torchelastic_launched()
        else 1
    )


def is_rank_zero() -> bool:
    """Return whether this process writes files and reports."""
    return processes() == 1 or os.environ["RANK"] == "0"


def fabric(where: Place) -> "Fabric":
    """Lightning's fabric on that device, joined with the other processes."""
    from lightning_fabric import (
        Fabric,
    )  # slow to import, and most commands do not train
    from lightning_fabric.strategies.ddp import DDPStrategy

    logging.getLogger("lightning_fabric").setLevel(
        logging.WARNING
    )  # standard error is for what vaplan says
    device = torch.device(where.device)
    options: dict[str, Any] = {
        "accelerator": device.type,
        "precision": "bf16-mixed" if where.precision == "bf16" else "32-true",
    }
    if where.processes == 1:
        return Fabric(devices=1 if device.index is None else [device.index], **options)
    local_processes = int(os.environ["LOCAL_WORLD_SIZE"])
    strategy = DDPStrategy(
        find_unused_parameters=True
    )  # a loss need not reach all of a network
    joined = Fabric(
        devices=local_processes,
        num_nodes=where.processes // local_processes,
        strategy=strategy,
        **options,
    )
    joined.launch()
    return joined


def leave_process_group() -> None:
    """Close the connections to the other processes of a training, if there are any.

    A process that exits with open connections can be aborted by their threads.
    """
    if torch.distributed.is_initialized():
        gc.collect()  # networks and optimisers hold the group until they are freed
        torch.distributed.barrier()
        torch.distributed.destroy_process_group()


def to_device_if_fits(inputs: Inputs, device: torch.device) -> Inputs:
    """Move the features to the device if they fit; otherwise each batch is moved.

    Args:
        inputs: Features of the videos.
        device: Device to move to.
    """
    size = sum(stream.nbytes for streams in inputs.streams for stream in streams)
    if device.type == "cuda" and size > ROOM * torch.cuda.mem_get_info(device)[0]:
        return inputs
    return move_inputs(inputs, device)


def rank_slice(videos: int, fabric: "Fabric") -> slice:
    """Which of a batch's videos this process computes: every n-th, or all of fewer than there are
    processes.

    Args:
        videos: Number of videos of the batch.
        fabric: Fabric of the training.
    """
    count = fabric.world_size
    return slice(fabric.global_rank, None, count) if videos >= count else slice(None)


def gather_batch(prediction: Any, share: slice, videos: int) -> Any:
    """Gather the prediction of a batch from all processes; only local parts have gradients.

    Args:
        prediction: Prediction for the videos of this process.
        share: Videos of the batch that this process computed.
        videos: Number of videos of the batch.
    """
    if len(prediction.mask) == videos:
        return prediction

    def complete(local: Tensor) -> Tensor:
        gathered = torch.zeros(
            videos, *local.shape[1:], dtype=torch.float32, device=local.device
        )
        gathered[share] = local.detach().float()
        torch.distributed.all_reduce(gathered)  # each video's numbers, and zeros
        if local.is_floating_point():
            gathered[share] = local.float()
        return gathered.to(local.dtype)

    return mapped(prediction, complete)


def in_full_precision(prediction: Any) -> Any:
    """The prediction in float32, in which losses are computed."""
    return mapped(
        prediction,
        lambda tensor: tensor.float() if tensor.is_floating_point() else tensor,
    )


def mapped(value: Any, change: Callable[[Tensor], Tensor]) -> Any:
    """The same value with every tensor in it changed.

    Args:
        value: A tensor, or a tuple or dataclass of such values.
        change: Function of a tensor.
    """
    if isinstance(value, Tensor):
        return change(value)
    if isinstance(value, tuple):
        return tuple(mapped(item, change) for item in value)
    if is_dataclass(value) and not isinstance(value, type):
        return replace(
            value,
            **{f.name: mapped(getattr(value, f.name), change) for f in fields(value)},
        )
    return value

"""Device, precision and processes of a training.

With `torchrun`, every process computes a share of each batch. The predictions are then
gathered: losses over a whole batch, also losses that rank its videos, and the gradients
are the same as those of a single process.
"""

import gc
import logging
import os
from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass, replace
from itertools import chain
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from vaplan.arrays import Inputs
from vaplan.encoders.compute import Compute
from vaplan.ragged import Ragged
from vaplan.training.settings import Training

if TYPE_CHECKING:
    from lightning_fabric import Fabric

FEATURE_SHARE = 0.5  # of the free memory of a device


@dataclass(frozen=True)
class ComputePlan:
    """Device, precision, threads and processes of a training on this machine.

    Attributes:
        device: A device of PyTorch, never "auto".
        precision: "fp32" or "bf16".
        threads: Number of CPU threads of each process.
        processes: Number of processes.
    """

    device: str
    precision: str
    threads: int
    processes: int = 1


def resolve_compute(settings: Training) -> ComputePlan:
    """Replace "auto" in device and precision by the values of this machine.

    Raises:
        EncoderError: The machine lacks the device.
    """
    compute = Compute(settings.device, settings.precision).resolve()
    return ComputePlan(
        device=compute.device,
        precision=compute.precision,
        threads=settings.threads,
        processes=processes(),
    )


def processes() -> int:
    """Return the number of processes that train together."""
    if torch.distributed.is_torchelastic_launched():
        return int(os.environ["WORLD_SIZE"])
    return 1


def is_rank_zero() -> bool:
    """Return whether this process writes files and reports."""
    return processes() == 1 or os.environ["RANK"] == "0"


def make_fabric(plan: ComputePlan) -> "Fabric":
    """Create Lightning's Fabric, and connect it with the other processes if there are any."""
    # slow to import, and most commands do not train
    from lightning_fabric import Fabric
    from lightning_fabric.strategies.ddp import DDPStrategy

    # standard error is for messages of vaplan
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
    device = torch.device(plan.device)
    options: dict[str, Any] = {
        "accelerator": device.type,
        "precision": "bf16-mixed" if plan.precision == "bf16" else "32-true",
    }
    if plan.processes == 1:
        devices = 1 if device.index is None else [device.index]
        return Fabric(devices=devices, **options)
    local_processes = int(os.environ["LOCAL_WORLD_SIZE"])
    # a loss need not depend on all weights of a network
    strategy = DDPStrategy(find_unused_parameters=True)
    fabric = Fabric(
        devices=local_processes,
        num_nodes=plan.processes // local_processes,
        strategy=strategy,
        **options,
    )
    fabric.launch()
    return fabric


def leave_process_group() -> None:
    """Close the connections to the other processes of a training, if there are any.

    A process that exits with open connections can be aborted by their threads.
    """
    if torch.distributed.is_initialized():
        gc.collect()  # networks and optimisers hold the group until they are freed
        torch.distributed.barrier()
        torch.distributed.destroy_process_group()


def to_device_if_fits(inputs: Ragged[Inputs], device: torch.device) -> Ragged[Inputs]:
    """Move the features to the device if they fit; otherwise each batch is moved.

    Args:
        inputs: Features of the videos.
        device: Device to move to.
    """
    if device.type == "cuda":
        streams = chain(*inputs.values.streams)
        size = sum(stream.nbytes for stream in streams)
        free_memory, _ = torch.cuda.mem_get_info(device)
        if size > FEATURE_SHARE * free_memory:
            return inputs
    return inputs.to(device)


def rank_slice(videos: int, fabric: "Fabric") -> slice:
    """Select the videos of a batch that this process computes.

    With n processes it is every n-th video. If there are fewer videos than processes,
    every process computes all of them.

    Args:
        videos: Number of videos of the batch.
        fabric: Fabric of the training.
    """
    if videos < fabric.world_size:
        return slice(None)
    return slice(fabric.global_rank, None, fabric.world_size)


def gather_batch(prediction: Any, share: slice, videos: int) -> Any:
    """Gather the prediction of a batch from all processes; only local parts have gradients.

    Args:
        prediction: Prediction for the videos of this process.
        share: Videos of the batch that this process computed.
        videos: Number of videos of the batch.
    """
    if len(prediction.mask) == videos:
        return prediction
    vectors = prediction.vectors
    if vectors is not None and len(vectors.mask) != len(prediction.mask):
        prediction = replace(prediction, vectors=None)  # they are of windows

    def gather(local: Tensor) -> Tensor:
        """Add up the local parts of all processes; each is zero elsewhere."""
        batch = torch.zeros(
            videos, *local.shape[1:], dtype=torch.float32, device=local.device
        )
        batch[share] = local.detach().float()
        torch.distributed.all_reduce(batch)
        if local.is_floating_point():
            batch[share] = local.float()
        return batch.to(local.dtype)

    return map_tensors(prediction, gather)


def in_full_precision(prediction: Any) -> Any:
    """Convert a prediction to float32, in which losses are computed."""

    def convert(tensor: Tensor) -> Tensor:
        """Convert a tensor of numbers; others stay."""
        return tensor.float() if tensor.is_floating_point() else tensor

    return map_tensors(prediction, convert)


def map_tensors(value: Any, function: Callable[[Tensor], Tensor]) -> Any:
    """Apply a function to every tensor of a value.

    Args:
        value: A tensor, or a tuple or dataclass of such values; other values stay.
        function: Function of a tensor.
    """
    if isinstance(value, Tensor):
        return function(value)
    if isinstance(value, tuple):
        return tuple(map_tensors(item, function) for item in value)
    if is_dataclass(value) and not isinstance(value, type):
        changes = {}
        for field in fields(value):
            changes[field.name] = map_tensors(getattr(value, field.name), function)
        return replace(value, **changes)
    return value

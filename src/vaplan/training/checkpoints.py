"""Checkpoints: files from which a killed training resumes with the same bits.

A checkpoint is one safetensors file with all tensors; its header contains position and
history of the training as JSON. It is written under another name, flushed to the disk
and then renamed, so that the previous checkpoint stays until the next one is durable.
"""

import json
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from vaplan.errors import RunError
from vaplan.writing import write_tensors


@dataclass
class Checkpoints:
    """The checkpoint file of a training.

    Args:
        path: File of the checkpoint.
        fingerprint: Hash of recipe and data; a checkpoint with another one is refused.
        seconds: Least time between two checkpoints; 0 for one after every step.
        resume: Continue from the file, if it exists.
    """

    path: Path
    fingerprint: str = ""
    seconds: float = 30.0
    resume: bool = False
    _write_time: float = field(default_factory=time.monotonic)

    @property
    def due(self) -> bool:
        """Whether it is time for the next checkpoint."""
        elapsed_seconds = time.monotonic() - self._write_time
        return elapsed_seconds >= self.seconds

    def write(self, tensors: dict[str, Tensor], state: dict[str, Any]) -> None:
        """Replace the checkpoint.

        Args:
            tensors: Tensors of the training by name.
            state: Position and history of the training.
        """
        description = json.dumps({"of": self.fingerprint, **state})
        write_tensors(self.path, tensors, metadata={"about": description})
        self._write_time = time.monotonic()

    def read(self) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
        """Read the checkpoint.

        Returns:
            Tensors and state as in `write`; None if there is no file to resume from.

        Raises:
            RunError: The file is damaged, or belongs to another training.
        """
        if not (self.resume and self.path.is_file()):
            return None
        fix = "train again without resuming"
        try:
            with safe_open(self.path, framework="pt") as file:
                state = dict(json.loads(file.metadata()["about"]))
                tensors = {name: file.get_tensor(name) for name in file.keys()}
            fingerprint = state.pop("of")
        except (
            SafetensorError,
            OSError,
            KeyError,
            TypeError,
            ValueError,
            RecursionError,
        ) as error:
            raise RunError(
                f"not a checkpoint: {error}", file=self.path, fix=fix
            ) from None
        if fingerprint != self.fingerprint:
            raise RunError(
                "the checkpoint of another training", file=self.path, fix=fix
            )
        return tensors, state

    def remove(self) -> None:
        """Delete the file after the training has finished."""
        self.path.unlink(missing_ok=True)


def optimiser_tensors(optimiser: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Return the moments and step counts of an optimiser by parameter and name."""
    state = optimiser.state_dict()["state"]
    return {
        f"optimiser.{index}.{name}": value
        for index, values in state.items()
        for name, value in values.items()
        if isinstance(value, Tensor)
    }


def restore_optimiser(
    optimiser: torch.optim.Optimizer, tensors: dict[str, Tensor]
) -> None:
    """Restore the tensors that `optimiser_tensors` returned.

    Args:
        optimiser: Optimiser, changed in place.
        tensors: Tensors of the training by name; others are ignored.
    """
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        group, _, key_path = name.partition(".")
        if group == "optimiser":
            index, _, key = key_path.partition(".")
            state.setdefault(int(index), {})[key] = value
    parameter_groups = optimiser.state_dict()["param_groups"]
    optimiser.load_state_dict({"state": state, "param_groups": parameter_groups})

"""Where a training stands, on disk: what a killed one needs to end with the same bits.

One safetensors file holds everything, the numbers of the log as JSON in its header: it is written
beside, flushed to the disk and then renamed, so that the last good one stays until the next is
durable.
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
    """A file that follows a training.

    Args:
        of: What is trained on what; a checkpoint of another training is refused.
        seconds: Write after the first step that comes so long after the last writing; 0 for every
            step.
        resume: Go on from the file, if there is one.
    """

    path: Path
    of: str = ""
    seconds: float = 30.0
    resume: bool = False
    _written: float = field(default_factory=time.monotonic)

    @property
    def due(self) -> bool:
        """Whether it is time to write again."""
        return time.monotonic() - self._written >= self.seconds

    def write(self, tensors: dict[str, Tensor], about: dict[str, Any]) -> None:
        """Put a new checkpoint in the place of the last.

        Args:
            tensors: Tensors of the training by name.
            about: Position and history of the training.
        """
        header = {"about": json.dumps({"of": self.of, **about})}
        write_tensors(self.path, tensors, metadata=header)
        self._written = time.monotonic()

    def read(self) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
        """The last checkpoint, where one is to be resumed and there is one."""
        if not (self.resume and self.path.is_file()):
            return None
        fix = "train again without resuming"
        try:
            with safe_open(self.path, framework="pt") as file:
                details = json.loads(file.metadata()["about"])
                tensors = {name: file.get_tensor(name) for name in file.keys()}
        except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
            raise RunError(
                f"not a checkpoint: {error}", file=self.path, fix=fix
            ) from None
        if details["of"] != self.of:
            raise RunError(
                "the checkpoint of another training", file=self.path, fix=fix
            )
        return tensors, details

    def remove(self) -> None:
        """Leave nothing behind a training that has ended."""
        self.path.unlink(missing_ok=True)


def optimiser_tensors(optimiser: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Its moments and step counts, by parameter and name."""
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
    """Put moments and step counts back.

    Args:
        optimiser: Optimiser, changed in place.
        tensors: Tensors of the training by name.
    """
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        group, _, key_path = name.partition(".")
        if group == "optimiser":
            index, _, key = key_path.partition(".")
            state.setdefault(int(index), {})[key] = value
    optimiser.load_state_dict(
        {"state": state, "param_groups": optimiser.state_dict()["param_groups"]}
    )

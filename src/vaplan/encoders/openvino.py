"""Towers run by OpenVINO, on a processor: nearly PyTorch's vectors at a fraction of the time."""

import importlib
import importlib.util
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from vaplan.encoders.quiet import quiet
from vaplan.errors import MachineError, MissingExtra

PRECISIONS = {"fp32": "f32", "bf16": "bf16"}  # our names and OpenVINO's
SIMILAR = 0.99  # cosine; bf16 leaves 0.9999
ELSEWHERE = "say --device cpu, or try another release of openvino"
Part = Callable[[Tensor], Tensor]


def require() -> None:
    """Raises: MissingExtra without the package."""
    if importlib.util.find_spec("openvino") is None:
        raise MissingExtra(
            "OpenVINO is not installed", fix="pip install 'vaplan[openvino]'"
        )


@dataclass(frozen=True, eq=False)
class Converted:
    """Runs parts of a PyTorch model; each is converted when its first batch of a shape comes, in
    a few seconds."""

    precision: str
    programs: dict[tuple[Part, torch.Size], Any] = field(default_factory=dict)

    def __call__(self, part: Part, batch: Tensor) -> Tensor:
        """The batch through the part."""
        key = part, batch.shape
        if key not in self.programs:
            self.programs[key] = program(part, batch, precision=self.precision)
        return torch.from_numpy(self.programs[key](batch.numpy())[0])


@torch.inference_mode()
def program(part: Part, batch: Tensor, *, precision: str) -> Any:
    """The part as OpenVINO's program for batches of this shape, on one thread.

    Raises: MachineError where the part cannot be converted, the processor lacks the precision, or
    the program does
        something else than the part.
    """
    openvino = _imported()
    settings = {
        "INFERENCE_PRECISION_HINT": PRECISIONS[precision],
        "INFERENCE_NUM_THREADS": 1,
        "NUM_STREAMS": 1,
    }
    try:
        model = _model(openvino, part, batch)
        compiled = openvino.Core().compile_model(
            model, "CPU", settings | {"ENABLE_CPU_PINNING": False}
        )
    except (RuntimeError, openvino.frontend.OpConversionFailure) as error:
        raise MachineError(
            f"OpenVINO {openvino.__version__} cannot convert this model", fix=ELSEWHERE
        ) from error
    if (
        compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name()
        != PRECISIONS[precision]
    ):
        raise MachineError(
            f"this processor does not multiply in {precision}",
            fix="say --precision fp32",
        )
    ours, theirs = part(batch), torch.from_numpy(compiled(batch.numpy())[0])
    cosine = functional.cosine_similarity(
        ours.flatten(), theirs.flatten(), dim=0
    ).item()
    if not cosine > SIMILAR:
        what = (
            f"OpenVINO {openvino.__version__} does not do what this model does: cosine "
            f"{cosine:.3f}"
        )
        raise MachineError(what, fix=ELSEWHERE)
    return compiled


def _imported() -> Any:
    # Its import loads this package if it is there, which reports to its makers without being asked.
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    with quiet():
        return importlib.import_module("openvino")


def _model(openvino: Any, part: Part, batch: Tensor) -> Any:
    with quiet():
        # Of a function, as its weights are shared then; torch.export, which PyTorch
        # prefers, takes ten times as long.
        traced = torch.jit.trace(part, (batch,), check_trace=False)  # type: ignore[no-untyped-call]
        return openvino.convert_model(
            traced, example_input=batch, input=[tuple(batch.shape)]
        )

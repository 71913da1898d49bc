"""Encoder towers run by OpenVINO on a CPU: faster than PyTorch, with nearly the same vectors."""

import importlib
import importlib.util
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from vaplan.encoders.silence import silence_transformers
from vaplan.errors import MachineError, MissingExtra

PRECISIONS = {"fp32": "f32", "bf16": "bf16"}  # names of OpenVINO by our names
MIN_COSINE = 0.99  # with PyTorch's vectors; bf16 gives 0.9999
ADVICE = "use --device cpu, or try another release of openvino"
Part = Callable[[Tensor], Tensor]


def require() -> None:
    """Check that OpenVINO is installed.

    Raises:
        MissingExtra: It is not.
    """
    if importlib.util.find_spec("openvino") is None:
        raise MissingExtra(
            "OpenVINO is not installed", fix="pip install 'vaplan[openvino]'"
        )


@dataclass(frozen=True, eq=False)
class OpenVINORunner:
    """Runs parts of a PyTorch model with OpenVINO.

    A part is converted at its first batch of a shape, which takes a few seconds.

    Attributes:
        precision: `fp32` or `bf16`.
        programs: Converted parts by part and shape.
    """

    precision: str
    programs: dict[tuple[Part, torch.Size], Any] = field(default_factory=dict)

    def __call__(self, part: Part, batch: Tensor) -> Tensor:
        """Run a part on a batch.

        Args:
            part: Part of the model.
            batch: Inputs.
        """
        key = part, batch.shape
        if key not in self.programs:
            self.programs[key] = convert_part(part, batch, precision=self.precision)
        return torch.from_numpy(self.programs[key](batch.numpy())[0])


@torch.inference_mode()
def convert_part(part: Part, batch: Tensor, *, precision: str) -> Any:
    """Convert a part to a program for batches of one shape, on one thread.

    Args:
        part: Part of the model.
        batch: Inputs of that shape.
        precision: `fp32` or `bf16`.

    Raises:
        MachineError: The part cannot be converted, the CPU lacks the precision, or the
            program gives other results than the part.
    """
    openvino = _import_openvino()
    settings = {
        "INFERENCE_PRECISION_HINT": PRECISIONS[precision],
        "INFERENCE_NUM_THREADS": 1,
        "NUM_STREAMS": 1,
    }
    try:
        model = _convert(openvino, part, batch)
        compiled = openvino.Core().compile_model(
            model, "CPU", settings | {"ENABLE_CPU_PINNING": False}
        )
    except (RuntimeError, openvino.frontend.OpConversionFailure) as error:
        raise MachineError(
            f"OpenVINO {openvino.__version__} cannot convert this model", fix=ADVICE
        ) from error
    used_precision = compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name()
    if used_precision != PRECISIONS[precision]:
        raise MachineError(
            f"this processor does not multiply in {precision}",
            fix="use --precision fp32",
        )
    expected = part(batch).flatten()
    result = torch.from_numpy(compiled(batch.numpy())[0]).flatten()
    cosine = functional.cosine_similarity(expected, result, dim=0).item()
    if not cosine > MIN_COSINE:
        raise MachineError(
            f"OpenVINO {openvino.__version__} gives other vectors than this model: cosine "
            f"{cosine:.3f}",
            fix=ADVICE,
        )
    return compiled


def _import_openvino() -> Any:
    # OpenVINO imports this package if it is installed; it sends usage data without consent.
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    with silence_transformers():
        return importlib.import_module("openvino")


def _convert(openvino: Any, part: Part, batch: Tensor) -> Any:
    with silence_transformers():
        # Traced as a function, so that it shares the weights. torch.export, which PyTorch
        # prefers, takes ten times as long.
        traced = torch.jit.trace(part, (batch,), check_trace=False)  # type: ignore[no-untyped-call]
        return openvino.convert_model(
            traced, example_input=batch, input=[tuple(batch.shape)]
        )

"""Run the towers of a model by OpenVINO on a CPU.

The vectors are nearly those of PyTorch, in a fraction of the time.
"""

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

PRECISIONS = {"fp32": "f32", "bf16": "bf16"}  # names of vaplan and of OpenVINO
MIN_COSINE = 0.99  # of the outputs of OpenVINO and PyTorch; bf16 reaches 0.9999
USE_CPU = "write --device cpu, or install another release of openvino"
Part = Callable[[Tensor], Tensor]


def require() -> None:
    """Check that the package OpenVINO is installed.

    Raises:
        MissingExtra: It is not installed.
    """
    if importlib.util.find_spec("openvino") is None:
        raise MissingExtra(
            "OpenVINO is not installed", fix="pip install 'vaplan[openvino]'"
        )


@dataclass(frozen=True, eq=False)
class ConvertedParts:
    """Parts of a PyTorch model that OpenVINO runs.

    A part is converted when its first batch of a shape arrives, which takes a few seconds.

    Attributes:
        precision: `fp32` or `bf16`.
        programs: OpenVINO programs by part and shape of the batch.
    """

    precision: str
    programs: dict[tuple[Part, torch.Size], Any] = field(default_factory=dict)

    def __call__(self, part: Part, batch: Tensor) -> Tensor:
        """Compute a part's output for a batch."""
        key = (part, batch.shape)
        if key not in self.programs:
            self.programs[key] = compile_part(part, batch, precision=self.precision)
        outputs = self.programs[key](batch.numpy())
        return torch.from_numpy(outputs[0])


@torch.inference_mode()
def compile_part(part: Part, batch: Tensor, *, precision: str) -> Any:
    """Convert a part of a model to an OpenVINO program that runs on one thread.

    Args:
        part: Function from a batch of inputs to a batch of outputs.
        batch: Example of its input; the program accepts batches of this shape only.
        precision: `fp32` or `bf16`.

    Raises:
        MachineError: The part cannot be converted, the CPU does not multiply in the
            precision, or the program's output differs from the part's.
    """
    openvino = _import_openvino()
    settings = {
        "INFERENCE_PRECISION_HINT": PRECISIONS[precision],
        "INFERENCE_NUM_THREADS": 1,
        "NUM_STREAMS": 1,
        "ENABLE_CPU_PINNING": False,
    }
    try:
        model = _convert(openvino, part, batch)
        program = openvino.Core().compile_model(model, "CPU", settings)
    except (RuntimeError, openvino.frontend.OpConversionFailure) as error:
        raise MachineError(
            f"OpenVINO {openvino.__version__} cannot convert this model", fix=USE_CPU
        ) from error
    program_precision = program.get_property("INFERENCE_PRECISION_HINT")
    if program_precision.get_type_name() != PRECISIONS[precision]:
        raise MachineError(
            f"this processor does not multiply in {precision}",
            fix="write --precision fp32",
        )
    expected = part(batch)
    output = torch.from_numpy(program(batch.numpy())[0])
    cosine = functional.cosine_similarity(
        expected.flatten(), output.flatten(), dim=0
    ).item()
    is_similar = cosine > MIN_COSINE
    if not is_similar:  # also where the cosine is NaN
        raise MachineError(
            f"OpenVINO {openvino.__version__} computes other outputs than this model: "
            f"cosine {cosine:.3f}",
            fix=USE_CPU,
        )
    return program


def _import_openvino() -> Any:
    # the import loads this package if it is installed, and it sends reports without consent
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    with silence_transformers():
        return importlib.import_module("openvino")


def _convert(openvino: Any, part: Part, batch: Tensor) -> Any:
    with silence_transformers():
        # A trace of a function shares the weights of the model; torch.export, which
        # PyTorch prefers, takes ten times as long.
        traced = torch.jit.trace(part, (batch,), check_trace=False)  # type: ignore[no-untyped-call]
        return openvino.convert_model(
            traced, example_input=batch, input=[tuple(batch.shape)]
        )

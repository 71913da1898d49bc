"""The device and the numeric precision of an encoder."""

import re
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from vaplan.encoders import openvino
from vaplan.errors import EncoderError

AUTO = "auto"
OPENVINO = "openvino"
CPU_DEVICES = ("cpu", OPENVINO)
HALF_PRECISION_MODULES = (nn.Linear, nn.Conv2d)
HALF_DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}
PRECISIONS = (AUTO, "fp32", *HALF_DTYPES)
# PyTorch's names for the ability of a CPU to multiply in bf16
BF16_CAPABILITIES = ("avx512_bf16", "amx_bf16", "bf16", "sve_bf16")
DEVICE_PATTERN = r"auto|cpu|openvino|mps|cuda(:\d+)?"


@dataclass(frozen=True)
class Compute:
    """The device and the precision of an encoder.

    In half precision only the matrix products of the audio or image tower are computed;
    norms, softmax and all text stay in fp32. On `openvino`, which is the CPU too, OpenVINO
    runs the audio or image tower wholly in the precision, and PyTorch the text tower.

    Attributes:
        device: `cpu`, `openvino`, `cuda`, `cuda:1`, `mps`, or `auto` for the first NVIDIA
            GPU or else the CPU.
        precision: `fp32`, `bf16`, `fp16`, or `auto` for bf16 where the device multiplies
            in it and fp32 elsewhere.
    """

    device: str = AUTO
    precision: str = AUTO

    def __post_init__(self) -> None:
        if not re.fullmatch(DEVICE_PATTERN, self.device):
            raise EncoderError(
                f"unknown device {self.device!r}",
                fix="write auto, cpu, openvino, cuda, cuda:1 or mps",
            )
        if self.precision not in PRECISIONS:
            raise EncoderError(
                f"unknown precision {self.precision!r}",
                fix=f"write {', '.join(PRECISIONS)}",
            )
        if self.device in CPU_DEVICES and self.precision == "fp16":
            raise EncoderError(
                "processors do not multiply in fp16",
                fix="write --precision bf16 or fp32",
            )

    @classmethod
    def from_provenance(cls, provenance: Mapping[str, Any]) -> "Compute":
        """Read the device and the precision from the provenance of features."""
        return cls(
            provenance.get("device", CPU_FP32.device),
            provenance.get("precision", CPU_FP32.precision),
        )

    def with_defaults(self, defaults: "Compute") -> "Compute":
        """Replace `auto` by the values of other settings."""
        device = defaults.device if self.device == AUTO else self.device
        precision = defaults.precision if self.precision == AUTO else self.precision
        return Compute(device, precision)

    def resolve(self) -> "Compute":
        """Replace `auto` by the values of this machine.

        Raises:
            EncoderError: The machine lacks the device.
            MissingExtra: OpenVINO is not installed.
        """
        device = self.device
        if device == AUTO:
            device = "cuda" if torch.cuda.is_available() else "cpu"
        elif device == OPENVINO:
            openvino.require()
        elif device != "cpu":
            self._check_device_exists()
        precision = self.precision
        if precision == AUTO:
            precision = "bf16" if _multiplies_bf16(device) else "fp32"
        return Compute(device, precision)

    @property
    def device_type(self) -> str:
        """The device without its number."""
        return self.device.partition(":")[0]

    def prepare_model(self, model: Any) -> Any:
        """Move a model to the device and convert its weights, except the text tower's."""
        model = model.to(self._torch_device)
        if self.device_type == "cuda":
            model = model.to(memory_format=torch.channels_last)
        if not self._uses_half:
            return model
        dtype = HALF_DTYPES[self.precision]
        for name, module in model.named_modules():
            is_text = name.startswith("text")
            if isinstance(module, HALF_PRECISION_MODULES) and not is_text:
                # otherwise autocast would convert the weights again for every batch
                module.to(dtype)
        return model

    def autocast(self) -> AbstractContextManager[Any]:
        """Return a context in which matrix products are computed in the precision."""
        if self._uses_half:
            return torch.autocast(self.device_type, HALF_DTYPES[self.precision])
        return nullcontext()

    def to_device(self, batch: Tensor) -> Tensor:
        """Move a batch to the device without waiting for the copy."""
        if self.device_type == "cuda":
            return batch.pin_memory().to(self.device, non_blocking=True)
        return batch.to(self._torch_device)

    @property
    def provenance(self) -> dict[str, str]:
        """The settings that embeddings depend on; empty for fp32 on a CPU."""
        if self == CPU_FP32:
            return {}
        return {"device": self.device_type, "precision": self.precision}

    @property
    def _torch_device(self) -> str:
        return "cpu" if self.device == OPENVINO else self.device

    @property
    def _uses_half(self) -> bool:
        """Whether PyTorch multiplies in half precision."""
        return self.precision in HALF_DTYPES and self.device != OPENVINO

    def _check_device_exists(self) -> None:
        index = torch.device(self.device).index or 0
        devices = _count_devices(self.device_type)
        if index >= devices:
            raise EncoderError(
                f"there is no {self.device}: PyTorch sees {devices} such devices",
                fix="write --device cpu, or install PyTorch for your GPU",
            )


AUTO_COMPUTE = Compute()
CPU_FP32 = Compute("cpu", "fp32")


def _count_devices(device_type: str) -> int:
    if device_type == "cuda":
        return torch.cuda.device_count()
    return int(torch.backends.mps.is_available())


def _multiplies_bf16(device: str) -> bool:
    if device == "mps":
        return False
    if device not in CPU_DEVICES:
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    # older releases of PyTorch lack the function
    get_capabilities: Callable[[], Mapping[str, Any]] = getattr(
        torch.cpu, "get_capabilities", dict
    )
    capabilities = get_capabilities()
    return any(capabilities.get(name, False) for name in BF16_CAPABILITIES)

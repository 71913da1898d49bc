"""Where an encoder runs, and how many bits its products have."""

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
ON_PROCESSOR = ("cpu", OPENVINO)
MULTIPLYING = (nn.Linear, nn.Conv2d)
HALVES = {"bf16": torch.bfloat16, "fp16": torch.float16}
PRECISIONS = (AUTO, "fp32", *HALVES)
NATIVE = (
    "avx512_bf16",
    "amx_bf16",
    "bf16",
    "sve_bf16",
)  # what processors call it that multiply in bf16


@dataclass(frozen=True)
class Compute:
    """A device (`auto`, `cpu`, `openvino`, `cuda`, `cuda:1` or `mps`) and a precision (`auto`,
    `fp32`, `bf16`, `fp16`).

    `auto` takes the first NVIDIA GPU there is, else the processor, and bf16 where the device
    multiplies in it, else fp32. In half precision only the products of the sound or picture tower
    are made; norms, softmax and all text stay in fp32. `openvino` is the processor too: OpenVINO
    runs the sound or picture tower there, wholly in the precision wanted, and PyTorch the text.
    """

    device: str = AUTO
    precision: str = AUTO

    def __post_init__(self) -> None:
        if not re.fullmatch(r"auto|cpu|openvino|mps|cuda(:\d+)?", self.device):
            raise EncoderError(
                f"unknown device {self.device!r}",
                fix="say auto, cpu, openvino, cuda, cuda:1 or mps",
            )
        if self.precision not in PRECISIONS:
            raise EncoderError(
                f"unknown precision {self.precision!r}",
                fix=f"say {', '.join(PRECISIONS)}",
            )
        if self.device in ON_PROCESSOR and self.precision == "fp16":
            raise EncoderError(
                "processors do not multiply in fp16", fix="say --precision bf16 or fp32"
            )

    @classmethod
    def of(cls, provenance: Mapping[str, Any]) -> "Compute":
        """Read the compute settings from the provenance of features."""
        return cls(
            provenance.get("device", PLAIN.device),
            provenance.get("precision", PLAIN.precision),
        )

    def otherwise(self, other: "Compute") -> "Compute":
        """Replace `auto` by the values of another setting."""
        device = other.device if self.device == AUTO else self.device
        return Compute(
            device, other.precision if self.precision == AUTO else self.precision
        )

    def settled(self) -> "Compute":
        """Replace `auto` by the values of this machine; EncoderError if it lacks the device."""
        device = self.device
        if device == AUTO:
            device = "cuda" if torch.cuda.is_available() else "cpu"
        elif device == OPENVINO:
            openvino.require()
        elif device != "cpu" and (torch.device(device).index or 0) >= _count(self.kind):
            what = (
                f"there is no {device}: PyTorch sees {_count(self.kind)} such devices"
            )
            raise EncoderError(
                what, fix="say --device cpu, or install PyTorch for your GPU"
            )
        if self.precision != AUTO:
            return Compute(device, self.precision)
        return Compute(device, "bf16" if _multiplies_bf16(device) else "fp32")

    @property
    def kind(self) -> str:
        """The kind of device, without its number."""
        return self.device.partition(":")[0]

    def prepared(self, model: Any) -> Any:
        """Move the model to its device and convert its weights, except the text tower's."""
        model = model.to(self._torch_device)
        if self.kind == "cuda":
            model = model.to(memory_format=torch.channels_last)
        for name, module in model.named_modules():
            if (
                self._half
                and isinstance(module, MULTIPLYING)
                and not name.startswith("text")
            ):
                module.to(
                    HALVES[self.precision]
                )  # or they would be converted again for every batch
        return model

    def products(self) -> AbstractContextManager[Any]:
        """Within it products are made in the precision wanted."""
        return (
            torch.autocast(self.kind, HALVES[self.precision])
            if self._half
            else nullcontext()
        )

    def placed(self, batch: Tensor) -> Tensor:
        """Move a batch to the device without blocking."""
        if self.kind == "cuda":
            return batch.pin_memory().to(self.device, non_blocking=True)
        return batch.to(self._torch_device)

    @property
    def _torch_device(self) -> str:
        return "cpu" if self.device == OPENVINO else self.device

    @property
    def _half(self) -> bool:
        """Whether PyTorch multiplies in half precision."""
        return self.precision in HALVES and self.device != OPENVINO

    @property
    def provenance(self) -> dict[str, str]:
        """Return the settings that embeddings depend on; empty for fp32 on a CPU."""
        return (
            {} if self == PLAIN else {"device": self.kind, "precision": self.precision}
        )


AUTOMATIC = Compute()
PLAIN = Compute("cpu", "fp32")


def _count(kind: str) -> int:
    return (
        torch.cuda.device_count()
        if kind == "cuda"
        else int(torch.backends.mps.is_available())
    )


def _multiplies_bf16(device: str) -> bool:
    if device == "mps":
        return False
    if device not in ON_PROCESSOR:
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    tell: Callable[[], Mapping[str, Any]] = getattr(
        torch.cpu, "get_capabilities", dict
    )  # older releases cannot
    return any(tell().get(name, False) for name in NATIVE)

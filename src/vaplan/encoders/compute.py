"""Where an encoder runs, and how many bits its products have."""

import re
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from vaplan.errors import EncoderError

AUTO = "auto"
MULTIPLYING = (nn.Linear, nn.Conv2d)
PRECISIONS = (AUTO, "fp32", "bf16")
NATIVE = ("avx512_bf16", "amx_bf16", "bf16", "sve_bf16")  # what processors call it that multiply in bf16


@dataclass(frozen=True)
class Compute:
    """A device (`auto`, `cpu`, `cuda` or `cuda:1`) and a precision (`auto`, `fp32` or `bf16`).

    `auto` takes the first GPU there is, else the processor, and bf16 where the device multiplies in it. With bf16 only
    the products of the sound or picture tower are made in it; norms, softmax and all text stay in fp32.
    """

    device: str = AUTO
    precision: str = AUTO

    def __post_init__(self) -> None:
        if not re.fullmatch(r"auto|cpu|cuda(:\d+)?", self.device):
            raise EncoderError(f"unknown device {self.device!r}", fix="say auto, cpu, cuda or cuda:1")
        if self.precision not in PRECISIONS:
            raise EncoderError(f"unknown precision {self.precision!r}", fix=f"say {', '.join(PRECISIONS)}")

    def settled(self) -> "Compute":
        """The same without `auto`, on this machine; EncoderError where it lacks the device."""
        device = self.device
        if device == AUTO:
            device = "cuda" if torch.cuda.is_available() else "cpu"
        elif device != "cpu" and (torch.device(device).index or 0) >= torch.cuda.device_count():
            what = f"there is no {device}: PyTorch sees {torch.cuda.device_count()} GPUs"
            raise EncoderError(what, fix="say --device cpu, or install PyTorch for your GPU")
        if self.precision != AUTO:
            return Compute(device, self.precision)
        return Compute(device, "bf16" if _multiplies_bf16(device) else "fp32")

    @property
    def kind(self) -> str:
        """The kind of device, without its number."""
        return self.device.partition(":")[0]

    def prepared(self, model: Any) -> Any:
        """The model on its device, with the weights of what multiplies in the precision wanted, text's aside."""
        model = model.to(self.device)
        if self.kind == "cuda":
            model = model.to(memory_format=torch.channels_last)
        for name, module in model.named_modules():
            if self.precision == "bf16" and isinstance(module, MULTIPLYING) and not name.startswith("text"):
                module.to(torch.bfloat16)  # or they would be converted again for every batch
        return model

    def products(self) -> AbstractContextManager[Any]:
        """Within it products are made in the precision wanted."""
        return torch.autocast(self.kind, torch.bfloat16, enabled=self.precision == "bf16")

    def placed(self, batch: Tensor) -> Tensor:
        """A batch on the device; the copy to a GPU does not wait for what runs there."""
        return batch if self.kind == "cpu" else batch.pin_memory().to(self.device, non_blocking=True)

    @property
    def provenance(self) -> dict[str, str]:
        """What an embedding depends on; nothing for fp32 on a processor, the plain case."""
        return {} if self == PLAIN else {"device": self.kind, "precision": self.precision}


AUTOMATIC = Compute()
PLAIN = Compute("cpu", "fp32")


def _multiplies_bf16(device: str) -> bool:
    if device != "cpu":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    tell: Callable[[], Mapping[str, Any]] = getattr(torch.cpu, "get_capabilities", dict)  # older releases cannot
    return any(tell().get(name, False) for name in NATIVE)

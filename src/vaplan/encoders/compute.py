"""Device and precision of an encoder."""

import os
import re
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

from vaplan.encoders import openvino
from vaplan.errors import EncoderError

AUTO = "auto"
OPENVINO = "openvino"
CPU_DEVICES = ("cpu", OPENVINO)
GPU_KINDS = ("cuda", "mps")
ONE_DEVICE = r"auto|cpu|openvino|mps|cuda(:\d+)?"
SEVERAL_DEVICES = r"cpu(,cpu)+|cuda(:\d+)?(,cuda(:\d+)?)+"
COMPILE = (
    "VAPLAN_COMPILE"  # variable of the environment; 1 compiles the towers on a GPU
)
HALF_PRECISION_MODULES = (nn.Linear, nn.Conv2d)
HALF_DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}
PRECISIONS = (AUTO, "fp32", *HALF_DTYPES)
# Capabilities of processors that multiply in bf16.
BF16_CAPABILITIES = ("avx512_bf16", "amx_bf16", "bf16", "sve_bf16")


@dataclass(frozen=True)
class Compute:
    """Device and precision of an encoder.

    In half precision only the matrix products of the audio or image tower are computed in half
    precision; norms, softmax and text stay in fp32. OpenVINO runs the whole audio or image
    tower in the given precision on the CPU, and PyTorch runs the text tower.

    Attributes:
        device: `auto`, `cpu`, `openvino`, `cuda`, `cuda:1` … or `mps`. `auto` is the first
            NVIDIA GPU, else the CPU. `cuda:0,cuda:1` are several GPUs, each with an encoder
            process; without such processes the first one is used.
        precision: `auto`, `fp32`, `bf16` or `fp16`. `auto` is bf16 if the device multiplies
            in it, else fp32.

    Raises:
        EncoderError: The device or the precision is unknown, or they exclude each other.
    """

    device: str = AUTO
    precision: str = AUTO

    def __post_init__(self) -> None:
        if not re.fullmatch(f"{ONE_DEVICE}|{SEVERAL_DEVICES}", self.device):
            raise EncoderError(
                f"unknown device {self.device!r}",
                fix="use auto, cpu, openvino, cuda, cuda:1, mps, or cuda:0,cuda:1",
            )
        if self.precision not in PRECISIONS:
            raise EncoderError(
                f"unknown precision {self.precision!r}",
                fix=f"use {', '.join(PRECISIONS)}",
            )
        if self.kind in CPU_DEVICES and self.precision == "fp16":
            raise EncoderError(
                "a CPU does not multiply in fp16", fix="use --precision bf16 or fp32"
            )

    @classmethod
    def of(cls, provenance: Mapping[str, Any]) -> "Compute":
        """Read the device and precision in the provenance of features.

        Args:
            provenance: Provenance of the features.
        """
        return cls(
            provenance.get("device", PLAIN.device),
            provenance.get("precision", PLAIN.precision),
        )

    def with_defaults(self, other: "Compute") -> "Compute":
        """Replace `auto` by the values of another setting.

        Args:
            other: The other setting.
        """
        device = other.device if self.device == AUTO else self.device
        precision = other.precision if self.precision == AUTO else self.precision
        return Compute(device, precision)

    def resolve(self) -> "Compute":
        """Replace `auto` by the values of this machine, and several devices by the first.

        Raises:
            EncoderError: The machine lacks a device.
            MissingExtra: OpenVINO is not installed.
        """
        first, *_ = [one._resolve_one() for one in self.each]
        return first

    def _resolve_one(self) -> "Compute":
        device = self.device
        if device == AUTO:
            device = "cuda" if torch.cuda.is_available() else "cpu"
        elif device == OPENVINO:
            openvino.require()
        elif device != "cpu":
            count = _count_devices(self.kind)
            if (torch.device(device).index or 0) >= count:
                raise EncoderError(
                    f"there is no {device}: PyTorch finds {count} such devices",
                    fix="use --device cpu, or install PyTorch for your GPU",
                )
        if self.precision != AUTO:
            return Compute(device, self.precision)
        return Compute(device, "bf16" if _supports_bf16(device) else "fp32")

    @property
    def each(self) -> tuple["Compute", ...]:
        """Return the setting of every device."""
        devices = self.device.split(",")
        return tuple(Compute(device, self.precision) for device in devices)

    @property
    def kind(self) -> str:
        """Return the kind of device without its number."""
        return re.split("[:,]", self.device)[0]

    @property
    def is_gpu(self) -> bool:
        """Return whether the device is a GPU, or `auto` finds one."""
        return self.resolve().kind in GPU_KINDS

    def prepare(self, model: Any) -> Any:
        """Move a model to the device and convert its weights, except those of the text tower.

        Args:
            model: Model of the transformers library.
        """
        model = model.to(self._torch_device)
        if self.kind == "cuda":
            model = model.to(memory_format=torch.channels_last)
            _compile_towers(model)
        if not self._is_half:
            return model
        for name, module in model.named_modules():
            is_text = name.startswith("text")
            if isinstance(module, HALF_PRECISION_MODULES) and not is_text:
                # Otherwise autocast would convert the weights again for every batch.
                module.to(HALF_DTYPES[self.precision])
        return model

    def autocast(self) -> AbstractContextManager[Any]:
        """Return a context in which matrix products have this precision."""
        if self._is_half:
            return torch.autocast(self.kind, HALF_DTYPES[self.precision])
        return nullcontext()

    def to_device(self, batch: Tensor) -> Tensor:
        """Move a batch to the device without blocking, unless it is there.

        Args:
            batch: Batch of inputs.
        """
        if self.kind != "cuda":
            return batch.to(self._torch_device)
        if batch.is_cuda:
            return batch
        return batch.pin_memory().to(self.device, non_blocking=True)

    def upload(self, inputs: Tensor) -> Tensor:
        """Move inputs to the device if it preprocesses them, which a CUDA GPU does.

        Args:
            inputs: Frames or waveforms.
        """
        return self.to_device(inputs) if self.kind == "cuda" else inputs

    def side_stream(self) -> AbstractContextManager[Any]:
        """Return a context in which a GPU prepares a batch while it computes an earlier one."""
        if self.kind != "cuda":
            return nullcontext()
        return torch.cuda.stream(_side_stream(self.device))

    def join_side_stream(self, inputs: Tensor) -> Tensor:
        """Let later kernels wait for inputs that were made on the side stream.

        Args:
            inputs: Tensor on the device.
        """
        if self.kind == "cuda":
            stream = torch.cuda.current_stream(self.device)
            stream.wait_stream(_side_stream(self.device))
            inputs.record_stream(stream)
        return inputs

    def start_download(self, output: Tensor) -> Callable[[], Tensor]:
        """Start to copy a result to the CPU; the returned function waits for it.

        Args:
            output: Tensor on the device.
        """
        result = output.to("cpu", non_blocking=self.kind == "cuda")
        if self.kind != "cuda":
            return lambda: result
        copied = torch.cuda.Event()  # type: ignore[no-untyped-call]
        copied.record(torch.cuda.current_stream(self.device))

        def wait() -> Tensor:
            copied.synchronize()
            return result

        return wait

    @property
    def _torch_device(self) -> str:
        return "cpu" if self.device == OPENVINO else self.device

    @property
    def _is_half(self) -> bool:
        """Return whether PyTorch multiplies in half precision."""
        return self.precision in HALF_DTYPES and self.device != OPENVINO

    @property
    def provenance(self) -> dict[str, str]:
        """Return the settings that embeddings depend on; empty for fp32 on a CPU."""
        if (self.kind, self.precision) == ("cpu", "fp32"):
            return {}
        return {"device": self.kind, "precision": self.precision}


AUTOMATIC = Compute()
PLAIN = Compute("cpu", "fp32")


def _count_devices(kind: str) -> int:
    if kind == "cuda":
        return torch.cuda.device_count()
    return int(torch.backends.mps.is_available())


def _supports_bf16(device: str) -> bool:
    if device == "mps":
        return False
    if device not in CPU_DEVICES:
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    # Older releases of PyTorch lack the function.
    get_capabilities: Callable[[], Mapping[str, Any]] = getattr(
        torch.cpu, "get_capabilities", dict
    )
    capabilities = get_capabilities()
    return any(capabilities.get(name, False) for name in BF16_CAPABILITIES)


@cache
def _side_stream(device: str) -> torch.cuda.Stream:
    return torch.cuda.Stream(device)  # type: ignore[no-untyped-call]


def _compile_towers(model: Any) -> None:
    """Compile the audio or image tower of a model, if the user asks for it."""
    if os.environ.get(COMPILE) == "1":
        for name in ("vision_model", "audio_model"):
            if hasattr(model, name):
                getattr(model, name).compile()

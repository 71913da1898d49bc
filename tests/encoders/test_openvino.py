"""Towers run by OpenVINO; tests that need the package are skipped without it, the others use a stand-in."""

import importlib.metadata
import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.encoders.conftest import noise, video
from vaplan import encoders
from vaplan.arrays import AUDIO, VISUAL
from vaplan.encoders import openvino
from vaplan.encoders.compute import AUTOMATIC, PLAIN, Compute
from vaplan.errors import MachineError, MissingExtra

# Not importorskip: an import without our precaution would send usage data.
installed = pytest.mark.skipif(
    importlib.util.find_spec("openvino") is None, reason="needs openvino"
)
EXACT = Compute("openvino", "fp32")
Tower = Callable[[Tensor], Tensor]


def doubled(batch: Tensor) -> Tensor:
    return 2 * batch


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A package whose programs compute `function` if it is given, with the precision `precision` if it is given."""
    package = SimpleNamespace(
        __version__="0", __spec__="here", function=None, precision=None
    )
    package.convert_model = lambda part, **_: part
    package.frontend = SimpleNamespace(OpConversionFailure=ZeroDivisionError)

    def compile_model(part: Tower, device: str, settings: dict[str, Any]) -> Any:
        precision_type = SimpleNamespace(
            get_type_name=lambda: (
                package.precision or settings["INFERENCE_PRECISION_HINT"]
            )
        )

        class Program:
            def __call__(self, batch: np.ndarray) -> list[np.ndarray]:
                return [(package.function or part)(torch.from_numpy(batch)).numpy()]

            def get_property(self, name: str) -> Any:
                return precision_type

        return Program()

    package.Core = lambda: SimpleNamespace(compile_model=compile_model)
    version = importlib.metadata.version
    monkeypatch.setattr(
        importlib.metadata,
        "version",
        lambda name: "0" if name == "openvino" else version(name),
    )
    monkeypatch.delitem(sys.modules, "openvino_telemetry", raising=False)
    monkeypatch.setitem(sys.modules, "openvino", package)  # type: ignore[arg-type]
    return package


def test_a_part_is_converted_once_for_batches_of_a_shape(
    stand_in: SimpleNamespace,
) -> None:
    run = openvino.OpenVINORunner("bf16")
    for rows in (3, 3, 2):
        assert torch.equal(
            run(doubled, torch.ones(rows, 4)), torch.full((rows, 4), 2.0)
        )
    assert [shape for _, shape in run.programs] == [(3, 4), (2, 4)]


@pytest.mark.parametrize("modality", [AUDIO, VISUAL])
def test_the_tower_is_converted_and_the_text_is_not(
    stand_in: SimpleNamespace, modality: int
) -> None:
    plain, converted = (
        encoders.load("embedded", modality, compute=compute)
        for compute in (PLAIN, EXACT)
    )
    assert np.allclose(plain.embed(noise(2)), converted.embed(noise(2)), atol=1e-6)
    assert plain.text(["a bell"]).tobytes() == converted.text(["a bell"]).tobytes()


def test_no_usage_data_is_sent(stand_in: SimpleNamespace) -> None:
    openvino.convert_part(doubled, torch.ones(2, 2), precision="fp32")
    with pytest.raises(ImportError, match="openvino_telemetry"):
        importlib.import_module("openvino_telemetry")


def test_a_program_with_other_results_than_the_model_is_refused(
    stand_in: SimpleNamespace,
) -> None:
    stand_in.function = torch.cos
    with pytest.raises(MachineError, match="gives other vectors than this model"):
        openvino.convert_part(doubled, torch.linspace(0, 3, 8), precision="fp32")


def test_a_program_that_multiplies_in_another_precision_is_refused(
    stand_in: SimpleNamespace,
) -> None:
    stand_in.precision = "f32"
    with pytest.raises(MachineError, match="this processor does not multiply in bf16"):
        openvino.convert_part(doubled, torch.ones(2, 2), precision="bf16")


def test_a_failed_conversion_is_no_fault_of_the_video(
    stand_in: SimpleNamespace,
) -> None:
    stand_in.convert_model = lambda *_, **__: 1 / 0
    with pytest.raises(MachineError, match="cannot convert this model"):
        openvino.convert_part(doubled, torch.ones(2, 2), precision="fp32")


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"pip install 'vaplan\[openvino\]'"):
        Compute("openvino").resolve()


@installed
@pytest.mark.parametrize("modality", [AUDIO, VISUAL])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_the_vectors_are_nearly_those_of_pytorch(modality: int, precision: str) -> None:
    plain, converted = (
        encoders.load("embedded", modality, compute=compute)
        for compute in (PLAIN, Compute("openvino", precision))
    )
    cosine = (plain.embed(noise(4)) * converted.embed(noise(4))).sum(axis=1)
    assert cosine.min() > (0.999999 if precision == "fp32" else 0.999)
    assert plain.text(["a bell"]).tobytes() == converted.text(["a bell"]).tobytes()


@installed
def test_the_vector_of_a_segment_does_not_depend_on_its_neighbours_or_the_worker() -> (
    None
):
    whole, (one, other) = (
        noise(13),
        (encoders.load("embedded", AUDIO, compute=EXACT) for _ in range(2)),
    )
    together = one.embed(whole)
    for t in (0, 5, 12):
        alone = other.embed(video(np.stack(whole.frames[t : t + 1]), whole.audio(t)))
        assert alone.tobytes() == together[t].tobytes()


@installed
def test_audio_in_context_has_the_vectors_of_pytorch(clap_folder: Path) -> None:
    name = f"clap:{clap_folder}?context=clip"
    plain, converted = (
        encoders.load(name, AUDIO, compute=compute).embed(noise(3))
        for compute in (PLAIN, EXACT)
    )
    assert np.allclose(plain, converted, atol=1e-4)


@installed
def test_openvino_is_in_the_provenance_and_the_default_for_such_features() -> None:
    provenance = encoders.load("embedded", VISUAL, compute=EXACT).provenance
    assert AUTOMATIC.with_defaults(Compute.of(provenance)) == EXACT
    assert provenance["versions"].keys() >= {"torch", "openvino"}

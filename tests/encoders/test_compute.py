"""Devices and precisions of encoders; all tests run on the CPU."""

from pathlib import Path

import numpy as np
import pytest
import torch

from tests.encoders.conftest import noise, video
from vaplan import encoders
from vaplan.arrays import AUDIO, VISUAL
from vaplan.encoders.compute import AUTOMATIC, PLAIN, Compute
from vaplan.errors import EncoderError

HALF = Compute("cpu", "bf16")
KINDS = [("clip", VISUAL), ("clap", AUDIO)]


@pytest.fixture(params=KINDS, ids=[kind for kind, _ in KINDS])
def name_and_modality(
    request: pytest.FixtureRequest, clip_folder: Path, clap_folder: Path
) -> tuple[str, int]:
    kind, modality = request.param
    return f"{kind}:{clip_folder if kind == 'clip' else clap_folder}", modality


def test_in_bf16_the_vector_of_a_segment_does_not_depend_on_its_neighbours(
    name_and_modality: tuple[str, int],
) -> None:
    encoder, whole = encoders.load(*name_and_modality, compute=HALF), noise(13)
    together = encoder.embed(whole)
    for t in (0, 5, 12):
        alone = encoder.embed(video(np.stack(whole.frames[t : t + 1]), whole.audio(t)))
        assert alone.tobytes() == together[t].tobytes()


def test_bf16_turns_a_vector_by_less_than_two_degrees(
    name_and_modality: tuple[str, int],
) -> None:
    plain, half = (
        encoders.load(*name_and_modality, compute=compute) for compute in (PLAIN, HALF)
    )
    cosine = (plain.embed(noise(6)) * half.embed(noise(6))).sum(axis=1)
    assert cosine.min() > np.cos(np.radians(2))
    assert not np.array_equal(plain.embed(noise(6)), half.embed(noise(6)))


def test_sentences_have_the_same_bytes_in_every_precision(
    name_and_modality: tuple[str, int],
) -> None:
    plain, half = (
        encoders.load(*name_and_modality, compute=compute) for compute in (PLAIN, HALF)
    )
    assert (
        plain.text(["a bell", "a dog"]).tobytes()
        == half.text(["a bell", "a dog"]).tobytes()
    )


def test_auto_is_resolved_on_this_machine_and_given_values_are_kept() -> None:
    settled = AUTOMATIC.resolve()
    assert settled.device == ("cuda" if torch.cuda.is_available() else "cpu")
    assert settled.precision in ("fp32", "bf16")
    assert Compute("cpu", "fp32").resolve() == PLAIN
    assert Compute("cpu", "bf16").resolve() == HALF


def test_on_a_cpu_auto_is_bf16_only_if_the_cpu_multiplies_in_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for able, precision in ((True, "bf16"), (False, "fp32")):
        monkeypatch.setattr(
            torch.cpu,
            "get_capabilities",
            lambda able=able: {"avx512_bf16": able, "avx2": True},
        )
        assert Compute("cpu").resolve() == Compute("cpu", precision)


def test_unset_values_are_those_of_the_features(
    name_and_modality: tuple[str, int],
) -> None:
    for compute in (PLAIN, HALF):
        provenance = encoders.load(*name_and_modality, compute=compute).provenance
        assert AUTOMATIC.with_defaults(Compute.of(provenance)) == compute
        assert (
            Compute(precision="fp32").with_defaults(Compute.of(provenance)).precision
            == "fp32"
        )


def test_the_embedded_encoders_are_fp32_on_the_cpu_by_default() -> None:
    assert (
        encoders.load("embedded", AUDIO, compute=AUTOMATIC).provenance
        == encoders.load("embedded", AUDIO).provenance
    )
    assert (
        encoders.load("embedded", AUDIO, compute=HALF).provenance["precision"] == "bf16"
    )


@pytest.mark.parametrize(
    ("device", "precision", "message"),
    [
        ("gpu", "auto", "unknown device 'gpu'"),
        ("cuda:x", "auto", "unknown device 'cuda:x'"),
        ("cpu", "fp8", "unknown precision 'fp8'"),
        ("cpu", "fp16", "a CPU does not multiply in fp16"),
        ("openvino", "fp16", "a CPU does not multiply in fp16"),
        ("cuda:99", "auto", "there is no cuda:99"),
        ("cuda:98,cuda:99", "auto", "there is no cuda:98"),
        ("cpu,cuda:0", "auto", "unknown device 'cpu,cuda:0'"),
        ("auto,auto", "auto", "unknown device 'auto,auto'"),
        ("cpu,cpu", "fp16", "a CPU does not multiply in fp16"),
    ],
)
def test_an_invalid_device_or_precision_is_refused(
    device: str, precision: str, message: str
) -> None:
    with pytest.raises(EncoderError, match=message):
        Compute(device, precision).resolve()


def test_several_devices_are_one_setting_each_and_the_first_without_processes() -> None:
    several = Compute("cuda:0,cuda:1", "bf16")
    assert several.each == (Compute("cuda:0", "bf16"), Compute("cuda:1", "bf16"))
    assert several.kind == "cuda"
    assert several.provenance == several.each[0].provenance
    two_cpus = Compute("cpu,cpu", "fp32")
    assert two_cpus.resolve() == PLAIN
    assert two_cpus.provenance == {}
    assert not two_cpus.is_gpu


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_a_gpu_gives_nearly_the_vectors_of_the_cpu(
    name_and_modality: tuple[str, int], precision: str
) -> None:
    plain = encoders.load(*name_and_modality).embed(noise(6))
    encoder = encoders.load(*name_and_modality, compute=Compute("cuda", precision))
    assert (plain * encoder.embed(noise(6))).sum(axis=1).min() > np.cos(np.radians(2))
    assert encoder.provenance["device"] == "cuda"

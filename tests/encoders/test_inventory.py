"""Available encoders, checks of their folders, and errors for missing ones. No test makes a request."""

import shutil
import socket
from pathlib import Path

import pytest
from huggingface_hub import constants
from safetensors.torch import load_file, save_file

from vaplan import encoders
from vaplan.arrays import VISUAL
from vaplan.encoders import hub, inventory
from vaplan.encoders.compute import PLAIN, Compute
from vaplan.errors import EncoderError, MachineError, UsageError


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Use an empty cache and no network."""

    def refuse(*_: object, **__: object) -> None:
        raise OSError("the network is down")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))


def test_the_embedded_encoders_are_always_available_and_complete() -> None:
    assert [model.name for model in inventory.list_models()] == ["embedded"]
    assert [about["modality"] for about in inventory.check("embedded")] == [
        "audio",
        "visual",
    ]


def test_a_complete_folder_is_reported_as_complete(
    clip_folder: Path, clap_folder: Path
) -> None:
    (clip,) = inventory.check(f"clip:{clip_folder}")
    assert (clip["model_type"], clip["modality"], clip["dimension"]) == (
        "clip",
        "visual",
        24,
    )
    (clap,) = inventory.check(f"clap:{clap_folder}")
    assert (clap["model_type"], clap["modality"]) == ("clap", "audio")


@pytest.mark.parametrize(
    "name", ["config.json", "model.safetensors", "preprocessor_config.json"]
)
def test_a_file_that_is_missing_is_named(
    clip_folder: Path, tmp_path: Path, name: str
) -> None:
    folder = shutil.copytree(clip_folder, tmp_path / "clip")
    (folder / name).unlink()
    with pytest.raises(EncoderError, match=f"no {name}"):
        inventory.check(f"clip:{folder}")


def test_cut_weights_and_missing_tensors_are_named(
    clip_folder: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(clip_folder, tmp_path / "clip")
    weights = folder / "model.safetensors"
    tensors = {
        name: tensor.clone() for name, tensor in load_file(weights).items()
    }  # not a view of the file
    whole = weights.read_bytes()
    weights.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(
        EncoderError, match=r"model\.safetensors: cannot be loaded as safetensors"
    ):
        inventory.check(f"clip:{folder}")
    save_file(
        {name: t for name, t in tensors.items() if name != "visual_projection.weight"},
        weights,
    )
    with pytest.raises(EncoderError, match=r"visual_projection\.weight"):
        inventory.check(f"clip:{folder}")


def test_a_missing_model_names_the_command_also_without_a_network() -> None:
    with pytest.raises(
        EncoderError,
        match=r"vaplan models fetch clip:some/model.*without one, bring a folder",
    ):
        inventory.check("clip:some/model")
    with pytest.raises(MachineError, match=r"'some/model' cannot be fetched"):
        hub.fetch("some/model", "clip")


def test_invalid_names_are_refused() -> None:
    with pytest.raises(UsageError, match="unknown encoder 'clpi'; did you mean 'clip'"):
        inventory.source("clpi:x")
    with pytest.raises(UsageError, match="names no model"):
        inventory.source("clip:")


def test_a_missing_device_and_an_unknown_precision_are_refused() -> None:
    with pytest.raises(EncoderError, match="there is no cuda:7"):
        Compute("cuda:7").resolve()
    with pytest.raises(EncoderError, match="unknown precision 'fp8'"):
        Compute(precision="fp8")


def test_the_precision_is_in_the_provenance_and_plain_is_the_default(
    clip_folder: Path,
) -> None:
    name = f"clip:{clip_folder}"
    plain = encoders.load(name, VISUAL)
    assert plain.provenance == encoders.load(name, VISUAL, compute=PLAIN).provenance
    half = encoders.load(name, VISUAL, compute=Compute("cpu", "bf16"))
    assert half.provenance["precision"] == "bf16"
    assert "precision" not in plain.provenance

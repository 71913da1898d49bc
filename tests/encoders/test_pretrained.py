"""A model is loaded completely or not at all, and every error has a fix."""

import hashlib
import json
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from vaplan import encoders
from vaplan.arrays import AUDIO, VISUAL
from vaplan.encoders import pretrained
from vaplan.errors import EncoderError, Exit


@pytest.fixture
def folder(clip_folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(clip_folder, tmp_path / "model"))


def refusal(name: str | Path, modality: int = VISUAL) -> str:
    with pytest.raises(EncoderError) as caught:
        encoders.load(f"clip:{name}", modality)
    message = str(caught.value)
    assert "\n" not in message
    assert "Fix:" in message
    assert caught.value.exit == Exit.USAGE
    return message


def rewrite(folder: Path, change: str) -> None:
    tensors = load_file(folder / "model.safetensors")
    kept = {
        name: tensor
        for name, tensor in tensors.items()
        if name != "visual_projection.weight"
    }
    changed = {
        "missing": {},
        "unexpected": {
            "visual_projection.weight": tensors["visual_projection.weight"],
            "surprise": torch.ones(2),
        },
        "mismatched": {"visual_projection.weight": torch.ones(3, 3)},
    }
    save_file(
        kept | changed[change], folder / "model.safetensors", metadata={"format": "pt"}
    )


def test_a_missing_tensor_is_refused_and_not_initialised_at_random(
    folder: Path,
) -> None:
    rewrite(folder, "missing")
    assert "1 missing tensors" in refusal(folder)
    assert "visual_projection.weight" in refusal(folder)


def test_an_additional_tensor_is_refused(folder: Path) -> None:
    rewrite(folder, "unexpected")
    assert "surprise" in refusal(folder)


def test_a_tensor_of_another_shape_is_refused(folder: Path) -> None:
    rewrite(folder, "mismatched")
    assert str(folder) in refusal(folder)


def test_a_folder_without_weights_is_refused(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    assert "no model.safetensors" in refusal(folder)


def test_pickled_weights_are_refused_unread(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(b"cos\nsystem\n(S'exit 1'\ntR.")
    assert "pickled weights are not read" in refusal(folder)


def test_a_truncated_file_is_refused(folder: Path) -> None:
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    assert "cannot be loaded" in refusal(folder)
    weights.write_bytes(b"\x00" * 4)
    assert "cannot be loaded" in refusal(folder)


@pytest.mark.parametrize(
    "file", ["config.json", "preprocessor_config.json", "tokenizer.json"]
)
def test_a_missing_file_is_refused_by_name(folder: Path, file: str) -> None:
    (folder / file).unlink()
    assert file.split(".")[0].split("_")[0] in refusal(folder)


def test_a_broken_configuration_is_refused_by_name(folder: Path) -> None:
    (folder / "config.json").write_text("{")
    assert f"{folder / 'config.json'}: cannot be read as JSON" in refusal(folder)


def test_a_tokenizer_that_fails_when_it_is_used_is_refused_by_name(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    file = folder / "tokenizer.json"
    content = json.loads(file.read_text())
    content["post_processor"] = {
        "type": "TemplateProcessing",
        "single": [{"SpecialToken": {"id": "none", "type_id": 0}}],
        "pair": [],
        "special_tokens": {},
    }
    file.write_text(json.dumps(content))
    assert f"{file}: cannot be loaded" in refusal(folder)
    capfd.readouterr()  # the tokenizer prints where it stopped


def test_a_model_of_another_kind_is_refused(clap_folder: Path) -> None:
    assert "it is a 'clap' model, expected 'clip'" in refusal(clap_folder)


@pytest.mark.parametrize(
    "name", ["", "./nowhere", "/no/such/folder", "a/b/c", "~nobody/x"]
)
def test_a_missing_folder_is_refused_before_transformers_is_called(
    name: str,
) -> None:
    assert f"no folder {name!r}" in refusal(name)


def test_a_hub_name_without_cache_or_network_is_one_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    assert "clip:some/model is no folder, is not in the Hub's cache" in refusal(
        "some/model"
    )


def test_an_unknown_kind_names_the_nearest() -> None:
    with pytest.raises(EncoderError, match="unknown encoder 'clop'; did you mean"):
        encoders.load("clop:x", VISUAL)


def test_the_newer_processor_file_is_read_too(folder: Path) -> None:
    settings = json.loads((folder / "preprocessor_config.json").read_text())
    before = encoders.load(f"clip:{folder}", VISUAL)
    (folder / "preprocessor_config.json").unlink()
    (folder / "processor_config.json").write_text(
        json.dumps({"image_processor": settings})
    )
    assert encoders.load(f"clip:{folder}", VISUAL).provenance == before.provenance


def test_the_provenance_holds_the_weights_hash_and_is_json(folder: Path) -> None:
    provenance = encoders.load(f"clip:{folder}", VISUAL).provenance
    digest = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    assert provenance["weights_sha256"] == digest
    assert provenance["versions"]["torch"] == version("torch")
    assert json.loads(json.dumps(provenance)) == provenance


def test_batches_have_one_shape_and_rows_come_back_in_order() -> None:
    shapes = []

    def encode(batch: torch.Tensor) -> torch.Tensor:
        shapes.append(tuple(batch.shape))
        return batch * 2

    rows = torch.arange(7.0)[:, None]
    assert torch.equal(
        pretrained.encode_in_fixed_batches(encode, rows, batch_size=3), rows * 2
    )
    assert shapes == [(3, 1)] * 3


def test_importing_encoders_does_not_import_transformers() -> None:
    code = "import sys, vaplan.encoders; print('transformers' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "False"


def test_loading_prints_nothing(
    clip_folder: Path, clap_folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    encoders.load(f"clip:{clip_folder}", VISUAL)
    encoders.load(f"clap:{clap_folder}", AUDIO)
    captured = capfd.readouterr()
    assert captured.out + captured.err == ""

"""Checkpoints as old versions of transformers wrote them have the vectors of these versions.

`tools/write_old_checkpoints.py` wrote `tests/data/old_checkpoints` and the vectors in it.
"""

import importlib.util
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors import safe_open

from tests.encoders.conftest import video
from vaplan import encoders
from vaplan.arrays import AUDIO, VISUAL
from vaplan.media import Segments

ROOT = Path(__file__).parents[2]
FOLDERS = ROOT / "tests" / "data" / "old_checkpoints"
CLIP = ("clip-4.24", "clip-4.27")
CLAP = ("clap-4.27",)
LARGEST_DIFFERENCE = 1e-5
FIRST_BLOCK = "audio_model.audio_encoder.layers.0.blocks.0"


@pytest.fixture(scope="module")
def script() -> Any:
    """The script, for its inputs."""
    path = ROOT / "tools" / "write_old_checkpoints.py"
    spec = importlib.util.spec_from_file_location("write_old_checkpoints", path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def load(name: str) -> encoders.Encoder:
    modality = AUDIO if name in CLAP else VISUAL
    return encoders.load(f"{name.partition('-')[0]}:{FOLDERS / name}", modality)


def expected(name: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(
        (FOLDERS / name / "expected.json").read_text()
    )
    return document


def frames_only(frames: np.ndarray) -> Segments:
    return video(frames[:, None], np.zeros(len(frames) * 48_000))


def audio_only(waveform: np.ndarray) -> Segments:
    seconds = len(waveform) // 48_000
    return video(np.zeros((seconds, 1, 8, 8, 3), np.uint8), waveform)


@pytest.mark.parametrize(
    ("name", "tensor", "key"),
    [
        ("clip-4.24", "text_model.embeddings.position_ids", "text_config_dict"),
        ("clip-4.27", "vision_model.embeddings.position_ids", "text_config"),
        ("clap-4.27", "text_model.embeddings.token_type_ids", "audio_config"),
        (
            "clap-4.27",
            f"{FIRST_BLOCK}.attention.self.relative_position_index",
            "text_config",
        ),
    ],
)
def test_the_folders_have_what_newer_versions_do_not_write(
    name: str, tensor: str, key: str
) -> None:
    folder = FOLDERS / name
    with safe_open(folder / "model.safetensors", "pt") as content:
        assert tensor in content.keys()
        assert content.metadata() == {"format": "pt"}
    assert key in json.loads((folder / "config.json").read_text())
    settings = json.loads((folder / "preprocessor_config.json").read_text())
    assert name == "clip-4.27" or "feature_extractor_type" in settings
    assert (settings.get("size") == 32) == (name == "clip-4.24")
    size = (folder / "model.safetensors").stat().st_size
    assert size < 60_000


@pytest.mark.parametrize("name", CLIP)
def test_frames_of_the_models_size_have_the_vectors_of_the_old_version(
    name: str, script: Any
) -> None:
    vectors = load(name).embed(frames_only(script.frames(script.SIDE, script.SIDE)))
    assert np.abs(vectors - expected(name)["frames"]).max() < LARGEST_DIFFERENCE
    assert vectors @ vectors.T == pytest.approx(np.eye(3), abs=0.999)  # not all equal


@pytest.mark.parametrize("name", CLIP)
def test_resized_frames_have_nearly_the_vectors_of_the_old_version(
    name: str, script: Any
) -> None:
    vectors = load(name).embed(frames_only(script.frames(*script.LARGE)))
    assert np.abs(vectors - expected(name)["large_frames"]).max() < 1e-2


@pytest.mark.parametrize("name", CLAP)
def test_audio_has_the_vectors_of_the_old_version(name: str, script: Any) -> None:
    vectors = load(name).embed(audio_only(script.waveform()))
    assert np.abs(vectors - expected(name)["audio"]).max() < LARGEST_DIFFERENCE


@pytest.mark.parametrize("name", CLIP + CLAP)
def test_prompts_have_the_vectors_of_the_old_version(name: str, script: Any) -> None:
    vectors = load(name).text(script.PROMPTS)
    assert np.abs(vectors - expected(name)["text"]).max() < LARGEST_DIFFERENCE

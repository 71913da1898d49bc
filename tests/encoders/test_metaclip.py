"""MetaCLIP 2's checkpoints are read by the same file as CLIP's."""

from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoTokenizer, MetaClip2Config, MetaClip2Model
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

from tests.encoders.conftest import noise, pixels_of, saved_clip
from vaplan import encoders
from vaplan.arrays import VISUAL

PROMPTS = ["a dog", "photo of a bell"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("metaclip")
    return saved_clip(path, MetaClip2Config, MetaClip2Model)


@pytest.fixture(scope="module")
def encoder(folder: Path) -> encoders.Encoder:
    return encoders.load(f"clip:{folder}", VISUAL)


@pytest.fixture(scope="module")
def model(folder: Path) -> MetaClip2Model:
    return MetaClip2Model.from_pretrained(folder, use_safetensors=True).eval()


def test_the_frame_vectors_are_those_of_the_model_of_transformers(
    folder: Path, encoder: encoders.Encoder, model: MetaClip2Model
) -> None:
    video = noise(2)
    pixels = pixels_of(video, CLIPImageProcessorPil.from_pretrained(folder))
    with torch.inference_mode():
        pooled = model.vision_model(pixel_values=pixels).pooler_output
        expected = torch.nn.functional.normalize(
            model.visual_projection(pooled), dim=-1
        )
    assert encoder.dimension == 24
    assert np.abs(encoder.embed(video) - expected.numpy()).max() < 2e-2


def test_the_prompt_vectors_are_those_of_the_model_of_transformers(
    folder: Path, encoder: encoders.Encoder, model: MetaClip2Model
) -> None:
    tokens = AutoTokenizer.from_pretrained(folder)(
        PROMPTS, padding=True, return_tensors="pt"
    )
    with torch.inference_mode():
        pooled = model.text_model(
            input_ids=tokens["input_ids"], attention_mask=tokens["attention_mask"]
        ).pooler_output
        expected = torch.nn.functional.normalize(model.text_projection(pooled), dim=-1)
    assert np.abs(encoder.text(PROMPTS) - expected.numpy()).max() < 1e-5


def test_the_vector_of_a_prompt_does_not_depend_on_the_other_prompts(
    encoder: encoders.Encoder,
) -> None:
    alone = encoder.text(PROMPTS[:1])
    assert np.allclose(encoder.text(PROMPTS)[:1], alone, atol=1e-6)

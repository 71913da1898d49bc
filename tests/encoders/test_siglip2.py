"""SigLIP 2's models of one resolution are SigLIP models with Gemma's tokenizer, as published."""

from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import (
    AutoTokenizer,
    Siglip2Config,
    Siglip2Model,
    Siglip2Tokenizer,
    SiglipModel,
)
from transformers.models.siglip.image_processing_pil_siglip import (
    SiglipImageProcessorPil,
)

from tests.encoders.conftest import (
    SIGLIP_TEXT,
    SIZES,
    noise,
    pixels_of,
    save_parts,
    saved_siglip,
)
from vaplan import encoders
from vaplan.arrays import VISUAL
from vaplan.errors import EncoderError

SPECIAL = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>"]
PROMPTS = ["A dog", "photo of a bell", "Ein Hund"]
TOKENS = 64  # of every prompt, with its padding


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    tokens = [*SPECIAL, "▁", *"abcdefghijklmnopqrstuvwxyz"]
    vocabulary = {token: number for number, token in enumerate(tokens)}
    tokenizer = Siglip2Tokenizer(vocabulary, [], padding_side="right")
    return saved_siglip(
        tmp_path_factory.mktemp("siglip2"),
        tokenizer,
        vocab_size=len(vocabulary),
        pad_token_id=0,
        eos_token_id=1,
        bos_token_id=2,
    )


@pytest.fixture(scope="module")
def encoder(folder: Path) -> encoders.Encoder:
    return encoders.load(f"clip:{folder}", VISUAL)


@pytest.fixture(scope="module")
def model(folder: Path) -> SiglipModel:
    return SiglipModel.from_pretrained(folder, use_safetensors=True).eval()


def test_the_frame_vectors_are_those_of_the_model_of_transformers(
    folder: Path, encoder: encoders.Encoder, model: SiglipModel
) -> None:
    video = noise(2)
    pixels = pixels_of(video, SiglipImageProcessorPil.from_pretrained(folder))
    with torch.inference_mode():
        pooled = model.vision_model(pixel_values=pixels).pooler_output
        expected = torch.nn.functional.normalize(pooled, dim=-1)
    assert encoder.dimension == 32
    assert np.abs(encoder.embed(video) - expected.numpy()).max() < 2e-2


def test_the_prompt_vectors_are_those_of_the_model_of_transformers(
    folder: Path, encoder: encoders.Encoder, model: SiglipModel
) -> None:
    tokens = AutoTokenizer.from_pretrained(folder)(
        PROMPTS, padding="max_length", max_length=TOKENS, return_tensors="pt"
    )
    with torch.inference_mode():  # as in training, the padding is read too
        pooled = model.text_model(input_ids=tokens["input_ids"]).pooler_output
        expected = torch.nn.functional.normalize(pooled, dim=-1)
    assert tokens["input_ids"].shape == (len(PROMPTS), TOKENS)
    assert len(np.unique(expected.numpy().round(4), axis=0)) == len(PROMPTS)
    assert np.abs(encoder.text(PROMPTS) - expected.numpy()).max() < 1e-5


def test_neither_case_nor_other_prompts_matter(encoder: encoders.Encoder) -> None:
    text = encoder.text(PROMPTS)
    assert np.array_equal(encoder.text(["a DOG"]), text[:1])
    assert np.allclose(np.linalg.norm(text, axis=1), 1, atol=1e-5)


def test_the_vector_of_a_segment_does_not_depend_on_its_neighbours(
    encoder: encoders.Encoder,
) -> None:
    assert np.array_equal(encoder.embed(noise(3))[:1], encoder.embed(noise(1)))


def test_a_model_of_any_resolution_is_refused(tmp_path: Path) -> None:
    vision = {**SIZES, "patch_size": 8, "num_patches": 16}
    config = Siglip2Config(text_config=SIGLIP_TEXT, vision_config=vision)
    save_parts(tmp_path, Siglip2Model(config))
    with pytest.raises(EncoderError, match="it is a 'siglip2' model, expected 'clip'"):
        encoders.load(f"clip:{tmp_path}", VISUAL)

"""SigLIP's checkpoints are read by the same file as CLIP's."""

from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import SiglipModel
from transformers.models.siglip.image_processing_pil_siglip import (
    SiglipImageProcessorPil,
)

from tests.encoders.conftest import noise, pixels_of, saved_siglip
from vaplan import encoders
from vaplan.arrays import VISUAL


@pytest.fixture(scope="module")
def siglip(tmp_path_factory: pytest.TempPathFactory) -> encoders.Encoder:
    torch.manual_seed(0)
    folder = saved_siglip(tmp_path_factory.mktemp("siglip"))
    return encoders.load(f"clip:{folder}", VISUAL)


def test_frames_and_sentences_are_unit_vectors_of_one_space(
    siglip: encoders.Encoder,
) -> None:
    features = siglip.embed(noise(3))
    assert features.shape == (3, siglip.dimension)
    assert np.allclose(np.linalg.norm(features, axis=1), 1, atol=1e-5)
    text = siglip.text(["a dog", "a bell"])
    assert text.shape == (2, siglip.dimension)
    assert np.allclose(np.linalg.norm(text, axis=1), 1, atol=1e-5)


def test_the_vector_of_a_segment_does_not_depend_on_its_neighbours(
    siglip: encoders.Encoder,
) -> None:
    assert np.array_equal(siglip.embed(noise(3))[:1], siglip.embed(noise(1)))


def test_the_vector_of_a_sentence_does_not_depend_on_the_other_sentences(
    siglip: encoders.Encoder,
) -> None:
    assert np.allclose(
        siglip.text(["a dog", "photo of a bell"])[:1], siglip.text(["a dog"]), atol=1e-6
    )


def test_the_vectors_are_those_of_the_model_of_transformers(
    siglip: encoders.Encoder,
) -> None:
    folder = Path(siglip.name.partition(":")[2])
    model = SiglipModel.from_pretrained(folder, use_safetensors=True).eval()
    video = noise(2)
    pixels = pixels_of(video, SiglipImageProcessorPil.from_pretrained(folder))
    with torch.inference_mode():
        found = model.vision_model(pixel_values=pixels).pooler_output
    theirs = torch.nn.functional.normalize(found, dim=-1).numpy()
    assert np.abs(siglip.embed(video) - theirs).max() < 2e-2

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

from tests.encoders.conftest import noise, video
from vaplan import encoders
from vaplan.arrays import AUDIO, VISUAL
from vaplan.encoders import clip
from vaplan.errors import EncoderError

GREY_LEVEL = 1 / 255
SHAPE = clip.ImagePreprocessing.from_config(
    {
        "size": 224,
        "crop_size": 224,
        "image_mean": [0.4, 0.5, 0.6],
        "image_std": [0.2, 0.3, 0.25],
    }
)


@pytest.fixture(scope="module")
def encoder(clip_folder: Path) -> encoders.Encoder:
    return encoders.load(f"clip:{clip_folder}", VISUAL)


@settings(max_examples=40, deadline=None)
@given(
    height=st.integers(33, 300),
    width=st.integers(33, 300),
    edge=st.sampled_from([32, 56, 224]),
    seed=st.integers(0, 99),
)
def test_a_frame_is_preprocessed_as_by_transformers_to_one_grey_level(
    height: int, width: int, edge: int, seed: int
) -> None:
    smooth = (
        np.random.default_rng(seed)
        .integers(0, 256, size=(1, 5, 7, 3))
        .repeat(60, axis=1)
        .repeat(43, axis=2)
    )
    frame = smooth[:, :height, :width].astype(np.uint8)
    library = CLIPImageProcessorPil(
        size={"shortest_edge": edge}, crop_size={"height": edge, "width": edge}
    )
    ours = clip.preprocess(
        frame, clip.ImagePreprocessing.from_config(library.to_dict())
    )
    theirs = library(images=[frame[0]], return_tensors="pt")["pixel_values"]
    levels = (
        (ours - theirs).abs()
        * torch.tensor(library.image_std)[:, None, None]
        / GREY_LEVEL
    )
    assert levels.max() < 1.01


@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
def test_a_gpu_resizes_to_the_grey_levels_of_the_cpu_but_for_one(mode: str) -> None:
    frames = noise(2, side=(90, 120)).frames
    pixels = torch.from_numpy(np.concatenate(frames)).permute(0, 3, 1, 2)
    options = {"size": (32, 43), "mode": mode, "antialias": True}
    on_cpu = torch.nn.functional.interpolate(pixels, **options)
    resized = clip.interpolate_floats(pixels, **options)
    assert resized.min() >= 0
    assert resized.max() <= 255
    assert (resized - on_cpu).abs().max() <= 1
    assert (resized == on_cpu).float().mean() > 0.8


def test_the_longer_edge_is_cut_to_whole_pixels_and_the_centre_kept() -> None:
    frame = np.zeros((1, 100, 201, 3), np.uint8)
    frame[:, :, 98:103] = 255  # a line down the middle
    prepared = clip.preprocess(frame, SHAPE)
    bright = (prepared[0, 0] > 0).any(dim=0).nonzero().double()
    assert prepared.shape == (1, 3, 224, 224)
    assert abs(bright.mean().item() - 111.5) <= 1


def test_old_and_new_forms_of_the_size_are_equal() -> None:
    normal = {"image_mean": [0.4, 0.5, 0.6], "image_std": [0.2, 0.3, 0.25]}
    new = {"size": {"shortest_edge": 224}, "crop_size": {"height": 224, "width": 224}}
    assert clip.ImagePreprocessing.from_config(new | normal) == SHAPE


def test_settings_left_out_are_those_of_clip() -> None:
    assert clip.ImagePreprocessing.from_config(
        {}
    ) == clip.ImagePreprocessing.from_config(CLIPImageProcessorPil().to_dict())


@pytest.mark.parametrize(
    "config",
    [
        {"resample": 0},
        {"do_center_crop": False},
        {"do_resize": False},
        {"crop_size": 225},
    ],
    ids=str,
)
def test_unsupported_preprocessing_is_refused(
    config: dict[str, object],
) -> None:
    with pytest.raises(EncoderError, match=r"is not supported"):
        clip.ImagePreprocessing.from_config(config)


def test_every_segment_with_frames_has_a_unit_vector(encoder: encoders.Encoder) -> None:
    vectors = encoder.embed(noise(13))
    assert vectors.shape == (13, encoder.dimension)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)


def test_the_vector_of_a_segment_does_not_depend_on_its_neighbours(
    encoder: encoders.Encoder,
) -> None:
    whole = noise(13)
    together = encoder.embed(whole)
    for t in (0, 5, 12):
        alone = encoder.embed(video(np.stack(whole.frames[t : t + 1]), whole.audio(t)))
        assert alone.tobytes() == together[t].tobytes()
    backwards = encoder.embed(video(np.stack(whole.frames[::-1]), whole.waveform))
    assert backwards[::-1].tobytes() == together.tobytes()


def test_segments_without_frames_are_zero_and_change_nothing_else(
    encoder: encoders.Encoder,
) -> None:
    whole = noise(6)
    mask = np.ones((6, 2), bool)
    mask[[1, 4], VISUAL] = False
    half = video(np.stack(whole.frames), whole.waveform, mask=mask)
    expected = np.where(mask[:, VISUAL, None], encoder.embed(whole), 0)
    assert encoder.embed(half).tobytes() == expected.astype(np.float32).tobytes()


def test_a_video_without_frames_is_all_zeros(encoder: encoders.Encoder) -> None:
    heard_only = video(
        np.zeros((3, 1, 8, 8, 3), np.uint8),
        np.zeros(3 * 48_000),
        mask=np.array([[True, False]] * 3),
    )
    assert not encoder.embed(heard_only).any()


def test_the_vectors_of_a_segments_frames_are_averaged_as_unit_vectors(
    encoder: encoders.Encoder,
) -> None:
    several = noise(2, frames=3)
    single = [
        encoder.embed(
            video(np.stack([f[k : k + 1] for f in several.frames]), several.waveform)
        )
        for k in range(3)
    ]
    mean = np.mean(single, axis=0)
    expected = mean / np.linalg.norm(mean, axis=1, keepdims=True)
    assert np.allclose(encoder.embed(several), expected, atol=1e-6)


def test_the_vector_of_a_sentence_does_not_depend_on_the_other_sentences(
    encoder: encoders.Encoder,
) -> None:
    sentences = ["a photo of a dog", "a bell", "dog"] * 5
    vectors = encoder.text(sentences)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    assert (
        encoder.text(["a bell"]).tobytes()
        == vectors[1].tobytes()
        == vectors[13].tobytes()
    )
    assert not np.allclose(vectors[0], vectors[1])


def test_no_sentences_have_no_vectors(encoder: encoders.Encoder) -> None:
    assert encoder.text([]).shape == (0, encoder.dimension)


def test_vectors_are_those_of_transformers(
    encoder: encoders.Encoder, clip_folder: Path
) -> None:
    from transformers import CLIPModel

    picture = np.random.default_rng(1).integers(
        0, 256, size=(1, 1, 40, 40, 3), dtype=np.uint8
    )
    model, library = (
        CLIPModel.from_pretrained(clip_folder).eval(),
        CLIPImageProcessorPil.from_pretrained(clip_folder),
    )
    with torch.inference_mode():
        pixels = library(images=[picture[0, 0]], return_tensors="pt")["pixel_values"]
        theirs = model.get_image_features(pixel_values=pixels).pooler_output[0]
    ours = encoder.embed(video(picture, np.zeros(48_000)))[0]
    assert float(theirs @ torch.from_numpy(ours) / theirs.norm()) > 0.9999
    assert encoder.logit_scale == pytest.approx(float(model.logit_scale.detach().exp()))


def test_clip_refuses_the_audio_modality(clip_folder: Path) -> None:
    with pytest.raises(EncoderError, match="embeds frames, not audio"):
        encoders.load(f"clip:{clip_folder}", AUDIO)

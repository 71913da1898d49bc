from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import ClapFeatureExtractor

from tests.encoders.conftest import noise, video
from vaplan import encoders
from vaplan.arrays import AUDIO, VISUAL
from vaplan.encoders import clap
from vaplan.errors import EncoderError

SECOND = np.random.default_rng(0).normal(0, 0.1, size=48_000)


@pytest.fixture(scope="module")
def encoder(clap_folder: Path) -> encoders.Encoder:
    return encoders.load(f"clap:{clap_folder}", AUDIO)


def test_every_segment_with_audio_has_a_unit_vector(encoder: encoders.Encoder) -> None:
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


def test_segments_without_audio_are_zero_and_not_encoded(
    encoder: encoders.Encoder,
) -> None:
    whole = noise(4)
    mask = np.ones((4, 2), bool)
    mask[2, AUDIO] = False
    poisoned = whole.waveform.copy()
    poisoned[2 * 48_000 : 3 * 48_000] = np.nan
    vectors = encoder.embed(replace(whole, mask=mask, waveform=poisoned))
    assert not vectors[2].any()
    assert vectors[[0, 1, 3]].tobytes() == encoder.embed(whole)[[0, 1, 3]].tobytes()


def test_segments_at_another_rate_are_refused(encoder: encoders.Encoder) -> None:
    with pytest.raises(
        ValueError, match="requires 48000 Hz; the segments have 16000 Hz"
    ):
        encoder.embed(replace(noise(3), rate_hz=16_000))


def test_vectors_are_those_of_transformers(
    encoder: encoders.Encoder, clap_folder: Path
) -> None:
    from transformers import ClapModel

    model, library = (
        ClapModel.from_pretrained(clap_folder).eval(),
        ClapFeatureExtractor.from_pretrained(clap_folder),
    )
    with torch.inference_mode():
        features = library(SECOND, sampling_rate=48_000, return_tensors="pt")[
            "input_features"
        ].float()
        theirs = model.get_audio_features(input_features=features).pooler_output[0]
    ours = encoder.embed(video(np.zeros((1, 1, 8, 8, 3), np.uint8), SECOND))[0]
    assert float(theirs @ torch.from_numpy(ours) / theirs.norm()) > 0.9999
    assert encoder.logit_scale == pytest.approx(
        float(model.logit_scale_a.detach().exp())
    )


def test_the_vector_of_a_sentence_does_not_depend_on_the_other_sentences(
    encoder: encoders.Encoder,
) -> None:
    vectors = encoder.text(["a photo of a dog", "a bell", "dog"] * 5)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    assert (
        encoder.text(["a bell"]).tobytes()
        == vectors[1].tobytes()
        == vectors[13].tobytes()
    )


def test_the_padding_is_named_in_the_provenance(encoder: encoders.Encoder) -> None:
    assert encoder.provenance["padding"] == "repeatpad"
    assert encoder.provenance["preprocessing"]["max_length_s"] == 1


def test_clap_refuses_the_visual_modality(clap_folder: Path) -> None:
    with pytest.raises(EncoderError, match="embeds audio, not frames"):
        encoders.load(f"clap:{clap_folder}", VISUAL)


@pytest.fixture(scope="module")
def in_context(clap_folder: Path) -> encoders.Encoder:
    return encoders.load(f"clap:{clap_folder}?context=clip&padding=repeat", AUDIO)


def test_in_context_segments_with_audio_have_unit_vectors_and_the_others_zeros(
    in_context: encoders.Encoder,
) -> None:
    whole = noise(5)
    mask = np.ones((5, 2), bool)
    mask[3, AUDIO] = False
    vectors = in_context.embed(replace(whole, mask=mask))
    assert np.allclose(np.linalg.norm(vectors, axis=1), [1, 1, 1, 0, 1], atol=1e-6)


def test_in_context_a_video_gives_the_same_bytes_each_time_and_the_option_is_part_of_the_name(
    in_context: encoders.Encoder, clap_folder: Path
) -> None:
    assert in_context.embed(noise(5)).tobytes() == in_context.embed(noise(5)).tobytes()
    assert in_context.name == f"clap:{clap_folder}?context=clip&padding=repeat"
    assert (in_context.provenance["context"], in_context.provenance["padding"]) == (
        "clip",
        "repeat",
    )


def test_in_context_a_segment_alone_in_its_window_is_the_whole_window(
    in_context: encoders.Encoder, clap_folder: Path
) -> None:
    """The model's window here is 1 s: then the mean over a segment is the mean over the window, as it was trained."""
    plain = encoders.load(f"clap:{clap_folder}?padding=repeat", AUDIO)
    assert np.allclose(in_context.embed(noise(4)), plain.embed(noise(4)), atol=1e-5)


def test_in_context_masked_audio_changes_nothing(
    in_context: encoders.Encoder,
) -> None:
    whole, mask = noise(4), np.ones((4, 2), bool)
    mask[2, AUDIO] = False
    poisoned = whole.waveform.copy()
    poisoned[2 * 48_000 : 3 * 48_000] = np.nan
    quiet, loud = (
        in_context.embed(replace(whole, mask=mask, waveform=w))
        for w in (whole.waveform, poisoned)
    )
    assert quiet.tobytes() == loud.tobytes()


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("contxt=clip", "did you mean 'context'"),
        ("context=video", "unknown context 'video'"),
        ("padding=mirror", "unknown padding 'mirror'"),
    ],
)
def test_an_unknown_option_is_refused(
    clap_folder: Path, option: str, message: str
) -> None:
    with pytest.raises(EncoderError, match=message):
        encoders.load(f"clap:{clap_folder}?{option}", AUDIO)


def test_the_mean_of_a_segment_weights_a_token_by_its_overlap() -> None:
    tokens = torch.tensor([[0.0], [6.0], [12.0]])
    assert clap.mean_between(
        tokens, torch.tensor([0.0, 1.0, 3.0])
    ).flatten().tolist() == [0, 9]
    assert clap.mean_between(tokens, torch.tensor([0.5, 1.5])).item() == 3

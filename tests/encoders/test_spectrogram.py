import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import ClapFeatureExtractor

from vaplan.encoders import spectrogram
from vaplan.errors import EncoderError

SECOND = np.random.default_rng(0).normal(0, 0.1, size=48_000)


def furthest_apart(library: ClapFeatureExtractor, sound: np.ndarray) -> float:
    """Compute the largest difference in dB between the spectrograms of vaplan and of transformers."""
    settings = spectrogram.AudioPreprocessing.from_config(library.to_dict())
    ours = spectrogram.log_mel(
        torch.from_numpy(sound)[None], settings, spectrogram.mel_bank(settings)
    )
    theirs = library(sound, sampling_rate=library.sampling_rate, return_tensors="np")[
        "input_features"
    ]
    assert ours[0].shape == theirs[0, 0].shape
    return float(np.abs(ours[0].numpy() - theirs[0, 0]).max())


@pytest.mark.parametrize("padding", ["repeatpad", "repeat", "pad"])
@pytest.mark.parametrize("truncation", ["rand_trunc", "fusion"])
@pytest.mark.parametrize("seconds", [1, 2.5, 3.3, 10])
def test_a_spectrogram_equals_that_of_transformers(
    padding: str, truncation: str, seconds: float
) -> None:
    sound = np.random.default_rng(1).normal(0, 0.1, size=int(seconds * 48_000))
    library = ClapFeatureExtractor(padding=padding, truncation=truncation)
    assert furthest_apart(library, sound) < 1e-4


@pytest.mark.filterwarnings(
    "ignore:At least one mel filter has all zero values"
)  # warnings of both, for some sizes
@settings(max_examples=10, deadline=None)
@given(
    rate_hz=st.sampled_from([16_000, 32_000, 48_000]),
    bands=st.sampled_from([32, 64]),
    hop=st.sampled_from([320, 400, 480]),
    window=st.sampled_from([512, 1024]),
    loudness=st.floats(1e-6, 1),
)
def test_a_spectrogram_equals_that_of_transformers_at_other_sizes(
    rate_hz: int, bands: int, hop: int, window: int, loudness: float
) -> None:
    library = ClapFeatureExtractor(
        sampling_rate=rate_hz,
        feature_size=bands,
        hop_length=hop,
        fft_window_size=window,
        frequency_max=7_000,
        max_length_s=3,
        truncation="rand_trunc",
    )
    assert furthest_apart(library, loudness * SECOND[:rate_hz]) < 1e-4


def test_silence_is_the_lowest_value_everywhere() -> None:
    shape = spectrogram.AudioPreprocessing()
    assert torch.equal(
        spectrogram.log_mel(torch.zeros(1, 48_000), shape, spectrogram.mel_bank(shape)),
        torch.full((1, 1001, 64), -100.0),
    )


def test_audio_longer_than_the_window_is_cut_to_its_middle() -> None:
    shape = spectrogram.AudioPreprocessing(samples=4)
    assert spectrogram.fit_length(torch.arange(10.0)[None], shape).tolist() == [
        [3.0, 4.0, 5.0, 6.0]
    ]


def test_a_padding_repeats_or_fills_with_zeros() -> None:
    def padded(padding: str) -> list[float]:
        return spectrogram.fit_length(
            torch.tensor([[1.0, 2.0]]),
            spectrogram.AudioPreprocessing(samples=5, padding=padding),
        )[0].tolist()

    assert padded("repeatpad") == [1, 2, 1, 2, 0]
    assert padded("repeat") == [1, 2, 1, 2, 1]
    assert padded("pad") == [1, 2, 0, 0, 0]


def test_unknown_preprocessing_is_refused() -> None:
    with pytest.raises(EncoderError, match="padding='mirror'"):
        spectrogram.AudioPreprocessing.from_config({"padding": "mirror"})

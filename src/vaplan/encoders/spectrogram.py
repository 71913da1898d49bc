"""Log-mel spectrograms, the input of CLAP models.

They equal those of the transformers library, and are computed in batches in a fraction of
the time.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Float32, Float64
from torch import Tensor
from torch.nn import functional

from vaplan.encoders.silence import silence_transformers
from vaplan.errors import EncoderError

PADDINGS = ("repeatpad", "repeat", "pad")
TRUNCATIONS = ("rand_trunc", "fusion")
MIN_POWER = 1e-10  # the library clips smaller powers before it takes decibels


@dataclass(frozen=True)
class AudioPreprocessing:
    """Settings of the log-mel spectrogram of a segment's audio.

    Audio that is longer than the model's length is cut to its middle, where the library
    cuts at random.

    Attributes:
        rate_hz: Sample rate.
        samples: Length of the model's input, in samples.
        window: Length of the window of the short-time Fourier transform, in samples.
        hop: Distance between windows, in samples.
        bands: Number of mel bands.
        lowest_hz: Lowest frequency of the bands.
        highest_hz: Highest frequency of the bands.
        padding: How shorter audio is extended to the model's length: `repeatpad` repeats
            it as often as it fits and adds zeros, `repeat` repeats it to the full length,
            `pad` only adds zeros.
        fused: Whether the model fuses several views of long audio.
    """

    rate_hz: int = 48_000
    samples: int = 480_000
    window: int = 1024
    hop: int = 480
    bands: int = 64
    lowest_hz: float = 0.0
    highest_hz: float = 14_000.0
    padding: str = "repeatpad"
    fused: bool = False

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> "AudioPreprocessing":
        """Read the library's settings; missing values are the library's for CLAP.

        Raises:
            EncoderError: A setting is not supported.
        """
        rate_hz = config.get("sampling_rate", 48_000)
        padding = config.get("padding", "repeatpad")
        truncation = config.get("truncation", "fusion")
        top_db = config.get("top_db")
        is_supported = padding in PADDINGS and truncation in TRUNCATIONS
        if not is_supported or top_db is not None:
            raise EncoderError(
                f"preprocessing with padding={padding!r}, truncation={truncation!r}, "
                f"top_db={top_db!r} is not supported",
                fix=f"name a model with padding in {PADDINGS}, "
                f"truncation in {TRUNCATIONS} and no top_db",
            )
        return cls(
            rate_hz=rate_hz,
            samples=int(config.get("max_length_s", 10) * rate_hz),
            window=config.get("fft_window_size", 1024),
            hop=config.get("hop_length", 480),
            bands=config.get("feature_size", 64),
            lowest_hz=float(config.get("frequency_min", 0)),
            highest_hz=float(config.get("frequency_max", 14_000)),
            padding=padding,
            fused=truncation == "fusion",
        )


def mel_bank(settings: AudioPreprocessing) -> Float64[Tensor, "frequency band"]:
    """Return the weight of each frequency in each mel band.

    The scale is Slaney's, or HTK's for fused models.
    """
    with silence_transformers():
        from transformers.audio_utils import mel_filter_bank

        bank = mel_filter_bank(
            num_frequency_bins=settings.window // 2 + 1,
            num_mel_filters=settings.bands,
            min_frequency=settings.lowest_hz,
            max_frequency=settings.highest_hz,
            sampling_rate=settings.rate_hz,
            norm=None if settings.fused else "slaney",
            mel_scale="htk" if settings.fused else "slaney",
        )
    return torch.from_numpy(bank)


def log_mel(
    waveforms: Float[Tensor, "waveform sample"],
    settings: AudioPreprocessing,
    bank: Float64[Tensor, "frequency band"],
) -> Float32[Tensor, "waveform frame band"]:
    """Compute log-mel spectrograms in decibels, equal to the library's to 1e-4.

    The spectrogram of a repeated waveform repeats too. Then two periods are computed: they
    contain both edges and a whole period far from them.

    Args:
        waveforms: Audio of one length, at the rate of the settings.
        settings: Settings of the spectrogram.
        bank: Weights of `mel_bank`.
    """
    length = waveforms.shape[1]
    repeats = settings.samples // max(length, 1)
    if not _is_periodic(length, repeats, settings):
        return _decibels(fit_length(waveforms, settings), settings, bank)
    period = length // settings.hop
    two_periods = _decibels(waveforms.tile(1, 2), settings, bank)
    edges = [period // 2, period // 2 + period]
    first, middle, last = two_periods.tensor_split(edges, dim=1)
    return torch.cat([first, middle.tile(1, repeats - 1, 1), last], dim=1)


def fit_length(
    waveforms: Float[Tensor, "waveform sample"], settings: AudioPreprocessing
) -> Float[Tensor, "waveform model_sample"]:
    """Repeat, pad or cut waveforms to the model's length.

    Args:
        waveforms: Audio of one length.
        settings: Length of the model's input, and the padding.
    """
    length = waveforms.shape[1]
    if length >= settings.samples:
        start = (length - settings.samples) // 2
        return waveforms[:, start : start + settings.samples]
    repeats = settings.samples // length
    if settings.padding == "repeatpad":
        waveforms = waveforms.tile(1, repeats)
    elif settings.padding == "repeat":
        repeated = waveforms.tile(1, repeats + 1)
        waveforms = repeated[:, : settings.samples]
    missing_samples = settings.samples - waveforms.shape[1]
    return functional.pad(waveforms, (0, missing_samples))


def _is_periodic(length: int, repeats: int, settings: AudioPreprocessing) -> bool:
    """Return whether the model's input is a whole number of equal periods, more than two.

    A window must not reach over half a period, otherwise no period is far from the edges.
    """
    if settings.padding == "pad" or repeats <= 2:
        return False
    if length * repeats != settings.samples or length % settings.hop != 0:
        return False
    period = length // settings.hop
    return settings.window // 2 <= period // 2 * settings.hop


def _decibels(
    waveforms: Float[Tensor, "waveform sample"],
    settings: AudioPreprocessing,
    bank: Float64[Tensor, "frequency band"],
) -> Float32[Tensor, "waveform frame band"]:
    window = torch.hann_window(settings.window, dtype=torch.float64)
    spectrum = torch.stft(
        waveforms.double(),
        settings.window,
        settings.hop,
        window=window,
        pad_mode="reflect",
        return_complex=True,
    )
    power = spectrum.real.square() + spectrum.imag.square()
    band_power = power.transpose(1, 2) @ bank
    decibels = 10 * band_power.clamp(min=MIN_POWER).log10()
    return decibels.float()

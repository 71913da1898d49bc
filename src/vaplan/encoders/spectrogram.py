"""Log-mel spectrograms for CLAP: equal to the library's, in batches and much faster."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Float32, Float64
from torch import Tensor
from torch.nn import functional

from vaplan.encoders.folders import COPY_AGAIN
from vaplan.encoders.silence import silence_transformers
from vaplan.errors import EncoderError, excerpt

PADDINGS = ("repeatpad", "repeat", "pad")
TRUNCATIONS = ("rand_trunc", "fusion")
MAX_SAMPLES = 60 * 48_000  # that a model reads at once
MIN_POWER = 1e-10  # the library clips lower powers


@dataclass(frozen=True)
class AudioPreprocessing:
    """Preprocessing of the audio of a segment: a log-mel spectrogram of a fixed length.

    Audio that is longer than the model's length is cut to its middle, where the library cuts
    at random.

    Attributes:
        rate_hz: Sample rate.
        samples: Number of samples of the model's length.
        window: Number of samples of a window.
        hop: Number of samples between windows.
        bands: Number of frequency bands.
        lowest_hz: Lowest frequency.
        highest_hz: Highest frequency.
        padding: `repeatpad` repeats short audio as often as it fits and adds zeros, `repeat`
            repeats it to the full length, `pad` adds zeros.
        fused: Whether the model reads four views of a spectrogram.
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
        """Read the settings of the library; missing values are the library's CLAP defaults.

        Args:
            config: Content of preprocessor_config.json.

        Raises:
            EncoderError: The settings are not supported.
        """
        rate_hz = config.get("sampling_rate", 48_000)
        truncation = config.get("truncation", "fusion")
        padding = config.get("padding", "repeatpad")
        top_db = config.get("top_db")
        is_supported = padding in PADDINGS and truncation in TRUNCATIONS
        if not is_supported or top_db is not None:
            raise EncoderError(
                f"preprocessing with padding={padding!r}, truncation={truncation!r}, "
                f"top_db={top_db!r} is not supported",
                fix=f"name a model with padding in {PADDINGS}, truncation in {TRUNCATIONS} "
                "and no top_db",
            )
        sizes = {
            "sampling_rate": rate_hz,
            "max_length_s": config.get("max_length_s", 10) * rate_hz,
            "fft_window_size": config.get("fft_window_size", 1024),
            "hop_length": config.get("hop_length", 480),
            "feature_size": config.get("feature_size", 64),
        }
        for key, size in sizes.items():
            if not 1 <= size <= MAX_SAMPLES:
                raise EncoderError(
                    f"{key} gives {excerpt(size)} samples or bands, expected 1 to "
                    f"{MAX_SAMPLES:,}",
                    fix=COPY_AGAIN,
                )
        return cls(
            rate_hz=int(rate_hz),
            samples=int(sizes["max_length_s"]),
            window=int(sizes["fft_window_size"]),
            hop=int(sizes["hop_length"]),
            bands=int(sizes["feature_size"]),
            lowest_hz=float(config.get("frequency_min", 0)),
            highest_hz=float(config.get("frequency_max", 14_000)),
            padding=padding,
            fused=truncation == "fusion",
        )


def mel_bank(settings: AudioPreprocessing) -> Float64[Tensor, "frequency band"]:
    """Compute the weight of each frequency in each band.

    The scale is Slaney's, or HTK's for fused models.

    Args:
        settings: Settings of the preprocessing.
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
    waveforms: Float[Tensor, "segment sample"],
    settings: AudioPreprocessing,
    bank: Float64[Tensor, "frequency band"],
) -> Float32[Tensor, "segment frame band"]:
    """Compute log-mel spectrograms in decibels, equal to the library's to 1e-4.

    The spectrogram of repeated audio repeats. Only two periods of it are computed; they contain
    both edges and a whole period far from the edges.

    Args:
        waveforms: Audio of segments.
        settings: Settings of the preprocessing.
        bank: Weights of the bands; see `mel_bank`.
    """
    length = waveforms.shape[1]
    period = length // settings.hop
    repeats = settings.samples // max(length, 1)
    is_repeated = (
        settings.padding != "pad"
        and length * repeats == settings.samples
        and length % settings.hop == 0
        and repeats > 2
        and settings.window // 2 <= period // 2 * settings.hop
    )

    if not is_repeated:
        return _decibels(fit_length(waveforms, settings), settings, bank)

    twice = _decibels(waveforms.tile(1, 2), settings, bank)
    first, middle, last = twice.tensor_split([period // 2, period // 2 + period], dim=1)
    return torch.cat([first, middle.tile(1, repeats - 1, 1), last], dim=1)


def fit_length(
    waveforms: Float[Tensor, "segment sample"], settings: AudioPreprocessing
) -> Float[Tensor, "segment fitted"]:
    """Repeat, pad or cut audio to the model's length.

    Args:
        waveforms: Audio of segments.
        settings: Settings of the preprocessing.
    """
    length = waveforms.shape[1]
    if length >= settings.samples:
        start = (length - settings.samples) // 2
        return waveforms[:, start : start + settings.samples]
    repeats = settings.samples // length
    if settings.padding == "repeatpad":
        waveforms = waveforms.tile(1, repeats)
    elif settings.padding == "repeat":
        waveforms = waveforms.tile(1, repeats + 1)[:, : settings.samples]
    return functional.pad(waveforms, (0, settings.samples - waveforms.shape[1]))


def _decibels(
    waveforms: Float[Tensor, "segment sample"],
    settings: AudioPreprocessing,
    bank: Float64[Tensor, "frequency band"],
) -> Float32[Tensor, "segment frame band"]:
    device = waveforms.device
    window = torch.hann_window(settings.window, dtype=torch.float64, device=device)
    waves = torch.stft(
        waveforms.double(),
        settings.window,
        settings.hop,
        window=window,
        pad_mode="reflect",
        return_complex=True,
    )

    power = (waves.real.square() + waves.imag.square()).transpose(1, 2)
    band_power = (power @ bank.to(device)).clamp(min=MIN_POWER)
    return (10 * band_power.log10()).float()

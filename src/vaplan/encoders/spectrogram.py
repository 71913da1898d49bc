"""The log-mel spectrograms that CLAP listens to: the library's, in batches, at a fraction of its
cost."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Float32, Float64
from torch import Tensor
from torch.nn import functional

from vaplan.encoders.quiet import quiet
from vaplan.errors import EncoderError

PADDINGS = ("repeatpad", "repeat", "pad")
TRUNCATIONS = ("rand_trunc", "fusion")
FAINTEST = 1e-10  # power below which the library's decibels are cut


@dataclass(frozen=True)
class SoundPreprocessing:
    """How a segment's sound becomes the model's input: a log-mel spectrogram of a fixed length.

    `padding` fills a segment shorter than the model's length: `repeatpad` repeats it as often as
    it fits and pads with zeros, `repeat` repeats it to the full length, `pad` only pads. A longer
    one is cut to its middle, where the library cuts at random.
    """

    rate_hz: int = 48_000
    samples: int = 480_000  # of the model's fixed length
    window: int = 1024  # samples
    hop: int = 480  # samples
    bands: int = 64
    lowest_hz: float = 0.0
    highest_hz: float = 14_000.0
    padding: str = "repeatpad"
    fused: bool = False

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> "SoundPreprocessing":
        """Read the library's settings; missing values get the library's CLAP defaults."""
        rate_hz, truncation = (
            config.get("sampling_rate", 48_000),
            config.get("truncation", "fusion"),
        )
        padding = config.get("padding", "repeatpad")
        if (
            padding not in PADDINGS
            or truncation not in TRUNCATIONS
            or config.get("top_db") is not None
        ):
            raise EncoderError(
                f"preprocessing with padding={padding!r}, truncation={truncation!r}, "
                f"top_db={config.get('top_db')!r} is not supported",
                fix=f"name a model with padding in {PADDINGS}, truncation in {TRUNCATIONS} and no top_db",
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


def mel_bank(settings: SoundPreprocessing) -> Float64[Tensor, "frequency band"]:
    """How much each frequency gives to each band: Slaney's scale, or HTK's for the fused models."""
    with quiet():
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
    sounds: Float[Tensor, "sound sample"],
    settings: SoundPreprocessing,
    bank: Float64[Tensor, "frequency band"],
) -> Float32[Tensor, "sound frame band"]:
    """The log-mel spectrograms in decibels, equal to the library's extractor to 1e-4 and far
    cheaper.

    A sound that is repeated over and over has a spectrogram that repeats: only two periods of it
    are computed, which hold both edges and a whole period far from them.
    """
    length = sounds.shape[1]
    period, repeats = length // settings.hop, settings.samples // max(length, 1)
    repeating = (
        settings.padding != "pad"
        and length * repeats == settings.samples
        and length % settings.hop == 0
    )
    if not (
        repeating and repeats > 2 and settings.window // 2 <= period // 2 * settings.hop
    ):
        return _decibels(fit(sounds, settings), settings, bank)
    twice = _decibels(sounds.tile(1, 2), settings, bank)
    first, middle, last = twice.tensor_split([period // 2, period // 2 + period], dim=1)
    return torch.cat([first, middle.tile(1, repeats - 1, 1), last], dim=1)


def fit(
    sounds: Float[Tensor, "sound sample"], settings: SoundPreprocessing
) -> Float[Tensor, "sound fitted"]:
    """Sounds at the model's fixed length: repeated, padded or cut to their middle."""
    length = sounds.shape[1]
    if length >= settings.samples:
        start = (length - settings.samples) // 2
        return sounds[:, start : start + settings.samples]
    repeats = settings.samples // length
    if settings.padding == "repeatpad":
        sounds = sounds.tile(1, repeats)
    elif settings.padding == "repeat":
        sounds = sounds.tile(1, repeats + 1)[:, : settings.samples]
    return functional.pad(sounds, (0, settings.samples - sounds.shape[1]))


def _decibels(
    sounds: Float[Tensor, "sound sample"],
    settings: SoundPreprocessing,
    bank: Float64[Tensor, "frequency band"],
) -> Float32[Tensor, "sound frame band"]:
    window = torch.hann_window(settings.window, dtype=torch.float64)
    waves = torch.stft(
        sounds.double(),
        settings.window,
        settings.hop,
        window=window,
        pad_mode="reflect",
        return_complex=True,
    )
    power = (waves.real.square() + waves.imag.square()).transpose(1, 2)
    return (10 * (power @ bank).clamp(min=FAINTEST).log10()).float()

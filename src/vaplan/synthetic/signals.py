"""Synthesise elementary audio signals: tones, noise, repeated grains, and control curves.

Control curves (pitch, loudness) are computed at `CONTROL_HZ` and interpolated to the sampling rate.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32

Wave = Float32[np.ndarray, " sample"]
Curve = Float[np.ndarray, " control"]
Rng = np.random.Generator

CONTROL_HZ = 400  # rate of pitch and loudness curves
TABLE_SIZE = 4096  # samples in one period of a stored timbre
LOOP_SECONDS = 1.4  # noise repeats after this time, longer than a segment


@dataclass(frozen=True)
class SampleClock:
    """The duration of a sound and its sampling rate.

    Attributes:
        seconds: Duration of the sound.
        rate_hz: Samples a second.
    """

    seconds: float
    rate_hz: int

    @property
    def samples(self) -> int:
        """The number of samples in the sound."""
        return round(self.seconds * self.rate_hz)

    def with_duration(self, seconds: float) -> "SampleClock":
        """Return a clock of the same sampling rate and another duration."""
        return SampleClock(seconds, self.rate_hz)

    def control_times(self) -> Curve:
        """Return the times of the points of a control curve, in seconds."""
        return np.arange(int(self.seconds * CONTROL_HZ) + 2) / CONTROL_HZ

    def interpolate(self, curve: Curve) -> Wave:
        """Interpolate a control curve at the sampling rate."""
        control_per_sample = np.float32(CONTROL_HZ / self.rate_hz)
        positions = np.arange(self.samples, dtype=np.float32) * control_per_sample
        wave = np.interp(positions, np.arange(len(curve)), curve)
        samples: Wave = wave.astype(np.float32)
        return samples

    def modulate(self, wave: Wave, loudness: Curve) -> Wave:
        """Multiply a sound by a loudness curve.

        Args:
            wave: A sound of this clock's duration.
            loudness: Control curve of the amplitude.
        """
        return mix(wave * self.interpolate(loudness))


# A synthesizer takes the clock, the random numbers of the instance (equal in all its spans) and
# those of the span (new in each), and returns the sound.
Synthesizer = Callable[[SampleClock, Rng, Rng], Wave]


def mix(*waves: Wave) -> Wave:
    """Add sounds of one length, sample by sample."""
    total: Wave = np.asarray(sum(waves), dtype=np.float32)
    return total


def tone(clock: SampleClock, pitch_hz: Curve, partials: Sequence[float]) -> Wave:
    """Synthesise a harmonic sound.

    Args:
        clock: Duration and sampling rate.
        pitch_hz: Control curve of the fundamental frequency.
        partials: Amplitude of each partial, the fundamental first. Partials above 0.45 of the
            sampling rate are omitted.
    """
    max_pitch = float(pitch_hz.max())
    order = np.arange(1, len(partials) + 1)
    audible = order * max_pitch < 0.45 * clock.rate_hz
    weight = np.asarray(partials) * audible

    angle = 2 * np.pi * np.arange(TABLE_SIZE) / TABLE_SIZE
    phase = order[:, None] ** 2
    period = (weight[:, None] * np.sin(order[:, None] * angle + phase)).sum(axis=0)

    cycles = np.cumsum(clock.interpolate(pitch_hz), dtype=np.float64) / clock.rate_hz
    index = (cycles * TABLE_SIZE).astype(np.int64) & (TABLE_SIZE - 1)
    wave: Wave = period.astype(np.float32)[index]
    return wave


def band_noise(
    clock: SampleClock, rng: Rng, low_hz: float, high_hz: float, *, slope: float = 0.0
) -> Wave:
    """Synthesise band-limited noise of unit standard deviation.

    Args:
        clock: Duration and sampling rate.
        rng: Random numbers of the noise.
        low_hz: Lower cut-off frequency.
        high_hz: Upper cut-off frequency.
        slope: The amplitude falls by 1 / frequency to this power.
    """
    size = int(LOOP_SECONDS * clock.rate_hz) // 2 * 2
    hertz = np.fft.rfftfreq(size, 1 / clock.rate_hz).clip(1)
    high_pass = 1 / (1 + (low_hz / hertz) ** 6)
    amplitude = high_pass / (1 + (hertz / high_hz) ** 6) / hertz**slope

    noise = rng.normal(size=(2, len(hertz))).astype(np.float32)
    spectrum = (noise[0] + 1j * noise[1]) * amplitude.astype(np.float32)
    loop = np.fft.irfft(spectrum, size)
    loop /= loop.std() + 1e-12
    return np.resize(loop.astype(np.float32), clock.samples)


def repeat_at(
    clock: SampleClock,
    grain: Float32[np.ndarray, " grain"],
    onsets: Iterable[tuple[float, float]],
) -> Wave:
    """Add copies of a short sound at several times.

    Args:
        clock: Duration and sampling rate of the result.
        grain: The short sound.
        onsets: Pairs of onset (seconds) and amplitude. Onsets outside of the duration are skipped.
    """
    wave = np.zeros(clock.samples + len(grain), dtype=np.float32)
    for onset, level in onsets:
        start = int(onset * clock.rate_hz)
        if 0 <= start < clock.samples:
            wave[start : start + len(grain)] += np.float32(level) * grain
    return wave[: clock.samples]


def random_rhythm(
    clock: SampleClock, rng: Rng, rate_hz: float, *, jitter: float = 0.05
) -> list[tuple[float, float]]:
    """Sample the onsets and amplitudes of a rhythm that starts at 0 s.

    Args:
        clock: Duration of the rhythm.
        rng: Random numbers of the rhythm.
        rate_hz: Onsets a second.
        jitter: Standard deviation of the onsets, as a share of the interval.

    Returns:
        Pairs of onset (seconds) and amplitude in [0.5, 1].
    """
    count = int(clock.seconds * rate_hz) + 2
    onsets = (np.arange(count) + jitter * rng.normal(size=count)) / rate_hz
    levels = rng.uniform(0.5, 1, size=count)
    return list(zip(onsets.clip(0), levels, strict=True))


def decay_envelope(
    clock: SampleClock, seconds: float, attack_seconds: float = 0.003
) -> Wave:
    """Compute an envelope that rises linearly and falls exponentially.

    Args:
        clock: Duration and sampling rate.
        seconds: Time constant of the fall.
        attack_seconds: Duration of the rise.
    """
    t = np.arange(clock.samples, dtype=np.float32) / np.float32(clock.rate_hz)
    attack = np.minimum(t / np.float32(attack_seconds), 1)
    envelope: Wave = attack * np.exp(-t / np.float32(seconds))
    return envelope


def log_uniform(rng: Rng, low: float, high: float) -> float:
    """Sample a number from the log-uniform distribution.

    Args:
        rng: Random numbers.
        low: Lower bound, above 0.
        high: Upper bound.
    """
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def sine_curve(clock: SampleClock, rate_hz: float, phase: float = 0.0) -> Curve:
    """Compute a control curve that is a sine.

    Args:
        clock: Duration of the curve.
        rate_hz: Cycles a second.
        phase: Phase at 0 s, in cycles.
    """
    sine: Curve = np.sin(2 * np.pi * (rate_hz * clock.control_times() + phase))
    return sine


def random_curve(clock: SampleClock, rng: Rng, knots_hz: float) -> Curve:
    """Compute a control curve that interpolates normal random numbers linearly.

    Args:
        clock: Duration of the curve.
        rng: Random numbers at the knots.
        knots_hz: Knots a second.
    """
    knots = rng.normal(size=int(clock.seconds * knots_hz) + 3)
    position = clock.control_times() * knots_hz
    curve: Curve = np.interp(position, np.arange(len(knots)), knots)
    return curve


def random_partials(rng: Rng, count: int, exponent: tuple[float, float]) -> list[float]:
    """Sample the amplitudes of partials, which fall by a power of their order.

    Args:
        rng: Random numbers of the timbre.
        count: Number of partials.
        exponent: Range of the power by which the amplitudes fall.
    """
    fall = np.arange(1, count + 1) ** -rng.uniform(*exponent)
    weight = fall * rng.uniform(0.4, 1, size=count)
    return [float(w) for w in weight]

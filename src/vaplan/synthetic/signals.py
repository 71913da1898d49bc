"""The synthesis kit: tones, noise, strikes, and curves that shape them."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32

Wave = Float32[np.ndarray, " sample"]
Curve = Float[np.ndarray, " control"]
Rng = np.random.Generator

CONTROL_HZ = 400  # how often pitch and loudness curves are computed
TABLE = 4096  # samples in one period of a stored timbre
LOOP_SECONDS = 1.4  # noise repeats after this, longer than anything listens


@dataclass(frozen=True)
class Ear:
    """How long a sound lasts and how it is sampled."""

    seconds: float
    rate_hz: int

    @property
    def samples(self) -> int:
        return round(self.seconds * self.rate_hz)

    def lasting(self, seconds: float) -> "Ear":
        """The same sampling for another length."""
        return Ear(seconds, self.rate_hz)

    def clock(self) -> Curve:
        """The moments at which curves are computed, in seconds."""
        return np.arange(int(self.seconds * CONTROL_HZ) + 2) / CONTROL_HZ

    def update_ema(self, curve: Curve) -> Wave:
        """A curve at the sampling rate."""
        moments = np.arange(self.samples, dtype=np.float32) * np.float32(
            CONTROL_HZ / self.rate_hz
        )
        wave: Wave = np.interp(moments, np.arange(len(curve)), curve).astype(np.float32)
        return wave

    def shape(self, wave: Wave, loudness: Curve) -> Wave:
        """Let the loudness of a sound follow a curve."""
        return mix(wave * self.update_ema(loudness))


# (ear, traits, chance) -> sound; traits are the same in all spans of an instance, chance is new in each
Voice = Callable[[Ear, Rng, Rng], Wave]


def mix(*waves: Wave) -> Wave:
    """Play sounds of one length at once."""
    together: Wave = np.asarray(sum(waves), dtype=np.float32)
    return together


def tone(ear: Ear, pitch_hz: Curve, partials: Sequence[float]) -> Wave:
    """A periodic sound whose k-th partial has the k-th weight; partials beyond hearing are left out."""
    top = float(pitch_hz.max())
    order = np.arange(1, len(partials) + 1)
    weight = np.asarray(partials) * (order * top < 0.45 * ear.rate_hz)
    angle = 2 * np.pi * np.arange(TABLE) / TABLE
    table = (
        weight[:, None] * np.sin(order[:, None] * angle + order[:, None] ** 2)
    ).sum(axis=0)
    cycles = np.cumsum(ear.update_ema(pitch_hz), dtype=np.float64) / ear.rate_hz
    period: Wave = table.astype(np.float32)[
        (cycles * TABLE).astype(np.int64) & (TABLE - 1)
    ]
    return period


def hiss(
    ear: Ear, chance: Rng, low_hz: float, high_hz: float, *, slope: float = 0.0
) -> Wave:
    """Noise between two frequencies with soft edges; `slope` is the power of 1/f its amplitude falls by."""
    size = int(LOOP_SECONDS * ear.rate_hz) // 2 * 2
    hertz = np.fft.rfftfreq(size, 1 / ear.rate_hz).clip(1)
    shape = (
        1 / (1 + (low_hz / hertz) ** 6) / (1 + (hertz / high_hz) ** 6) / hertz**slope
    )
    noise = chance.normal(size=(2, len(hertz))).astype(np.float32)
    loop = np.fft.irfft((noise[0] + 1j * noise[1]) * shape.astype(np.float32), size)
    loop /= loop.std() + 1e-12
    return np.resize(loop.astype(np.float32), ear.samples)


def strike(
    ear: Ear,
    grain: Float32[np.ndarray, " grain"],
    moments: Iterable[tuple[float, float]],
) -> Wave:
    """Play a short sound at (second, level) pairs."""
    played = np.zeros(ear.samples + len(grain), dtype=np.float32)
    for second, level in moments:
        start = int(second * ear.rate_hz)
        if 0 <= start < ear.samples:
            played[start : start + len(grain)] += np.float32(level) * grain
    return played[: ear.samples]


def beats(
    ear: Ear, chance: Rng, rate: float, *, loose: float = 0.05
) -> list[tuple[float, float]]:
    """A rhythm from the very start on: `rate` strikes a second, loosely kept, of changing level."""
    count = int(ear.seconds * rate) + 2
    moments = (np.arange(count) + loose * chance.normal(size=count)) / rate
    return list(zip(moments.clip(0), chance.uniform(0.5, 1, size=count), strict=True))


def decay(ear: Ear, seconds: float, attack: float = 0.003) -> Wave:
    """A quick rise, then an exponential fall with the given time constant."""
    t = np.arange(ear.samples, dtype=np.float32) / np.float32(ear.rate_hz)
    fall: Wave = np.minimum(t / np.float32(attack), 1) * np.exp(
        -t / np.float32(seconds)
    )
    return fall


def between(traits: Rng, low: float, high: float) -> float:
    """A random number, even on a logarithmic scale."""
    return float(np.exp(traits.uniform(np.log(low), np.log(high))))


def swing(ear: Ear, rate: float, phase: float = 0.0) -> Curve:
    """A sine of `rate` cycles a second, begun at `phase` cycles."""
    sine: Curve = np.sin(2 * np.pi * (rate * ear.clock() + phase))
    return sine


def wander(ear: Ear, chance: Rng, per_second: float) -> Curve:
    """A smooth random curve of unit spread."""
    knots = chance.normal(size=int(ear.seconds * per_second) + 3)
    curve: Curve = np.interp(ear.clock() * per_second, np.arange(len(knots)), knots)
    return curve


def fading(traits: Rng, count: int, fall: tuple[float, float]) -> list[float]:
    """Weights of partials that fall by a random power, each a little off."""
    weight = np.arange(1, count + 1) ** -traits.uniform(*fall) * traits.uniform(
        0.4, 1, size=count
    )
    return [float(w) for w in weight]

"""Define distractors: objects and sounds that belong to no class and carry no tag."""

import numpy as np

from vaplan.synthetic.shapes import (
    Appearance,
    Plane,
    Pose,
    box,
    centre_distance,
    disc,
    sawtooth,
    soft_mask,
    stripes,
    turn_angle,
)
from vaplan.synthetic.signals import (
    Rng,
    SampleClock,
    Synthesizer,
    Wave,
    band_noise,
    random_curve,
    random_rhythm,
    repeat_at,
    tone,
)


def _texture(u: Plane, v: Plane, trait: float) -> Plane:
    """Compute a shaded, striped or spotted texture, similar to the textures of the classes."""
    kind = int(21 * trait) % 3
    if kind == 0:
        return np.clip(0.5 + 0.4 * u, 0, 1)
    if kind == 1:
        return stripes((1 + 2 * trait) * (u + v))
    spot_distance = centre_distance(sawtooth(2 * u) - 0.5, sawtooth(2 * v) - 0.5)
    return soft_mask(spot_distance - 0.3, 0.1)


def _blob(u: Plane, v: Plane, pose: Pose) -> tuple[Plane, Plane]:
    angle = 3 * np.arctan2(v, u) + turn_angle(pose) + 6 * np.float32(pose.trait)
    lobes = 0.15 * np.sin(angle)
    outline = centre_distance(u, v) - 0.7 - lobes
    return outline, _texture(u, v, pose.trait)


def _line(u: Plane, v: Plane, pose: Pose) -> tuple[Plane, Plane]:
    shift = 0.1 * np.sin(turn_angle(pose))
    outline = box(u, v + shift, 1.2, 0.06)
    return outline, _texture(u, u, pose.trait)


def _plate(u: Plane, v: Plane, pose: Pose) -> tuple[Plane, Plane]:
    outline = box(u, v, 0.9, 0.35 + 0.5 * pose.trait)
    return outline, _texture(u, v, pose.trait)


def _wedge(u: Plane, v: Plane, pose: Pose) -> tuple[Plane, Plane]:
    sides = np.abs(u) - 0.5 * (v + 1)
    outline = np.maximum(sides, v - 0.7)
    return outline, _texture(u, v, pose.trait)


def _plain_disc(u: Plane, v: Plane, pose: Pose) -> tuple[Plane, Plane]:
    outline = disc(u, v, 0.9)
    centre = soft_mask(centre_distance(u, v) - 0.75)
    return outline, np.maximum(centre, _texture(u, v, pose.trait))


DISTRACTOR_APPEARANCES: tuple[Appearance, ...] = (
    Appearance(_blob, radius=(0.1, 0.3), swing=0.3, sway=0.5, contrast=(0.2, 0.8)),
    Appearance(_line, radius=(0.2, 0.38), swing=0.6, contrast=(0.2, 0.8)),
    Appearance(_plate, radius=(0.1, 0.3), swing=0.6, sway=0.5, contrast=(0.2, 0.8)),
    Appearance(
        _plain_disc, radius=(0.1, 0.25), swing=0.3, sway=0.3, contrast=(0.2, 0.8)
    ),
    Appearance(_wedge, radius=(0.1, 0.25), swing=0.6, sway=0.5, contrast=(0.2, 0.8)),
)


def _hum(clock: SampleClock, instance: Rng, span: Rng) -> Wave:
    mains_hz = instance.choice([50.0, 60.0])
    partials = list(instance.uniform(0, 1, size=6))
    buzz = tone(clock, np.full(2, mains_hz), partials)
    loudness = 1 + 0.1 * random_curve(clock, span, 2.0)
    return clock.modulate(buzz, loudness)


def _clicks(clock: SampleClock, instance: Rng, span: Rng) -> Wave:
    stroke = clock.with_duration(0.004)
    click = band_noise(stroke, instance, 300.0, 6000.0)
    rate_hz = instance.uniform(0.5, 2.0)
    return repeat_at(clock, click, random_rhythm(clock, span, rate_hz, jitter=0.4))


def _whoosh(clock: SampleClock, instance: Rng, span: Rng) -> Wave:
    low_hz = instance.uniform(200, 2000)
    loudness = np.sin(np.linspace(0, np.pi, len(clock.control_times()))) ** 2
    return clock.modulate(band_noise(clock, span, low_hz, 2.5 * low_hz), loudness)


def _beeps(clock: SampleClock, instance: Rng, span: Rng) -> Wave:
    rate_hz = instance.uniform(1, 4)
    cycle = np.sin(2 * np.pi * rate_hz * clock.control_times())
    is_on = cycle > 0.1 * random_curve(clock, span, 2.0)
    pitch = np.full(2, instance.uniform(500, 2500))
    beep = tone(clock, pitch, [1.0, 0.0, 0.33, 0.0, 0.2])
    return clock.modulate(beep, is_on.astype(np.float64))


def _mutter(clock: SampleClock, instance: Rng, span: Rng) -> Wave:
    mean_pitch = instance.uniform(90, 220)
    pitch = mean_pitch * (1 + 0.08 * random_curve(clock, span, 4.0))
    syllable_hz = instance.uniform(2, 5)
    syllables = np.abs(np.sin(np.pi * syllable_hz * clock.control_times()))
    partials = list(instance.uniform(0, 1, size=12) / np.arange(1, 13))
    return clock.modulate(tone(clock, pitch, partials), syllables)


DISTRACTOR_SYNTHESIZERS: tuple[Synthesizer, ...] = (
    _hum,
    _clicks,
    _whoosh,
    _beeps,
    _mutter,
)

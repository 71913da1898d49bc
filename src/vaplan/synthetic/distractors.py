"""What is drawn and heard but belongs to no class: the untagged things of every real video."""

import numpy as np

from vaplan.synthetic.shapes import (
    Look,
    Plane,
    Pose,
    away,
    box,
    cycles,
    disc,
    inside,
    ramp,
    stripes,
)
from vaplan.synthetic.signals import (
    Ear,
    Rng,
    Voice,
    Wave,
    beats,
    hiss,
    strike,
    tone,
    wander,
)


def _pattern(u: Plane, v: Plane, own: float) -> Plane:
    """What a distractor is covered with: shaded, striped or spotted, much as the classes are."""
    kind = int(21 * own) % 3
    if kind == 0:
        return np.clip(0.5 + 0.4 * u, 0, 1)
    if kind == 1:
        return stripes((1 + 2 * own) * (u + v))
    return inside(away(ramp(2 * u) - 0.5, ramp(2 * v) - 0.5) - 0.3, 0.1)


def _blob(u: Plane, v: Plane, pose: Pose) -> tuple[Plane, Plane]:
    lobes = 0.15 * np.sin(
        3 * np.arctan2(v, u) + cycles(pose) + 6 * np.float32(pose.own)
    )
    return away(u, v) - 0.7 - lobes, _pattern(u, v, pose.own)


def _line(u: Plane, v: Plane, pose: Pose) -> tuple[Plane, Plane]:
    return box(u, v + 0.1 * np.sin(cycles(pose)), 1.2, 0.06), _pattern(u, u, pose.own)


def _plate(u: Plane, v: Plane, pose: Pose) -> tuple[Plane, Plane]:
    return box(u, v, 0.9, 0.35 + 0.5 * pose.own), _pattern(u, v, pose.own)


def _wedge(u: Plane, v: Plane, pose: Pose) -> tuple[Plane, Plane]:
    return np.maximum(np.abs(u) - 0.5 * (v + 1), v - 0.7), _pattern(u, v, pose.own)


def _plain_disc(u: Plane, v: Plane, pose: Pose) -> tuple[Plane, Plane]:
    return disc(u, v, 0.9), np.maximum(
        inside(away(u, v) - 0.75), _pattern(u, v, pose.own)
    )


SHAPES: tuple[Look, ...] = (
    Look(_blob, radius=(0.1, 0.3), swing=0.3, sway=0.5, contrast=(0.2, 0.8)),
    Look(_line, radius=(0.2, 0.38), swing=0.6, contrast=(0.2, 0.8)),
    Look(_plate, radius=(0.1, 0.3), swing=0.6, sway=0.5, contrast=(0.2, 0.8)),
    Look(_plain_disc, radius=(0.1, 0.25), swing=0.3, sway=0.3, contrast=(0.2, 0.8)),
    Look(_wedge, radius=(0.1, 0.25), swing=0.6, sway=0.5, contrast=(0.2, 0.8)),
)


def _hum(ear: Ear, traits: Rng, chance: Rng) -> Wave:
    mains = traits.choice([50.0, 60.0])
    steady = tone(ear, np.full(2, mains), list(traits.uniform(0, 1, size=6)))
    return ear.shape(steady, 1 + 0.1 * wander(ear, chance, 2.0))


def _clicks(ear: Ear, traits: Rng, chance: Rng) -> Wave:
    short = ear.lasting(0.004)
    return strike(
        ear,
        hiss(short, traits, 300.0, 6000.0),
        beats(ear, chance, traits.uniform(0.5, 2.0), loose=0.4),
    )


def _whoosh(ear: Ear, traits: Rng, chance: Rng) -> Wave:
    low = traits.uniform(200, 2000)
    gust = np.sin(np.linspace(0, np.pi, len(ear.clock()))) ** 2
    return ear.shape(hiss(ear, chance, low, 2.5 * low), gust)


def _beeps(ear: Ear, traits: Rng, chance: Rng) -> Wave:
    sounding = np.sin(2 * np.pi * traits.uniform(1, 4) * ear.clock()) > 0.1 * wander(
        ear, chance, 2.0
    )
    beep = tone(ear, np.full(2, traits.uniform(500, 2500)), [1.0, 0.0, 0.33, 0.0, 0.2])
    return ear.shape(beep, sounding.astype(np.float64))


def _mutter(ear: Ear, traits: Rng, chance: Rng) -> Wave:
    pitch = traits.uniform(90, 220) * (1 + 0.08 * wander(ear, chance, 4.0))
    syllables = np.abs(np.sin(np.pi * traits.uniform(2, 5) * ear.clock()))
    voice = tone(ear, pitch, list(traits.uniform(0, 1, size=12) / np.arange(1, 13)))
    return ear.shape(voice, syllables)


NOISES: tuple[Voice, ...] = (_hum, _clicks, _whoosh, _beeps, _mutter)

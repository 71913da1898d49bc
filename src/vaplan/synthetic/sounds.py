"""How each class sounds: a family of signals with its own pitch, timbre and rhythm for every instance.

Siren and Whistle, Rain and Waves, Engine and Helicopter, Clock and Cricket are alike on purpose; Clock, Cricket
and Fire are quiet.
"""

import numpy as np

from vaplan.synthetic.signals import (
    Ear,
    Rng,
    Voice,
    Wave,
    beats,
    between,
    decay,
    fading,
    hiss,
    mix,
    strike,
    swing,
    tone,
    wander,
)


def _bell(ear: Ear, traits: Rng, chance: Rng) -> Wave:
    pitch, short = between(traits, 350.0, 1100.0), ear.lasting(1.2)
    ring = np.zeros(short.samples, dtype=np.float32)
    for ratio in (1.0, 2.0, 2.76, 3.0, 4.1, 5.4):
        partial = tone(
            short, np.full(2, pitch * ratio * traits.uniform(0.99, 1.01)), [1.0]
        )
        ring += traits.uniform(0.3, 1) * partial * decay(short, 0.6 / ratio**0.7)
    return strike(ear, ring, beats(ear, chance, traits.uniform(1, 2.5)))


def _bird(ear: Ear, traits: Rng, chance: Rng) -> Wave:
    pitch, rate, wide = (
        between(traits, 2200.0, 4500.0),
        traits.uniform(4, 9),
        traits.uniform(0.15, 0.4),
    )
    direction = traits.choice([-1.0, 1.0])
    saw = np.mod(ear.clock() * rate, 1)
    warble = 1 + wide * direction * (saw - 0.5) + 0.05 * wander(ear, chance, 3.0)
    song = (swing(ear, traits.uniform(0.6, 1.2), 0.05) > -0.5) * np.clip(
        3 * np.sin(np.pi * saw), 0, 1
    )
    return ear.shape(tone(ear, pitch * warble, [1.0, 0.15]), song)


def _clock(ear: Ear, traits: Rng, chance: Rng) -> Wave:
    pitch, rate, short = (
        between(traits, 1500.0, 3500.0),
        traits.uniform(2, 5),
        ear.lasting(0.08),
    )
    wood = tone(short, np.full(2, pitch), [1.0, 0.0, 0.4]) + 0.5 * hiss(
        short, traits, pitch, 3 * pitch
    )
    tick = wood * decay(short, 0.012, 0.0005)
    moments = beats(ear, chance, rate, loose=0.004)
    return strike(
        ear,
        tick,
        [(when, 1.0 if k % 2 else 0.6) for k, (when, _) in enumerate(moments)],
    )


def _cricket(ear: Ear, traits: Rng, chance: Rng) -> Wave:
    pitch, trill, rate = (
        between(traits, 3500.0, 5500.0),
        traits.uniform(18, 35),
        traits.uniform(1.5, 3),
    )
    pulse = np.clip(swing(ear, trill), 0, 1) * np.clip(4 * swing(ear, rate) + 2, 0, 1)
    return ear.shape(
        tone(ear, pitch * (1 + 0.01 * wander(ear, chance, 2.0)), [1.0, 0.1]), pulse
    )


def _dog(ear: Ear, traits: Rng, chance: Rng) -> Wave:
    pitch, short = between(traits, 250.0, 650.0), ear.lasting(0.3)
    fall = 1 + 0.5 * np.exp(-short.clock() / 0.05) - 0.8 * short.clock()
    voice = tone(short, pitch * fall, fading(traits, 12, (0.5, 1.0)))
    bark = (voice + 0.5 * hiss(short, traits, 2 * pitch, 6 * pitch)) * decay(
        short, 0.07, 0.015
    )
    return strike(ear, bark, beats(ear, chance, traits.uniform(1.5, 3.5), loose=0.15))


def _drum(ear: Ear, traits: Rng, chance: Rng) -> Wave:
    pitch, short = between(traits, 70.0, 180.0), ear.lasting(0.35)
    skin = tone(
        short, pitch * (1 + 0.8 * np.exp(-short.clock() / 0.03)), [1.0, 0.4, 0.2]
    )
    snare = (
        traits.uniform(0.1, 0.6)
        * hiss(short, traits, 800.0, 5000.0)
        * decay(short, 0.03)
    )
    return strike(
        ear,
        skin * decay(short, 0.12) + snare,
        beats(ear, chance, traits.uniform(2.5, 6)),
    )


def _engine(ear: Ear, traits: Rng, chance: Rng) -> Wave:
    pitch = between(traits, 35.0, 90.0) * (1 + 0.12 * wander(ear, chance, 1.5))
    rough = 1 + 0.4 * swing(ear, traits.uniform(10, 25))
    roar = tone(ear, pitch, fading(traits, 40, (0.3, 0.8)))
    return mix(
        ear.shape(roar, rough), 0.5 * hiss(ear, chance, 100.0, 1200.0, slope=0.5)
    )


def _fire(ear: Ear, traits: Rng, chance: Rng) -> Wave:
    short, count = (
        ear.lasting(0.03),
        chance.poisson(traits.uniform(12, 30) * ear.seconds) + 2,
    )
    snap = hiss(short, traits, between(traits, 800.0, 2000.0), 9000.0) * decay(
        short, 0.004, 0.0003
    )
    moments = zip(
        chance.uniform(0, ear.seconds, count), chance.exponential(1, count), strict=True
    )
    return mix(
        1.5 * strike(ear, snap, moments),
        0.25 * hiss(ear, chance, 60.0, 600.0, slope=1.0),
    )


def _flute(ear: Ear, traits: Rng, chance: Rng) -> Wave:
    scale = np.array([0, 2, 4, 5, 7, 9, 11, 12])
    notes = chance.choice(scale, size=int(ear.seconds * 5) + 2)
    step = notes[
        (ear.clock() * traits.uniform(1.5, 4)).astype(int).clip(max=len(notes) - 1)
    ]
    pitch = (
        between(traits, 400.0, 800.0)
        * 2 ** (step / 12)
        * (1 + 0.012 * swing(ear, traits.uniform(4, 6)))
    )
    breath = 0.08 * hiss(ear, chance, 1500.0, 8000.0)
    return mix(
        tone(
            ear, pitch, [1.0, traits.uniform(0.1, 0.5), traits.uniform(0.05, 0.3), 0.05]
        ),
        breath,
    )


def _helicopter(ear: Ear, traits: Rng, chance: Rng) -> Wave:
    rate = traits.uniform(9, 16)
    chop = np.clip(swing(ear, rate), 0, 1) ** 2
    low = hiss(ear, chance, 40.0, between(traits, 300.0, 900.0), slope=0.5)
    whine = tone(ear, np.full(2, 4 * rate), fading(traits, 20, (0.3, 0.8)))
    return mix(ear.shape(low, 0.15 + chop), 0.3 * whine)


def _horn(ear: Ear, traits: Rng, chance: Rng) -> Wave:
    pitch, brass = between(traits, 180.0, 420.0), fading(traits, 16, (0.2, 0.6))
    bend = 1 + 0.005 * wander(ear, chance, 4.0)
    above = traits.choice([1.2, 1.26, 1.5])
    chord = mix(tone(ear, pitch * bend, brass), tone(ear, pitch * above * bend, brass))
    return ear.shape(
        chord, np.clip(6 * swing(ear, traits.uniform(0.5, 1.5), 0.05) + 4, 0, 1)
    )


def _rain(ear: Ear, traits: Rng, chance: Rng) -> Wave:
    short, steady = (
        ear.lasting(0.02),
        hiss(
            ear,
            chance,
            between(traits, 700.0, 1800.0),
            between(traits, 6000.0, 12000.0),
        ),
    )
    drop = tone(short, np.full(2, between(traits, 1500.0, 4000.0)), [1.0]) * decay(
        short, 0.004
    )
    count = chance.poisson(traits.uniform(15, 50) * ear.seconds)
    moments = zip(
        chance.uniform(0, ear.seconds, count),
        chance.exponential(1.5, count),
        strict=True,
    )
    return mix(
        ear.shape(steady, 1 + 0.1 * wander(ear, chance, 4.0)),
        strike(ear, drop, moments),
    )


def _saw(ear: Ear, traits: Rng, chance: Rng) -> Wave:
    stroke = 0.15 + np.abs(swing(ear, traits.uniform(1, 2)))
    rasp = hiss(
        ear, chance, between(traits, 900.0, 1800.0), between(traits, 3000.0, 6000.0)
    )
    teeth = np.clip(swing(ear, traits.uniform(35, 70)), 0, 1)
    whine = tone(
        ear,
        between(traits, 120.0, 260.0) * (0.8 + 0.3 * stroke),
        fading(traits, 20, (0.2, 0.6)),
    )
    return mix(ear.shape(rasp, stroke * (0.3 + teeth)), 0.3 * whine)


def _siren(ear: Ear, traits: Rng, chance: Rng) -> Wave:
    wail = (
        np.arcsin(0.98 * swing(ear, between(traits, 0.4, 4.0), traits.random())) / 1.57
    )
    pitch = between(traits, 700.0, 1700.0) * 2 ** (
        traits.uniform(0.25, 0.6) * wail + 0.01 * wander(ear, chance, 3.0)
    )
    return tone(
        ear, pitch, [1.0, traits.uniform(0.1, 0.5), traits.uniform(0.1, 0.4), 0.1, 0.1]
    )


def _waves(ear: Ear, traits: Rng, chance: Rng) -> Wave:
    swell = 0.55 + 0.45 * swing(ear, traits.uniform(0.2, 0.5), traits.random())
    deep = hiss(ear, chance, 120.0, between(traits, 700.0, 1800.0), slope=0.4)
    foam = hiss(ear, chance, 900.0, 6000.0)
    return mix(ear.shape(deep, swell), ear.shape(foam, 0.6 * swell**3))


def _whistle(ear: Ear, traits: Rng, chance: Rng) -> Wave:
    trill = swing(ear, traits.uniform(22, 45), traits.random())
    pitch = between(traits, 1500.0, 3200.0) * (
        1 + 0.03 * trill + 0.04 * wander(ear, chance, 3.0)
    )
    blow = np.clip(8 * swing(ear, traits.uniform(0.6, 1.5), 0.05) + 6, 0, 1) * (
        1 + 0.4 * trill
    )
    return ear.shape(tone(ear, pitch, [1.0, traits.uniform(0.05, 0.3), 0.05]), blow)


VOICES: dict[str, Voice] = {
    "Bell": _bell,
    "Bird": _bird,
    "Clock": _clock,
    "Cricket": _cricket,
    "Dog": _dog,
    "Drum": _drum,
    "Engine": _engine,
    "Fire": _fire,
    "Flute": _flute,
    "Helicopter": _helicopter,
    "Horn": _horn,
    "Rain": _rain,
    "Saw": _saw,
    "Siren": _siren,
    "Waves": _waves,
    "Whistle": _whistle,
}
LEVEL_DB = {
    "Cricket": -9.0,
    "Clock": -8.0,
    "Fire": -6.0,
    "Rain": -3.0,
    "Waves": -3.0,
}  # against 0 for the rest

"""Render the sound of a clip: the room's noise, distractors, the heard events, changes of level, silence."""

import numpy as np
from jaxtyping import Float32

from vaplan.synthetic.distractors import NOISES
from vaplan.synthetic.signals import Ear, Rng, Wave, hiss, mix
from vaplan.synthetic.sounds import LEVEL_DB, VOICES
from vaplan.synthetic.world import Clip

RATE_HZ = 48_000
RAMP = 0.03  # seconds a sound takes to come and go
LEVEL = 0.12  # root mean square of a sound of 0 dB
DEAD = 0.1  # how often a recording has no noise at all, so that its pauses are digital silence
SPREAD_DB = 5.5  # standard deviation of an instance's level


def waveform(clip: Clip, *, rate_hz: int = RATE_HZ) -> Float32[np.ndarray, " sample"]:
    """Render the whole clip, one channel within [-1, 1]."""
    ear = Ear(clip.seconds, rate_hz)
    mixed = _room(clip, ear)
    for wave, gain_db, onset in _distractors(clip, rate_hz):
        _add(mixed, wave, gain_db, onset, rate_hz)
    for name, spans in sorted(clip.spans("audio").items()):
        level_db = clip.rng("level", name).normal(LEVEL_DB.get(name, 0.0), SPREAD_DB)
        for k, (onset, offset) in enumerate(spans):
            traits, chance = clip.rng("sound", name), clip.rng("sound", name, k)
            wave = VOICES[name](Ear(offset - onset, rate_hz), traits, chance)
            _add(mixed, wave, level_db, onset, rate_hz)
    mixed *= _dynamics(clip, ear)
    np.tanh(mixed, out=mixed)
    return mixed


def _add(
    mixed: Wave,
    wave: Float32[np.ndarray, " event"],
    gain_db: float,
    onset: float,
    rate_hz: int,
) -> None:
    """Mix in a sound at a level relative to `LEVEL`, faded at both ends."""
    start = round(onset * rate_hz)
    wave = wave[: len(mixed) - start]
    loudness = float(np.sqrt(np.mean(np.square(wave), dtype=np.float64))) + 1e-9
    wave = wave * np.float32(LEVEL * 10 ** (gain_db / 20) / loudness)
    ramp = np.linspace(0, 1, round(RAMP * rate_hz), dtype=np.float32)
    wave[: len(ramp)] *= ramp
    wave[-len(ramp) :] *= ramp[::-1]
    mixed[start : start + len(wave)] += wave


def _room(clip: Clip, ear: Ear) -> Wave:
    rng = clip.rng("room")
    level = LEVEL * 10 ** (rng.uniform(-34, -5) / 20) * (rng.random() > DEAD)
    return mix(
        np.float32(level)
        * hiss(ear, rng, 30.0, rng.uniform(1000, 10000), slope=rng.uniform(0.3, 1))
    )


def _distractors(clip: Clip, rate_hz: int) -> list[tuple[Wave, float, float]]:
    """Untagged sounds as (wave, level in dB, onset in seconds)."""
    rng = clip.rng("noises")
    chosen = []
    for _ in range(rng.choice(4, p=(0.3, 0.35, 0.25, 0.1))):
        ear, onset = _stay(rng, clip, rate_hz)
        chosen.append(
            (
                NOISES[rng.integers(len(NOISES))](ear, rng, rng),
                rng.uniform(-14, 0),
                onset,
            )
        )
    if rng.random() < 0.15:  # a class too faint to be annotated
        voice = list(VOICES.values())[rng.integers(len(VOICES))]
        ear, onset = _stay(rng, clip, rate_hz)
        chosen.append((voice(ear, rng, rng), rng.uniform(-30, -20), onset))
    return chosen


def _stay(rng: Rng, clip: Clip, rate_hz: int) -> tuple[Ear, float]:
    onset = rng.uniform(0, 0.8) * clip.seconds
    return Ear(rng.uniform(0.15, 1) * (clip.seconds - onset), rate_hz), onset


def _dynamics(clip: Clip, ear: Ear) -> Wave:
    """The recording's level over time: a slow ramp, and sometimes a dip."""
    rng, clock = clip.rng("dynamics"), ear.clock()
    start_db, end_db = rng.normal(0, 3, size=2) + rng.uniform(-6, 3)
    ramp_db = np.linspace(start_db, end_db, num=len(clock))
    dip = rng.choice([0.0, 0.0, 12.0]) * np.exp(
        -(((clock - rng.uniform(0, clip.seconds)) / 0.6) ** 2)
    )
    return ear.update_ema(10 ** ((ramp_db - dip) / 20))

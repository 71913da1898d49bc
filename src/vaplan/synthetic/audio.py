"""Render the audio track of a clip: room noise, distractors, audio events and level changes."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32

from vaplan.synthetic.audio_classes import LEVEL_DB, SYNTHESIZERS
from vaplan.synthetic.clips import Clip
from vaplan.synthetic.distractors import DISTRACTOR_SYNTHESIZERS
from vaplan.synthetic.signals import Rng, SampleClock, Wave, band_noise, mix

RATE_HZ = 48_000
FADE_SECONDS = 0.03  # fade-in and fade-out of a sound
REFERENCE_RMS = 0.12  # root mean square of a sound of 0 dB
SILENT_ROOM_CHANCE = (
    0.1  # share of clips without room noise: pauses are digital silence
)
LEVEL_DEVIATION_DB = 5.5  # standard deviation of an instance's level
FAINT_CLASS_CHANCE = 0.15  # share of clips with a class too faint to be annotated


@dataclass(frozen=True)
class _Sound:
    """A sound and its place in the mix."""

    wave: Wave
    level_db: float
    onset: float  # seconds


def waveform(clip: Clip, *, rate_hz: int = RATE_HZ) -> Float32[np.ndarray, " sample"]:
    """Render the audio of a whole clip: one channel in [-1, 1].

    Args:
        clip: The plan of the clip.
        rate_hz: Sampling rate.
    """
    clock = SampleClock(clip.seconds, rate_hz)
    track = _room_noise(clip, clock)
    for sound in _distractors(clip, rate_hz):
        _add(track, sound, rate_hz)
    for sound in _events(clip, rate_hz):
        _add(track, sound, rate_hz)
    track *= _level_curve(clip, clock)
    np.tanh(track, out=track)
    return track


def _events(clip: Clip, rate_hz: int) -> Iterator[_Sound]:
    """Synthesise the audio events of a clip."""
    for name, spans in sorted(clip.spans("audio").items()):
        mean_db = LEVEL_DB.get(name, 0.0)
        level_db = clip.rng("level", name).normal(mean_db, LEVEL_DEVIATION_DB)
        for k, (onset, offset) in enumerate(spans):
            instance_rng = clip.rng("sound", name)
            span_rng = clip.rng("sound", name, k)
            clock = SampleClock(offset - onset, rate_hz)
            wave = SYNTHESIZERS[name](clock, instance_rng, span_rng)
            yield _Sound(wave, level_db, onset)


def _add(track: Wave, sound: _Sound, rate_hz: int) -> None:
    """Add a sound to the track at its level, with a fade at both ends."""
    start = round(sound.onset * rate_hz)
    wave = sound.wave[: len(track) - start]
    rms = float(np.sqrt(np.mean(np.square(wave), dtype=np.float64))) + 1e-9
    wave = wave * np.float32(REFERENCE_RMS * 10 ** (sound.level_db / 20) / rms)

    fade = np.linspace(0, 1, round(FADE_SECONDS * rate_hz), dtype=np.float32)
    wave[: len(fade)] *= fade
    wave[-len(fade) :] *= fade[::-1]
    track[start : start + len(wave)] += wave


def _room_noise(clip: Clip, clock: SampleClock) -> Wave:
    rng = clip.rng("room")
    level_db = rng.uniform(-34, -5)
    has_noise = rng.random() > SILENT_ROOM_CHANCE
    level = REFERENCE_RMS * 10 ** (level_db / 20) * has_noise

    high_hz = rng.uniform(1000, 10000)
    slope = rng.uniform(0.3, 1)
    return mix(np.float32(level) * band_noise(clock, rng, 30.0, high_hz, slope=slope))


def _distractors(clip: Clip, rate_hz: int) -> list[_Sound]:
    """Synthesise untagged sounds, at times one of a class too faint to be annotated."""
    rng = clip.rng("noises")
    sounds = []
    for _ in range(rng.choice(4, p=(0.3, 0.35, 0.25, 0.1))):
        clock, onset = _random_span(rng, clip, rate_hz)
        synthesize = DISTRACTOR_SYNTHESIZERS[rng.integers(len(DISTRACTOR_SYNTHESIZERS))]
        wave = synthesize(clock, rng, rng)
        sounds.append(_Sound(wave, rng.uniform(-14, 0), onset))

    if rng.random() < FAINT_CLASS_CHANCE:
        synthesize = list(SYNTHESIZERS.values())[rng.integers(len(SYNTHESIZERS))]
        clock, onset = _random_span(rng, clip, rate_hz)
        wave = synthesize(clock, rng, rng)
        sounds.append(_Sound(wave, rng.uniform(-30, -20), onset))
    return sounds


def _random_span(rng: Rng, clip: Clip, rate_hz: int) -> tuple[SampleClock, float]:
    onset = rng.uniform(0, 0.8) * clip.seconds
    seconds = rng.uniform(0.15, 1) * (clip.seconds - onset)
    return SampleClock(seconds, rate_hz), onset


def _level_curve(clip: Clip, clock: SampleClock) -> Wave:
    """Compute the level of the recording over time: a slow ramp, at times with a dip."""
    rng = clip.rng("dynamics")
    times = clock.control_times()
    start_db, end_db = rng.normal(0, 3, size=2) + rng.uniform(-6, 3)
    ramp_db = np.linspace(start_db, end_db, num=len(times))

    dip_db = rng.choice([0.0, 0.0, 12.0])
    dip_time = rng.uniform(0, clip.seconds)
    dip = dip_db * np.exp(-(((times - dip_time) / 0.6) ** 2))
    return clock.interpolate(10 ** ((ramp_db - dip) / 20))

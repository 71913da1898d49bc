"""Define the sound of each class: pitch, timbre and rhythm, with values of its own per instance.

Siren and Whistle, Rain and Waves, Engine and Helicopter, Clock and Cricket are similar on purpose.
Clock, Cricket and Fire are soft.
"""

import numpy as np

from vaplan.synthetic.signals import (
    Rng,
    SampleClock,
    Synthesizer,
    Wave,
    band_noise,
    decay_envelope,
    log_uniform,
    mix,
    random_curve,
    random_partials,
    random_rhythm,
    repeat_at,
    sine_curve,
    tone,
)


def _bell(clock: SampleClock, instance: Rng, span: Rng) -> Wave:
    pitch = log_uniform(instance, 350.0, 1100.0)
    stroke = clock.with_duration(1.2)
    ring = np.zeros(stroke.samples, dtype=np.float32)
    for ratio in (1.0, 2.0, 2.76, 3.0, 4.1, 5.4):
        partial_hz = pitch * ratio * instance.uniform(0.99, 1.01)
        partial = tone(stroke, np.full(2, partial_hz), [1.0])
        level = instance.uniform(0.3, 1)
        ring += level * partial * decay_envelope(stroke, 0.6 / ratio**0.7)
    return repeat_at(clock, ring, random_rhythm(clock, span, instance.uniform(1, 2.5)))


def _bird(clock: SampleClock, instance: Rng, span: Rng) -> Wave:
    pitch = log_uniform(instance, 2200.0, 4500.0)
    rate_hz = instance.uniform(4, 9)
    pitch_range = instance.uniform(0.15, 0.4)
    direction = instance.choice([-1.0, 1.0])

    chirp = np.mod(clock.control_times() * rate_hz, 1)
    sweep = 1 + pitch_range * direction * (chirp - 0.5)
    warble = sweep + 0.05 * random_curve(clock, span, 3.0)

    is_singing = sine_curve(clock, instance.uniform(0.6, 1.2), 0.05) > -0.5
    chirp_loudness = np.clip(3 * np.sin(np.pi * chirp), 0, 1)
    song = tone(clock, pitch * warble, [1.0, 0.15])
    return clock.modulate(song, is_singing * chirp_loudness)


def _clock(clock: SampleClock, instance: Rng, span: Rng) -> Wave:
    pitch = log_uniform(instance, 1500.0, 3500.0)
    rate_hz = instance.uniform(2, 5)
    stroke = clock.with_duration(0.08)

    body = tone(stroke, np.full(2, pitch), [1.0, 0.0, 0.4])
    knock = 0.5 * band_noise(stroke, instance, pitch, 3 * pitch)
    tick = (body + knock) * decay_envelope(stroke, 0.012, 0.0005)

    rhythm = random_rhythm(clock, span, rate_hz, jitter=0.004)
    onsets = [
        (onset, 1.0 if k % 2 else 0.6)  # tick and tock
        for k, (onset, _) in enumerate(rhythm)
    ]
    return repeat_at(clock, tick, onsets)


def _cricket(clock: SampleClock, instance: Rng, span: Rng) -> Wave:
    pitch = log_uniform(instance, 3500.0, 5500.0)
    trill_hz = instance.uniform(18, 35)
    phrase_hz = instance.uniform(1.5, 3)

    trill = np.clip(sine_curve(clock, trill_hz), 0, 1)
    phrase = np.clip(4 * sine_curve(clock, phrase_hz) + 2, 0, 1)
    bend = 1 + 0.01 * random_curve(clock, span, 2.0)
    chirp = tone(clock, pitch * bend, [1.0, 0.1])
    return clock.modulate(chirp, trill * phrase)


def _dog(clock: SampleClock, instance: Rng, span: Rng) -> Wave:
    pitch = log_uniform(instance, 250.0, 650.0)
    stroke = clock.with_duration(0.3)
    times = stroke.control_times()
    pitch_fall = 1 + 0.5 * np.exp(-times / 0.05) - 0.8 * times

    voice = tone(stroke, pitch * pitch_fall, random_partials(instance, 12, (0.5, 1.0)))
    breath = 0.5 * band_noise(stroke, instance, 2 * pitch, 6 * pitch)
    bark = (voice + breath) * decay_envelope(stroke, 0.07, 0.015)

    rhythm = random_rhythm(clock, span, instance.uniform(1.5, 3.5), jitter=0.15)
    return repeat_at(clock, bark, rhythm)


def _drum(clock: SampleClock, instance: Rng, span: Rng) -> Wave:
    pitch = log_uniform(instance, 70.0, 180.0)
    stroke = clock.with_duration(0.35)
    pitch_fall = 1 + 0.8 * np.exp(-stroke.control_times() / 0.03)
    skin = tone(stroke, pitch * pitch_fall, [1.0, 0.4, 0.2])

    snare_level = instance.uniform(0.1, 0.6)
    snare_noise = band_noise(stroke, instance, 800.0, 5000.0)
    snare = snare_level * snare_noise * decay_envelope(stroke, 0.03)

    beat = skin * decay_envelope(stroke, 0.12) + snare
    return repeat_at(clock, beat, random_rhythm(clock, span, instance.uniform(2.5, 6)))


def _engine(clock: SampleClock, instance: Rng, span: Rng) -> Wave:
    mean_pitch = log_uniform(instance, 35.0, 90.0)
    pitch = mean_pitch * (1 + 0.12 * random_curve(clock, span, 1.5))
    roughness = 1 + 0.4 * sine_curve(clock, instance.uniform(10, 25))
    roar = tone(clock, pitch, random_partials(instance, 40, (0.3, 0.8)))
    rumble = 0.5 * band_noise(clock, span, 100.0, 1200.0, slope=0.5)
    return mix(clock.modulate(roar, roughness), rumble)


def _fire(clock: SampleClock, instance: Rng, span: Rng) -> Wave:
    stroke = clock.with_duration(0.03)
    count = span.poisson(instance.uniform(12, 30) * clock.seconds) + 2

    low_hz = log_uniform(instance, 800.0, 2000.0)
    snap_noise = band_noise(stroke, instance, low_hz, 9000.0)
    snap = snap_noise * decay_envelope(stroke, 0.004, 0.0003)

    onsets = span.uniform(0, clock.seconds, count)
    levels = span.exponential(1, count)
    crackle = 1.5 * repeat_at(clock, snap, zip(onsets, levels, strict=True))
    rumble = 0.25 * band_noise(clock, span, 60.0, 600.0, slope=1.0)
    return mix(crackle, rumble)


def _flute(clock: SampleClock, instance: Rng, span: Rng) -> Wave:
    scale = np.array([0, 2, 4, 5, 7, 9, 11, 12])  # semitones of a major scale
    notes = span.choice(scale, size=int(clock.seconds * 5) + 2)
    note_number = (clock.control_times() * instance.uniform(1.5, 4)).astype(int)
    semitones = notes[note_number.clip(max=len(notes) - 1)]

    base_pitch = log_uniform(instance, 400.0, 800.0)
    melody = base_pitch * 2 ** (semitones / 12)
    vibrato = 1 + 0.012 * sine_curve(clock, instance.uniform(4, 6))
    breath = 0.08 * band_noise(clock, span, 1500.0, 8000.0)
    partials = [1.0, instance.uniform(0.1, 0.5), instance.uniform(0.05, 0.3), 0.05]
    return mix(tone(clock, melody * vibrato, partials), breath)


def _helicopter(clock: SampleClock, instance: Rng, span: Rng) -> Wave:
    rate_hz = instance.uniform(9, 16)
    chop = np.clip(sine_curve(clock, rate_hz), 0, 1) ** 2
    high_hz = log_uniform(instance, 300.0, 900.0)
    rotor = band_noise(clock, span, 40.0, high_hz, slope=0.5)
    partials = random_partials(instance, 20, (0.3, 0.8))
    whine = tone(clock, np.full(2, 4 * rate_hz), partials)
    return mix(clock.modulate(rotor, 0.15 + chop), 0.3 * whine)


def _horn(clock: SampleClock, instance: Rng, span: Rng) -> Wave:
    pitch = log_uniform(instance, 180.0, 420.0)
    partials = random_partials(instance, 16, (0.2, 0.6))
    bend = 1 + 0.005 * random_curve(clock, span, 4.0)
    interval = instance.choice([1.2, 1.26, 1.5])

    lower_note = tone(clock, pitch * bend, partials)
    upper_note = tone(clock, pitch * interval * bend, partials)
    chord = mix(lower_note, upper_note)

    blow_rate_hz = instance.uniform(0.5, 1.5)
    loudness = np.clip(6 * sine_curve(clock, blow_rate_hz, 0.05) + 4, 0, 1)
    return clock.modulate(chord, loudness)


def _rain(clock: SampleClock, instance: Rng, span: Rng) -> Wave:
    stroke = clock.with_duration(0.02)
    low_hz = log_uniform(instance, 700.0, 1800.0)
    high_hz = log_uniform(instance, 6000.0, 12000.0)
    drops = band_noise(clock, span, low_hz, high_hz)

    drop_hz = log_uniform(instance, 1500.0, 4000.0)
    drop = tone(stroke, np.full(2, drop_hz), [1.0]) * decay_envelope(stroke, 0.004)
    count = span.poisson(instance.uniform(15, 50) * clock.seconds)
    onsets = span.uniform(0, clock.seconds, count)
    levels = span.exponential(1.5, count)

    loudness = 1 + 0.1 * random_curve(clock, span, 4.0)
    return mix(
        clock.modulate(drops, loudness),
        repeat_at(clock, drop, zip(onsets, levels, strict=True)),
    )


def _saw(clock: SampleClock, instance: Rng, span: Rng) -> Wave:
    stroke = 0.15 + np.abs(sine_curve(clock, instance.uniform(1, 2)))
    low_hz = log_uniform(instance, 900.0, 1800.0)
    high_hz = log_uniform(instance, 3000.0, 6000.0)
    rasp = band_noise(clock, span, low_hz, high_hz)
    teeth = np.clip(sine_curve(clock, instance.uniform(35, 70)), 0, 1)

    pitch = log_uniform(instance, 120.0, 260.0) * (0.8 + 0.3 * stroke)
    whine = tone(clock, pitch, random_partials(instance, 20, (0.2, 0.6)))
    return mix(clock.modulate(rasp, stroke * (0.3 + teeth)), 0.3 * whine)


def _siren(clock: SampleClock, instance: Rng, span: Rng) -> Wave:
    rate_hz = log_uniform(instance, 0.4, 4.0)
    sine = sine_curve(clock, rate_hz, instance.random())
    wail = np.arcsin(0.98 * sine) / 1.57  # close to a triangle wave

    mean_pitch = log_uniform(instance, 700.0, 1700.0)
    octaves = instance.uniform(0.25, 0.6)
    bend = 0.01 * random_curve(clock, span, 3.0)
    pitch = mean_pitch * 2 ** (octaves * wail + bend)
    partials = [1.0, instance.uniform(0.1, 0.5), instance.uniform(0.1, 0.4), 0.1, 0.1]
    return tone(clock, pitch, partials)


def _waves(clock: SampleClock, instance: Rng, span: Rng) -> Wave:
    rate_hz = instance.uniform(0.2, 0.5)
    swell = 0.55 + 0.45 * sine_curve(clock, rate_hz, instance.random())
    high_hz = log_uniform(instance, 700.0, 1800.0)
    surf = band_noise(clock, span, 120.0, high_hz, slope=0.4)
    foam = band_noise(clock, span, 900.0, 6000.0)
    return mix(clock.modulate(surf, swell), clock.modulate(foam, 0.6 * swell**3))


def _whistle(clock: SampleClock, instance: Rng, span: Rng) -> Wave:
    trill_hz = instance.uniform(22, 45)
    trill = sine_curve(clock, trill_hz, instance.random())
    mean_pitch = log_uniform(instance, 1500.0, 3200.0)
    bend = 1 + 0.03 * trill + 0.04 * random_curve(clock, span, 3.0)

    blow_rate_hz = instance.uniform(0.6, 1.5)
    blow = np.clip(8 * sine_curve(clock, blow_rate_hz, 0.05) + 6, 0, 1)
    loudness = blow * (1 + 0.4 * trill)
    partials = [1.0, instance.uniform(0.05, 0.3), 0.05]
    return clock.modulate(tone(clock, mean_pitch * bend, partials), loudness)


SYNTHESIZERS: dict[str, Synthesizer] = {
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
# Mean level in decibels; 0 for the other classes.
LEVEL_DB = {
    "Cricket": -9.0,
    "Clock": -8.0,
    "Fire": -6.0,
    "Rain": -3.0,
    "Waves": -3.0,
}

"""The audio track: mono samples at one rate, each at its place on the container's clock."""

from collections.abc import Iterable, Iterator
from itertools import chain, groupby
from operator import itemgetter
from typing import TypeAlias

import numpy as np
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.container import InputContainer
from jaxtyping import Bool, Float32

from vaplan.media.decoding import Tally, decoded, tallied
from vaplan.media.door import DECODER_ERRORS, Limits

SLIP = 0.03  # seconds that a frame's stated time may differ from its place behind the samples before it
Stretch: TypeAlias = tuple[float, Float32[np.ndarray, " _"]]  # the second it begins at, and its samples

MIX = {"rematrix_maxval": "1.0"}  # channels mixed to mono never grow louder than the loudest of them


def read(container: InputContainer, *, rate_hz: int, limits: Limits) -> tuple[list[Stretch], Tally]:
    """Decode the audio track in order to stretches of unbroken mono sound."""
    stream, tally = tallied(container, "audio", limits)
    if stream is None:
        return [], tally
    stretches = []
    timed = decoded(container, stream, tally, limits=limits)
    frames = ((t.start, t.frame) for t in timed if isinstance(t.frame, AudioFrame))
    for (_, start), run in groupby(in_runs(frames), key=itemgetter(0, 1)):
        blocks = mono((frame for *_, frame in run), rate_hz, tally)
        stretches.append((start, np.concatenate([np.zeros(0, np.float32), *blocks])))
    unsound = sum(int(np.count_nonzero(~np.isfinite(stretch))) for _, stretch in stretches)
    if unsound:
        tally.notes.append(f"samples that are not numbers: {unsound}")
    return stretches, tally


def in_runs(frames: Iterable[tuple[float, AudioFrame]]) -> Iterator[tuple[int, float, AudioFrame]]:
    """Number the runs of frames that follow one another without a gap and in one format.

    Each frame comes with its run's number and start. Within a run the samples tell the time, not the
    frames' stamps, which containers round.
    """
    number, begin, expected, form = 0, 0.0, 0.0, None
    for start, frame in frames:
        now = frame.format.name, frame.layout.name, frame.sample_rate
        if now != form or abs(start - expected) > SLIP:
            number, begin, expected, form = number + 1, start, start, now
        expected += frame.samples / frame.sample_rate
        yield number, begin, frame


def mono(frames: Iterable[AudioFrame], rate_hz: int, tally: Tally) -> Iterator[Float32[np.ndarray, " sample"]]:
    """Mix and resample one run of frames."""
    resampler = AudioResampler("fltp", "mono", rate_hz, options=MIX)
    for frame in chain(frames, [None]):  # None lets out what the resampler still holds
        try:
            yield from (block.to_ndarray().ravel() for block in resampler.resample(frame))
        except DECODER_ERRORS:  # for example a layout that cannot be mixed
            tally.errors += 1


def laid_out(
    stretches: Iterable[Stretch], samples: int, rate_hz: int
) -> tuple[Float32[np.ndarray, " sample"], Bool[np.ndarray, " sample"]]:
    """Place stretches of sound on one waveform; beside it, which of its samples were decoded.

    Samples that are no numbers count as not decoded.
    """
    waveform, heard = np.zeros(samples, np.float32), np.zeros(samples, bool)
    for start, stretch in stretches:
        place = round(start * rate_hz)
        sound = stretch[max(-place, 0) : max(samples - place, 0)]
        here = slice(max(place, 0), max(place, 0) + len(sound))
        heard[here] = np.isfinite(sound)
        waveform[here] = np.where(heard[here], sound, 0)
    return waveform, heard

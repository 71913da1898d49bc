"""The audio track: mono samples at one rate, each at its place on the container's clock."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, count, groupby, pairwise
from operator import itemgetter
from typing import cast

import numpy as np
from av.audio.fifo import AudioFifo
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.container import InputContainer
from jaxtyping import Bool, Float32

from vaplan.media.container import DECODER_ERRORS, Kept, Limits
from vaplan.media.decoding import Tally, decoded, tallied
from vaplan.media.sampling import Cut

LOWEST_HZ = (
    1000  # of a track; what says less is no sound, and would grow a thousandfold
)
# seconds that a frame's stated time may differ from its place behind the samples before
# it
SLIP = 0.03
# samples that are resampled together: enough to be cheap, and still within the
# processor's cache
BATCH = 8192
MIX = {
    "rematrix_maxval": "1.0"
}  # channels mixed to mono never grow louder than the loudest of them


@dataclass(frozen=True)
class Block:
    """Some samples and their place in the file's waveform; no later block begins before
    `settled`."""

    place: int
    samples: Float32[np.ndarray, " sample"]
    settled: int

    @property
    def end(self) -> int:
        """The place behind its last sample."""
        return self.place + len(self.samples)


@dataclass(frozen=True)
class Heard:
    """The sound of one segment, zeros where there was none, and how many of its samples were
    decoded."""

    waveform: Float32[np.ndarray, " sample"]
    decoded: int


class AudioTrack:
    """The main audio track of an open file, decoded in order while its segments are asked for."""

    def __init__(
        self, container: InputContainer, cut: Cut, limits: Limits, kept: Kept
    ) -> None:
        self._container, self._cut, self._limits, self._kept = (
            container,
            cut,
            limits,
            kept,
        )
        self._stream, self.tally = tallied(container, "audio", limits)

    def segments(self) -> Iterator[Heard]:
        """The sound of each segment up to the track's end; samples that are no numbers count as
        not decoded."""
        unsound = 0
        for waveform, there in laid_out(self._blocks(), map(self._cut.edge, count())):
            if not (finite := np.isfinite(waveform)).all():
                unsound += int(np.count_nonzero(~finite))
                waveform, there = np.where(finite, waveform, 0), there & finite
            self._kept.add(waveform.nbytes)
            yield Heard(waveform, int(np.count_nonzero(there)))
        if unsound:
            self.tally.notes.append(f"samples that are not numbers: {unsound}")

    def _blocks(self) -> Iterator[Block]:
        if self._stream is None:
            return
        timed = decoded(self._container, self._stream, self.tally, limits=self._limits)
        frames = ((t.start, cast(AudioFrame, t.frame)) for t in timed)
        rate_hz = self._cut.rate_hz
        for (_, begin), run in groupby(gathered(frames), key=itemgetter(0, 1)):
            place = round(begin * rate_hz)
            for start, samples in mono(
                ((start, sound) for *_, start, sound in run), rate_hz, self.tally
            ):
                end = place + len(samples)
                yield Block(
                    place, samples, settled=min(end, round((start - SLIP) * rate_hz))
                )
                place = end


def gathered(
    frames: Iterable[tuple[float, AudioFrame]],
) -> Iterator[tuple[int, float, float, AudioFrame]]:
    """Put together, some at a time, the frames that follow one another without a gap and in one
    format.

    Such a run is numbered; each batch comes with its run's number and start, and the start of its
    last frame. Within a run the samples tell the time, not the frames' stamps, which containers
    round.
    """
    number, begin, expected, last, form = 0, 0.0, 0.0, 0.0, None
    waiting = AudioFifo()
    for start, frame in frames:
        now = frame.format.name, frame.layout.name, frame.sample_rate
        if now != form or abs(start - expected) > SLIP:
            if waiting.samples:
                yield number, begin, last, cast(AudioFrame, waiting.read())
            number, begin, expected, form, waiting = (
                number + 1,
                start,
                start,
                now,
                AudioFifo(),
            )
        expected, last, frame.pts = (
            expected + frame.samples / frame.sample_rate,
            start,
            None,
        )
        waiting.write(frame)
        if waiting.samples >= BATCH:
            yield number, begin, last, cast(AudioFrame, waiting.read())
    if waiting.samples:
        yield number, begin, last, cast(AudioFrame, waiting.read())


def mono(
    run: Iterable[tuple[float, AudioFrame]], rate_hz: int, tally: Tally
) -> Iterator[tuple[float, Float32[np.ndarray, " sample"]]]:
    """Mix and resample a run; each piece comes with the start of the last frame that it may come
    from."""
    resampler, last = AudioResampler("fltp", "mono", rate_hz, options=MIX), 0.0
    for start, sound in chain(
        run, [(None, None)]
    ):  # None lets out what the resampler still holds
        if sound is not None and sound.sample_rate < LOWEST_HZ:
            tally.notes.append(f"{sound.sample_rate} samples a second are not sound")
            return
        last = last if start is None else start
        try:
            for block in resampler.resample(sound):
                yield (
                    last,
                    np.frombuffer(
                        memoryview(block.planes[0]), np.float32, block.samples
                    ),
                )
        except DECODER_ERRORS:  # for example a layout that cannot be mixed
            tally.errors += 1


def laid_out(
    blocks: Iterable[Block], edges: Iterable[int]
) -> Iterator[tuple[Float32[np.ndarray, " sample"], Bool[np.ndarray, " sample"]]]:
    """Place blocks of sound, the later over the earlier, and cut between edges; beside it, where
    there was any."""
    waiting, spans = list[Block](), pairwise(edges)
    start, stop = next(spans)
    for block in blocks:
        if block.end > start:
            waiting.append(block)
        while block.settled >= stop:
            yield _placed(waiting, start, stop)
            waiting = [block for block in waiting if block.end > stop]
            start, stop = next(spans)
    while waiting := [block for block in waiting if block.end > start]:
        yield _placed(waiting, start, stop)
        start, stop = next(spans)


def _placed(
    blocks: Sequence[Block], start: int, stop: int
) -> tuple[Float32[np.ndarray, " sample"], Bool[np.ndarray, " sample"]]:
    waveform, there = np.zeros(stop - start, np.float32), np.zeros(stop - start, bool)
    for block in blocks:
        first, last = max(block.place, start), min(block.end, stop)
        if first < last:
            waveform[first - start : last - start] = block.samples[
                first - block.place : last - block.place
            ]
            there[first - start : last - start] = True
    return waveform, there

"""The audio track: mono samples at one rate, each at its place on the container's clock."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, count, groupby, pairwise
from operator import itemgetter

import numpy as np
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.container import InputContainer
from jaxtyping import Bool, Float32

from vaplan.media.decoding import Tally, decoded, tallied
from vaplan.media.door import DECODER_ERRORS, Limits
from vaplan.media.sampling import Cut

SLIP = 0.03  # seconds that a frame's stated time may differ from its place behind the samples before it
MIX = {"rematrix_maxval": "1.0"}  # channels mixed to mono never grow louder than the loudest of them


@dataclass(frozen=True)
class Block:
    """Some samples and their place in the file's waveform; no later block begins before `settled`."""

    place: int
    samples: Float32[np.ndarray, " sample"]
    settled: int

    @property
    def end(self) -> int:
        """The place behind its last sample."""
        return self.place + len(self.samples)


@dataclass(frozen=True)
class Heard:
    """The sound of one segment, zeros where there was none, and how many of its samples were decoded."""

    waveform: Float32[np.ndarray, " sample"]
    decoded: int


class AudioTrack:
    """The main audio track of an open file, decoded in order while its segments are asked for."""

    def __init__(self, container: InputContainer, cut: Cut, limits: Limits) -> None:
        self._container, self._cut, self._limits = container, cut, limits
        self._stream, self.tally = tallied(container, "audio", limits)

    def segments(self) -> Iterator[Heard]:
        """The sound of each segment up to the track's end; samples that are no numbers count as not decoded."""
        unsound = 0
        for waveform, there in laid_out(self._blocks(), map(self._cut.edge, count())):
            if not (finite := np.isfinite(waveform)).all():
                unsound += int(np.count_nonzero(~finite))
                waveform, there = np.where(finite, waveform, 0), there & finite
            yield Heard(waveform, int(np.count_nonzero(there)))
        if unsound:
            self.tally.notes.append(f"samples that are not numbers: {unsound}")

    def _blocks(self) -> Iterator[Block]:
        if self._stream is None:
            return
        timed = decoded(self._container, self._stream, self.tally, limits=self._limits)
        frames = ((t.start, t.frame) for t in timed if isinstance(t.frame, AudioFrame))
        rate_hz = self._cut.rate_hz
        for (_, begin), run in groupby(in_runs(frames), key=itemgetter(0, 1)):
            place = round(begin * rate_hz)
            for start, samples in mono(((start, frame) for *_, start, frame in run), rate_hz, self.tally):
                end = place + len(samples)
                yield Block(place, samples, settled=min(end, round((start - SLIP) * rate_hz)))
                place = end


def in_runs(frames: Iterable[tuple[float, AudioFrame]]) -> Iterator[tuple[int, float, float, AudioFrame]]:
    """Number the runs of frames that follow one another without a gap and in one format.

    Each frame comes with its run's number and start, and its own start. Within a run the samples tell the time, not
    the frames' stamps, which containers round.
    """
    number, begin, expected, form = 0, 0.0, 0.0, None
    for start, frame in frames:
        now = frame.format.name, frame.layout.name, frame.sample_rate
        if now != form or abs(start - expected) > SLIP:
            number, begin, expected, form = number + 1, start, start, now
        expected += frame.samples / frame.sample_rate
        yield number, begin, start, frame


def mono(
    frames: Iterable[tuple[float, AudioFrame]], rate_hz: int, tally: Tally
) -> Iterator[tuple[float, Float32[np.ndarray, " sample"]]]:
    """Mix and resample one run of frames; each piece comes with the start of the frame that let it out."""
    left = iter(frames)
    if (first := next(left, None)) is None:
        return
    as_wanted = (first[1].format.name, first[1].layout.name, first[1].sample_rate) == ("fltp", "mono", rate_hz)
    size = 0 if as_wanted else rate_hz  # a second at a time is cheaper, but for frames that are only passed on
    resampler, last = AudioResampler("fltp", "mono", rate_hz, options=MIX, frame_size=size), first[0]
    for start, frame in chain([first], left, [(None, None)]):  # None lets out what the resampler still holds
        last = last if start is None else start
        try:
            for block in resampler.resample(frame):
                yield last, np.frombuffer(memoryview(block.planes[0]), np.float32, block.samples)
        except DECODER_ERRORS:  # for example a layout that cannot be mixed
            tally.errors += 1


def laid_out(
    blocks: Iterable[Block], edges: Iterable[int]
) -> Iterator[tuple[Float32[np.ndarray, " sample"], Bool[np.ndarray, " sample"]]]:
    """Place blocks of sound, the later over the earlier, and cut between edges; beside it, where there was any."""
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
            waveform[first - start : last - start] = block.samples[first - block.place : last - block.place]
            there[first - start : last - start] = True
    return waveform, there

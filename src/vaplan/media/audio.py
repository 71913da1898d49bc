"""The audio track: mono samples at one rate, at their place on the container's clock."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, count, groupby, pairwise
from typing import NamedTuple, cast

import numpy as np
from av.audio.fifo import AudioFifo
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.container import InputContainer
from jaxtyping import Bool, Float32

from vaplan.media.container import DECODER_ERRORS, Limits, MemoryBudget
from vaplan.media.decoding import DecodeStats, decode, select_track
from vaplan.media.sampling import Sampling

# Rates below this one are no audio, and resampling would make them a thousand times longer.
LOWEST_HZ = 1000
# Seconds by which the time stamp of a frame may differ from its place after the samples
# before it.
MAX_DRIFT = 0.03
# Samples that are resampled together: enough to be fast, and within the processor's cache.
BATCH = 8192
# Mixed to mono, channels never become louder than the loudest of them.
MIX = {"rematrix_maxval": "1.0"}


@dataclass(frozen=True)
class AudioBlock:
    """Consecutive samples and their place in the file's waveform.

    Attributes:
        place: Index of the first sample in the waveform.
        samples: Mono samples.
        final_until: No later block starts before this index.
    """

    place: int
    samples: Float32[np.ndarray, " sample"]
    final_until: int

    @property
    def end(self) -> int:
        """Return the index after its last sample."""
        return self.place + len(self.samples)


@dataclass(frozen=True)
class SegmentAudio:
    """The audio of one segment.

    Attributes:
        waveform: Samples; zeros where none was decoded.
        decoded: Number of decoded samples.
    """

    waveform: Float32[np.ndarray, " sample"]
    decoded: int


class AudioBatch(NamedTuple):
    """Frames that are resampled together.

    Attributes:
        run: Number of the run of frames without a gap.
        run_start: Start of the run in seconds.
        last_start: Start of the batch's last frame in seconds.
        frame: The samples of all frames.
    """

    run: int
    run_start: float
    last_start: float
    frame: AudioFrame


class AudioTrack:
    """The main audio track of an open file, decoded in order while its segments are read.

    Args:
        container: Open file.
        sampling: Sample rate and length of the segments.
        limits: Limits of the file's cost.
        budget: Bytes in memory.
    """

    def __init__(
        self,
        container: InputContainer,
        sampling: Sampling,
        limits: Limits,
        budget: MemoryBudget,
    ) -> None:
        self._container = container
        self._sampling = sampling
        self._limits = limits
        self._budget = budget
        self._stream, self.stats = select_track(container, "audio", limits)

    def segments(self) -> Iterator[SegmentAudio]:
        """Yield the audio of each segment up to the track's end.

        Samples that are not finite count as not decoded.
        """
        invalid = 0
        edges = map(self._sampling.edge, count())
        for waveform, is_decoded in cut_blocks(self._blocks(), edges):
            is_finite = np.isfinite(waveform)
            if not is_finite.all():
                invalid += int(np.count_nonzero(~is_finite))
                waveform = np.where(is_finite, waveform, 0)
                is_decoded = is_decoded & is_finite

            self._budget.reserve(waveform.nbytes)
            yield SegmentAudio(waveform, int(np.count_nonzero(is_decoded)))

        if invalid:
            self.stats.notes.append(f"samples that are not numbers: {invalid}")

    def _blocks(self) -> Iterator[AudioBlock]:
        if self._stream is None:
            return
        timed = decode(self._container, self._stream, self.stats, limits=self._limits)
        frames = ((one.start, cast(AudioFrame, one.frame)) for one in timed)
        rate_hz = self._sampling.rate_hz
        for (_, run_start), batches in groupby(
            batch_frames(frames), key=lambda batch: (batch.run, batch.run_start)
        ):
            place = round(run_start * rate_hz)
            pieces = ((batch.last_start, batch.frame) for batch in batches)
            for last_start, samples in resample_to_mono(pieces, rate_hz, self.stats):
                end = place + len(samples)
                final_until = min(end, round((last_start - MAX_DRIFT) * rate_hz))
                yield AudioBlock(place, samples, final_until)
                place = end


def batch_frames(frames: Iterable[tuple[float, AudioFrame]]) -> Iterator[AudioBatch]:
    """Join frames that follow one another without a gap and in one format into batches.

    Within such a run the number of samples gives the time, because containers round the time
    stamps of frames.

    Args:
        frames: Frames with their start in seconds.
    """
    run = 0
    run_start = expected = last_start = 0.0
    run_format = None
    queue = AudioFifo()

    def flush() -> AudioBatch:
        return AudioBatch(run, run_start, last_start, cast(AudioFrame, queue.read()))

    for start, frame in frames:
        frame_format = frame.format.name, frame.layout.name, frame.sample_rate
        if frame_format != run_format or abs(start - expected) > MAX_DRIFT:
            if queue.samples:
                yield flush()
            run += 1
            run_start = expected = start
            run_format = frame_format
            queue = AudioFifo()
        expected += frame.samples / frame.sample_rate
        last_start = start
        frame.pts = None
        queue.write(frame)
        if queue.samples >= BATCH:
            yield flush()
    if queue.samples:
        yield flush()


def resample_to_mono(
    pieces: Iterable[tuple[float, AudioFrame]], rate_hz: int, stats: DecodeStats
) -> Iterator[tuple[float, Float32[np.ndarray, " sample"]]]:
    """Mix and resample the pieces of one run.

    Args:
        pieces: Samples with the start of their last frame in seconds.
        rate_hz: Sample rate of the result.
        stats: Statistics of the track, which are updated.

    Yields:
        Start of the last frame that the samples may come from, and mono samples.
    """
    resampler = AudioResampler("fltp", "mono", rate_hz, options=MIX)
    last_start = 0.0
    flush = [(None, None)]
    for start, piece in chain(pieces, flush):
        if piece is not None and piece.sample_rate < LOWEST_HZ:
            stats.notes.append(f"{piece.sample_rate} samples a second are no audio")
            return
        if start is not None:
            last_start = start
        try:
            for block in resampler.resample(piece):
                plane = memoryview(block.planes[0])
                yield last_start, np.frombuffer(plane, np.float32, block.samples)
        except DECODER_ERRORS:  # for example a layout that cannot be mixed
            stats.errors += 1


def cut_blocks(
    blocks: Iterable[AudioBlock], edges: Iterable[int]
) -> Iterator[tuple[Float32[np.ndarray, " sample"], Bool[np.ndarray, " sample"]]]:
    """Place blocks of samples, later ones over earlier ones, and cut them at edges.

    Args:
        blocks: Blocks of samples.
        edges: First sample of each segment.

    Yields:
        Waveform of each segment up to the last block, and which samples were decoded.
    """
    queue = list[AudioBlock]()
    spans = pairwise(edges)
    start, stop = next(spans)

    for block in blocks:
        if block.end > start:
            queue.append(block)
        while block.final_until >= stop:
            yield _place_blocks(queue, start, stop)
            queue = [queued for queued in queue if queued.end > stop]
            start, stop = next(spans)

    while queue := [block for block in queue if block.end > start]:
        yield _place_blocks(queue, start, stop)
        start, stop = next(spans)


def _place_blocks(
    blocks: Sequence[AudioBlock], start: int, stop: int
) -> tuple[Float32[np.ndarray, " sample"], Bool[np.ndarray, " sample"]]:
    waveform = np.zeros(stop - start, np.float32)
    is_decoded = np.zeros(stop - start, bool)
    for block in blocks:
        first = max(block.place, start)
        last = min(block.end, stop)
        if first < last:
            samples = block.samples[first - block.place : last - block.place]
            waveform[first - start : last - start] = samples
            is_decoded[first - start : last - start] = True
    return waveform, is_decoded

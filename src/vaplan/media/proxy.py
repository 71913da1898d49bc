"""A small copy of a file that every browser plays: H.264 and AAC in MP4, on vaplan's clock."""

import heapq
import math
from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TypeAlias

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.container import InputContainer, OutputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from jaxtyping import Float32, UInt8

from vaplan.errors import MediaError
from vaplan.media.audio import AudioTrack
from vaplan.media.container import (
    CONVERT,
    Limits,
    MemoryBudget,
    check_regular_file,
    open_media,
)
from vaplan.media.decoding import decode, select_track
from vaplan.media.playback import LIMITS, Advance
from vaplan.media.sampling import Sampling
from vaplan.media.video import FrameConverter, check_frame_size
from vaplan.writing import write_atomically

SHORT_SIDE = 480  # pixels
RATE_HZ = 44_100
AUDIO_BITS = 96_000  # a second
CLOCK = Fraction(1, 90_000)  # of the video's time stamps
# Without frames that refer to later ones, the first time stamp is zero.
VIDEO_OPTIONS = {
    "preset": "veryfast",
    "crf": "28",
    "bf": "0",
    "x264-params": "threads=1:keyint=60",
}
MUXER_OPTIONS = {"movflags": "+faststart"}  # a browser reads the index first
Picture: TypeAlias = UInt8[np.ndarray, "height width 3"]
Waveform: TypeAlias = Float32[np.ndarray, " sample"]
Step: TypeAlias = tuple[float, Callable[[], None]]  # a time in seconds, and its work


def write_proxy(
    path: Path | str,
    out: Path,
    *,
    advance: Advance | None = None,
    limits: Limits = LIMITS,
) -> Path:
    """Write a copy of a file that a browser plays; it appears complete or not at all.

    Each frame keeps its time to a tenth of a millisecond, and each sample its place. Before
    the first frame the picture is black.

    Args:
        path: Media file.
        out: MP4 file to write.
        advance: Called with the seconds that are done.
        limits: Limits of the file's cost.

    Returns:
        The path of the copy.

    Raises:
        MediaError: Nothing in the file can be decoded, or it exceeds a limit.
        MachineError: The copy cannot be written.
    """
    file = check_regular_file(path)
    return write_atomically(
        out, lambda temporary: _write(file, temporary, advance, limits)
    )


def _write(file: Path, out: Path, advance: Advance | None, limits: Limits) -> None:
    with (
        open_media(file, limits) as video_source,
        open_media(file, limits) as audio_source,
        av.open(str(out), "w", format="mp4", options=MUXER_OPTIONS) as target,
    ):
        frames = _frames(video_source, limits)
        segments = _waveforms(audio_source, limits)

        first_frame = next(frames, None)
        first_segment = next(segments, None)
        if first_frame is None and first_segment is None:
            raise MediaError("nothing in it can be decoded", file=file, fix=CONVERT)

        # the tracks of a file are fixed before its first packet
        steps = list[Iterator[Step]]()
        if first_frame is not None:
            video = _VideoWriter(target, first_frame)
            steps.append(video.steps(chain([first_frame], frames)))
        if first_segment is not None:
            audio = _AudioWriter(target)
            steps.append(audio.steps(chain([first_segment], segments)))

        _run(heapq.merge(*steps, key=lambda step: step[0]), advance)


def _run(steps: Iterable[Step], advance: Advance | None) -> None:
    """Write the tracks in the order of time."""
    second = 0
    for time, write in steps:
        write()
        if advance and second <= time < math.inf:
            second = int(time) + 1
            advance(time)


def _frames(
    container: InputContainer, limits: Limits
) -> Iterator[tuple[float, Picture]]:
    """Yield upright frames of the video track with their times in seconds."""
    stream, stats = select_track(container, "video", limits)
    if not isinstance(stream, VideoStream):
        return

    check_frame_size(stream, limits)
    budget = MemoryBudget(limits.max_bytes)
    converter = FrameConverter(budget, SHORT_SIDE)
    converter.pixel_ratio = float(stream.sample_aspect_ratio or 1)

    for timed in decode(container, stream, stats, limits=limits):
        yield timed.start, converter.convert(timed)
        budget.used = 0  # the frame is not kept


def _waveforms(container: InputContainer, limits: Limits) -> Iterator[Waveform]:
    """Yield the samples of every second of the audio track; the last one may be shorter."""
    budget = MemoryBudget(limits.max_bytes)
    track = AudioTrack(container, Sampling(rate_hz=RATE_HZ), limits, budget)
    for second, segment in enumerate(track.segments()):
        length = round((track.stats.end - second) * RATE_HZ)
        yield segment.waveform[: max(length, 1)]
        budget.used = 0  # the segment is not kept


class _VideoWriter:
    """Encodes frames at their times, with black before the first one."""

    def __init__(
        self, target: OutputContainer, first_frame: tuple[float, Picture]
    ) -> None:
        height, width = first_frame[1].shape[:2]
        stream = target.add_stream("libx264", options=VIDEO_OPTIONS)
        stream.width = width + width % 2  # H.264 needs even sides
        stream.height = height + height % 2
        stream.pix_fmt = "yuv420p"
        stream.codec_context.time_base = CLOCK
        stream.time_base = CLOCK
        self._target = target
        self._stream = stream
        self._last = -1  # time stamp of the last frame

    def steps(self, frames: Iterable[tuple[float, Picture]]) -> Iterator[Step]:
        for time, picture in frames:
            if self._last < 0 and round(time / CLOCK) > 0:
                yield 0.0, partial(self._write, 0.0, np.zeros_like(picture))
            yield time, partial(self._write, time, picture)
        yield math.inf, partial(self._encode, None)

    def _write(self, time: float, picture: Picture) -> None:
        stamp = round(time / CLOCK)
        if stamp <= self._last:
            return
        self._last = stamp

        rows = self._stream.height - len(picture)
        columns = self._stream.width - picture.shape[1]
        even = np.pad(picture, ((0, rows), (0, columns), (0, 0)), mode="edge")

        frame = VideoFrame.from_ndarray(even, format="rgb24")
        frame.pts = stamp
        frame.time_base = CLOCK
        self._encode(frame)

    def _encode(self, frame: VideoFrame | None) -> None:
        self._target.mux(self._stream.encode(frame))


class _AudioWriter:
    """Encodes the samples of one second after the other."""

    def __init__(self, target: OutputContainer) -> None:
        self._target = target
        self._stream = target.add_stream("aac", rate=RATE_HZ, layout="mono")
        self._stream.bit_rate = AUDIO_BITS

    def steps(self, waveforms: Iterable[Waveform]) -> Iterator[Step]:
        for second, waveform in enumerate(waveforms):
            yield float(second), partial(self._write, second, waveform)
        yield math.inf, partial(self._encode, None)

    def _write(self, second: int, waveform: Waveform) -> None:
        frame = AudioFrame.from_ndarray(waveform[None], format="fltp", layout="mono")
        frame.sample_rate = RATE_HZ
        frame.pts = second * RATE_HZ
        frame.time_base = Fraction(1, RATE_HZ)
        self._encode(frame)

    def _encode(self, frame: AudioFrame | None) -> None:
        self._target.mux(self._stream.encode(frame))

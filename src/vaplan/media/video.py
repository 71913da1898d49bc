"""The video track: the frames of each segment."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from itertools import islice
from typing import TypeAlias, cast

import numpy as np
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.reformatter import Interpolation, VideoReformatter
from av.video.stream import VideoStream
from jaxtyping import UInt8

from vaplan.errors import MediaError
from vaplan.media import frame_skipping
from vaplan.media.container import Limits, MemoryBudget
from vaplan.media.decoding import (
    TICK,
    DecodeStats,
    TimedFrame,
    decode,
    demux,
    frames_at,
    packet_clock,
    select_track,
)
from vaplan.media.sampling import Sampling

MAX_PIXEL_RATIO = 4.0  # width over height of a pixel; a greater ratio is a mistake

FrameArray: TypeAlias = UInt8[np.ndarray, "height width channel"]
Frames: TypeAlias = UInt8[np.ndarray, "frame height width channel"]
Sample: TypeAlias = tuple[float, TimedFrame | None]  # sampling time and visible frame


class VideoTrack:
    """The main video track of a file, decoded in order while its segments are read.

    Args:
        open_media: Opens the file, anew at each call.
        sampling: Sampling of frames.
        limits: Limits of the file's cost.
        budget: Bytes in memory.
    """

    def __init__(
        self,
        open_media: Callable[[], AbstractContextManager[InputContainer]],
        sampling: Sampling,
        limits: Limits,
        budget: MemoryBudget,
    ) -> None:
        self.stats = DecodeStats("video")
        self._converter = FrameConverter(budget, limits.max_short_side)
        self._open_media = open_media
        self._sampling = sampling
        self._limits = limits

    def segments(self) -> Iterator[Frames | None]:
        """Yield the frames of each segment up to the track's end; None for a missing segment.

        A missing frame of a segment is replaced by the nearest one of the segment.
        """
        frames = self._frames()
        count = self._sampling.frames
        while group := list(islice(frames, count)):
            yield _fill_missing(group, count)

    def _frames(self) -> Iterator[FrameArray | None]:
        """Yield the frame at each sampling time; None for a missing one.

        A frame stays until the next one. In a damaged track it stays at most half a segment
        longer than its duration, because frames after it may be lost.
        """
        hold_seconds = self._sampling.segment_seconds / 2
        for time, timed in self._samples():
            if timed is None:
                yield None
                continue
            is_outdated = time >= timed.end + hold_seconds - TICK
            if self.stats.damaged and is_outdated:
                yield None
            else:
                yield self._converter.convert(timed)

    def _samples(self) -> Iterator[Sample]:
        span = self._span() if self._sampling.groups else None
        times = self._sampling.times(span)
        answered = 0
        if not self._sampling.every_frame:
            try:
                for sample in self._read(times, skip_frames=True):
                    yield sample
                    answered += 1
            except frame_skipping.CannotSkip:
                pass
            else:
                return
        yield from islice(self._read(times), answered, None)

    def _read(
        self, times: Iterable[float], *, skip_frames: bool = False
    ) -> Iterator[Sample]:
        with self._open_media() as container:
            stream, self.stats = select_track(container, "video", self._limits)
            if not isinstance(stream, VideoStream):
                return
            check_frame_size(stream, self._limits)
            self._converter.pixel_ratio = float(stream.sample_aspect_ratio or 1)
            if skip_frames:
                yield from frame_skipping.frames_at(
                    container, stream, self.stats, times, limits=self._limits
                )
            else:
                frames = decode(container, stream, self.stats, limits=self._limits)
                yield from frames_at(frames, times)

    def _span(self) -> tuple[float, float] | None:
        """Return the begin and end of the track by its packets; None without time stamps."""
        max_seconds = self._limits.max_seconds
        with self._open_media() as container:
            stream, stats = select_track(container, "video", self._limits)
            if stream is None:
                return 0.0, 0.0

            time_of = packet_clock(container, stream)
            for packet in demux(container, stream, stats):
                if not packet.size or packet.is_discard:
                    continue
                time = time_of(packet)
                if time is not None and time.start < max_seconds:
                    stats.add(time._replace(end=min(time.end, max_seconds)))

        return (stats.begin, stats.end) if stats.frames else None


def _fill_missing(group: Sequence[FrameArray | None], count: int) -> Frames | None:
    """Stack the frames of a segment and replace missing ones by the nearest one."""
    present = [(index, frame) for index, frame in enumerate(group) if frame is not None]
    if not present:
        return None

    nearest = [
        min(present, key=lambda item: abs(item[0] - index))[1] for index in range(count)
    ]
    if count == 1:  # a view, because one frame may stay for minutes
        return nearest[0][np.newaxis]
    return np.stack(nearest)


def check_frame_size(stream: VideoStream, limits: Limits) -> None:
    """Refuse frames above the pixel limit before one is allocated.

    Args:
        stream: Video track.
        limits: Limits of the file's cost.

    Raises:
        MediaError: The frames are too large.
    """
    width = stream.codec_context.width
    height = stream.codec_context.height
    if width * height > limits.max_pixels:
        raise MediaError(
            f"frames of {width} x {height} pixels are more than the limit of "
            f"{limits.max_pixels:,}",
            fix="scale it down",
        )
    # The decoder checks the limit too, because the header may be wrong.
    stream.codec_context.options = {"max_pixels": str(limits.max_pixels)}


def square_pixel_size(width: int, height: int, pixel_ratio: float) -> tuple[int, int]:
    """Return the width and height of a frame with square pixels.

    One side grows, so that no detail is lost. An impossible ratio is ignored.

    >>> square_pixel_size(720, 576, 64 / 45), square_pixel_size(100, 100, 0.5)
    ((1024, 576), (100, 200))
    >>> square_pixel_size(100, 100, 1e6)
    (100, 100)

    Args:
        width: Width in pixels.
        height: Height in pixels.
        pixel_ratio: Width of a pixel over its height.
    """
    if not 1 / MAX_PIXEL_RATIO <= pixel_ratio <= MAX_PIXEL_RATIO:
        return width, height
    if pixel_ratio > 1:
        return round(width * pixel_ratio), height
    return width, round(height / pixel_ratio)


def limited_size(width: int, height: int, max_short_side: int) -> tuple[int, int]:
    """Return the size of a frame whose short side is limited.

    >>> limited_size(7680, 4320, 1080), limited_size(1920, 1080, 1080)
    ((1920, 1080), (1920, 1080))

    Args:
        width: Width in pixels.
        height: Height in pixels.
        max_short_side: Largest length of the short side, in pixels. Image encoders take 224
            to 448.
    """
    factor = min(1.0, max_short_side / min(width, height))
    return max(1, round(width * factor)), max(1, round(height * factor))


class FrameConverter:
    """Converts decoded frames to upright RGB frames of one size with square pixels.

    Args:
        budget: Bytes in memory.
        max_short_side: Largest length of the short side, in pixels.

    Attributes:
        pixel_ratio: Width of the track's pixels over their height.
    """

    def __init__(self, budget: MemoryBudget, max_short_side: int) -> None:
        self.pixel_ratio = 1.0
        self._max_short_side = max_short_side
        self._reformatter = VideoReformatter()
        self._budget = budget
        self._last: tuple[TimedFrame, FrameArray] | None = None
        self._size: tuple[int, int] | None = None

    def convert(self, timed: TimedFrame) -> FrameArray:
        """Return a frame as an array; consecutive calls for one frame share the array.

        Args:
            timed: Decoded frame.
        """
        if self._last is None or self._last[0] is not timed:
            self._last = timed, self._convert(cast(VideoFrame, timed.frame))
        return self._last[1]

    def _convert(self, frame: VideoFrame) -> FrameArray:
        if self._size is None:
            size = square_pixel_size(frame.width, frame.height, self.pixel_ratio)
            self._size = limited_size(*size, self._max_short_side)
        width, height = self._size
        is_scaled_down = width * height < frame.width * frame.height
        interpolation = Interpolation.AREA if is_scaled_down else None
        rgb = self._reformatter.reformat(
            frame, width, height, "rgb24", interpolation=interpolation, threads=1
        ).to_ndarray()
        array = np.ascontiguousarray(np.rot90(rgb, frame.rotation // 90))
        self._budget.reserve(array.nbytes)
        return array

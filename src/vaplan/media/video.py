"""The video track: the pictures of each segment."""

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
from vaplan.media.container import Kept, Limits
from vaplan.media.decoding import (
    TICK,
    Tally,
    Timed,
    clock,
    decoded,
    demuxed,
    on_screen,
    tallied,
)
from vaplan.media.sampling import Cut

WIDEST_PIXEL = 4.0  # times its height; what says more is no film format but a mistake

Picture: TypeAlias = UInt8[np.ndarray, "height width channel"]
Pictures: TypeAlias = UInt8[np.ndarray, "frame height width channel"]
Answer: TypeAlias = tuple[
    float, Timed | None
]  # a sampling time, and what is on the screen then


class VideoTrack:
    """The main video track of a file, decoded in order while its segments are asked for.

    Args:
        opened: Opens the file, anew each time.
    """

    def __init__(
        self,
        opened: Callable[[], AbstractContextManager[InputContainer]],
        cut: Cut,
        limits: Limits,
        kept: Kept,
    ) -> None:
        self.tally = Tally("video")
        self._lab = Lab(kept, limits.max_short_side)
        self._opened, self._cut, self._limits = opened, cut, limits

    def segments(self) -> Iterator[Pictures | None]:
        """The pictures of each segment up to the track's end; None where nothing was seen.

        Where only part of a segment was seen its nearest picture is repeated.
        """
        pictures, parts = self._pictures(), self._cut.pictures
        while group := list(islice(pictures, parts)):
            there = [
                (i, picture) for i, picture in enumerate(group) if picture is not None
            ]
            nearest = [
                min(there, key=lambda near: abs(near[0] - i))[1]
                for i in range(parts)
                if there
            ]
            yield _stacked(nearest) if nearest else None

    def _pictures(self) -> Iterator[Picture | None]:
        """The picture at each sampling time.

        A picture stays until the next one comes; once the track is known to be damaged, only half
        a segment longer than it says, as what came after it may be lost.
        """
        hold = self._cut.segment_seconds / 2
        for time, shown in self._shown():
            outlived = shown is not None and time >= shown.until + hold - TICK
            yield self._lab.picture(None if self.tally.damaged and outlived else shown)

    def _shown(self) -> Iterator[Answer]:
        times, answered = self._cut.times(self._span() if self._cut.groups else None), 0
        if not self._cut.every_frame:
            try:
                for answer in self._read(times, sparingly=True):
                    yield answer
                    answered += 1
            except frame_skipping.Unsure:
                pass
            else:
                return
        yield from islice(self._read(times), answered, None)

    def _read(
        self, times: Iterable[float], *, sparingly: bool = False
    ) -> Iterator[Answer]:
        with self._opened() as container:
            stream, self.tally = tallied(container, "video", self._limits)
            if not isinstance(stream, VideoStream):
                return
            _refuse_too_large(stream, self._limits)
            self._lab.pixel = float(stream.sample_aspect_ratio or 1)
            if sparingly:
                yield from frame_skipping.shown(
                    container, stream, self.tally, times, limits=self._limits
                )
            else:
                yield from on_screen(
                    decoded(container, stream, self.tally, limits=self._limits), times
                )

    def _span(self) -> tuple[float, float] | None:
        """Where the track begins and ends, by the stamps of its packets; nowhere if there is
        none."""
        with self._opened() as container:
            stream, tally = tallied(container, "video", self._limits)
            if stream is None:
                return 0.0, 0.0
            stamped = clock(container, stream)
            for packet in demuxed(container, stream, tally):
                stamp = (
                    stamped(packet) if packet.size and not packet.is_discard else None
                )
                if stamp is not None and stamp.start < self._limits.max_seconds:
                    tally.add(
                        stamp._replace(until=min(stamp.until, self._limits.max_seconds))
                    )
        return (tally.begin, tally.end) if tally.frames else None


def _refuse_too_large(stream: VideoStream, limits: Limits) -> None:
    width, height = stream.codec_context.width, stream.codec_context.height
    if width * height > limits.max_pixels:
        what = (
            f"pictures of {width} x {height} pixels are more than the limit of "
            f"{limits.max_pixels:,}"
        )
        raise MediaError(what, fix="scale it down")
    stream.codec_context.options = {
        "max_pixels": str(limits.max_pixels)
    }  # for a header that lies


def _stacked(there: Sequence[Picture]) -> Pictures:
    return (
        there[0][np.newaxis] if len(there) == 1 else np.stack(there)
    )  # a view: one picture may fill minutes


def squared(width: int, height: int, pixel: float) -> tuple[int, int]:
    """Width and height that show the same with square pixels; one of them grows, so that nothing
    is thrown away.

    >>> squared(720, 576, 64 / 45), squared(100, 100, 0.5), squared(100, 100, 1e6)
    ((1024, 576), (100, 200), (100, 100))
    """
    if not 1 / WIDEST_PIXEL <= pixel <= WIDEST_PIXEL:
        return width, height
    return (
        (round(width * pixel), height) if pixel > 1 else (width, round(height / pixel))
    )


def scaled_down(width: int, height: int, max_short_side: int) -> tuple[int, int]:
    """Return the size of a frame whose short side is limited.

    >>> scaled_down(7680, 4320, 1080), scaled_down(1920, 1080, 1080)
    ((1920, 1080), (1920, 1080))

    Args:
        width: Width in pixels.
        height: Height in pixels.
        max_short_side: Largest length of the short side, in pixels. Image encoders take 224
            to 448.
    """
    factor = min(1.0, max_short_side / min(width, height))
    return max(1, round(width * factor)), max(1, round(height * factor))


class Lab:
    """Turns decoded frames into upright RGB pictures of one size and square pixels; one asked for
    again is made once.

    Attributes:
        pixel: The width of the track's pixels over their height.
    """

    def __init__(self, kept: Kept, max_short_side: int) -> None:
        self.pixel = 1.0
        self._max_short_side = max_short_side
        self._reformatter, self._kept = VideoReformatter(), kept
        self._last: tuple[Timed, Picture] | None = None
        self._size: tuple[int, int] | None = None

    def picture(self, shown: Timed | None) -> Picture | None:
        """The picture of a frame; consecutive askings for one frame share one array."""
        if shown is None:
            return None
        if self._last is None or self._last[0] is not shown:
            self._last = shown, self._develop(cast(VideoFrame, shown.frame))
        return self._last[1]

    def _develop(self, frame: VideoFrame) -> Picture:
        if self._size is None:
            width, height = squared(frame.width, frame.height, self.pixel)
            self._size = scaled_down(width, height, self._max_short_side)
        width, height = self._size
        is_scaled_down = width * height < frame.width * frame.height
        interpolation = Interpolation.AREA if is_scaled_down else None
        rgb = self._reformatter.reformat(
            frame, width, height, "rgb24", interpolation=interpolation, threads=1
        ).to_ndarray()
        picture = np.ascontiguousarray(np.rot90(rgb, frame.rotation // 90))
        self._kept.add(picture.nbytes)
        return picture

"""The video track: which picture is on the screen at a stated time."""

from collections.abc import Iterable, Iterator
from typing import TypeAlias, cast

import numpy as np
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream
from jaxtyping import UInt8

from vaplan.errors import MediaError
from vaplan.media.decoding import Tally, Timed, decoded, tallied
from vaplan.media.door import Limits

TICK = 1e-6  # container start times are whole microseconds

Picture: TypeAlias = UInt8[np.ndarray, "height width channel"]


def read(
    container: InputContainer, times: Iterable[float], *, hold: float, limits: Limits
) -> tuple[list[Picture | None], Tally]:
    """Decode the video track in order and keep the picture on the screen at each time (None: there is none).

    Args:
        times: The sampling times, rising and without end, in seconds from the container's start.
        hold: How long, in a damaged track, a picture may stand for what came after it and was lost.
    """
    stream, tally = tallied(container, "video", limits)
    if not isinstance(stream, VideoStream):
        return [], tally
    width, height = stream.codec_context.width, stream.codec_context.height
    if width * height > limits.max_pixels:
        what = f"pictures of {width} x {height} pixels are more than the limit of {limits.max_pixels:,}"
        raise MediaError(what, fix="scale it down")
    stream.codec_context.options = {"max_pixels": str(limits.max_pixels)}  # for a header that lies
    lab = Lab(limits)
    kept = [
        (time, shown.until if shown else 0.0, lab.picture(shown))
        for time, shown in on_screen(decoded(container, stream, tally, limits=limits), times)
    ]
    holds = hold if tally.damaged else float("inf")
    return [picture if time < until + holds - TICK else None for time, until, picture in kept], tally


def on_screen(frames: Iterable[Timed], times: Iterable[float]) -> Iterator[tuple[float, Timed | None]]:
    """Yield each time up to the track's end with the last frame that began by then (None before the first).

    A track that ends before the first time shows its last frame there.
    """
    clock = iter(times)
    time, last, asked = next(clock), None, 0
    for frame in frames:
        while time < frame.start - TICK:
            yield time, last
            time, asked = next(clock), asked + 1
        last = frame
    while last is not None and (time <= last.until + TICK or not asked):
        yield time, last
        time, asked = next(clock), asked + 1


class Lab:
    """Turns decoded frames into upright RGB pictures of one size; a frame asked for again is made once."""

    def __init__(self, limits: Limits) -> None:
        self._reformatter = VideoReformatter()
        self._limits = limits
        self._last: tuple[Timed, Picture] | None = None
        self._size: tuple[int, int] | None = None
        self._bytes = 0

    def picture(self, shown: Timed | None) -> Picture | None:
        """The picture of a frame; consecutive askings for one frame share one array."""
        if shown is None:
            return None
        if self._last is None or self._last[0] is not shown:
            self._last = shown, self._develop(cast(VideoFrame, shown.frame))
        return self._last[1]

    def _develop(self, frame: VideoFrame) -> Picture:
        width, height = self._size = self._size or (frame.width, frame.height)
        rgb = self._reformatter.reformat(frame, width, height, "rgb24", threads=1).to_ndarray()
        picture = np.ascontiguousarray(np.rot90(rgb, frame.rotation // 90))
        self._bytes += picture.nbytes
        if self._bytes > self._limits.max_bytes:
            what = f"its pictures need more than {self._limits.max_bytes:,} bytes"
            raise MediaError(what, fix="cut it into shorter files or scale it down")
        return picture

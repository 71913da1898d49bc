"""Decoding of one track in order, on the container's clock, with statistics of its loss."""

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from typing import NamedTuple, TypeVar, cast

import av
from av.audio.frame import AudioFrame
from av.container import InputContainer
from av.packet import Packet
from av.video.stream import VideoStream

from vaplan.media.container import (
    CODECS,
    DECODER_ERRORS,
    Kind,
    Limits,
    Stream,
    codec_name,
    list_tracks,
    main_track,
)
from vaplan.media.gaps import Frame, Gap

TICK = 1e-6  # seconds; container start times are whole microseconds
# Seconds by which a track may end before its declared end without a warning, because of
# padding and of a last frame of unknown duration.
END_TOLERANCE = 0.25


class TimedFrame(NamedTuple):
    """A decoded frame with its start and end in seconds from the container's start."""

    frame: Frame
    start: float
    end: float


class FrameTime(NamedTuple):
    """The time of a frame before it is decoded.

    Attributes:
        pts: Presentation time stamp on the track's own clock.
        start: Start in seconds from the container's start.
        end: End in seconds from the container's start.
    """

    pts: int
    start: float
    end: float


AnyFrame = TypeVar("AnyFrame", TimedFrame, FrameTime)


def frames_at(
    frames: Iterable[AnyFrame], times: Iterable[float]
) -> Iterator[tuple[float, AnyFrame | None]]:
    """Yield each sampling time up to the track's end with the frame that is visible then.

    The visible frame is the last one that starts at that time or before; there is none before
    the first frame. A track that ends before the first sampling time gives its last frame there.

    Args:
        frames: Frames in order.
        times: Sampling times in seconds, ascending.
    """
    clock = iter(times)
    time = next(clock, math.inf)
    answers = 0
    last = None
    for frame in frames:
        while time < frame.start - TICK:
            yield time, last
            answers += 1
            time = next(clock, math.inf)
        last = frame
    while last is not None and (time <= last.end + TICK or not answers):
        yield time, last
        answers += 1
        time = next(clock, math.inf)


@dataclass
class DecodeStats:
    """Declared and decoded length of one track, and its loss.

    Attributes:
        kind: `video` or `audio`.
        exists: Whether the file has such a track.
        declared: Declared end in seconds from the container's start.
        packets: Number of packets.
        frames: Number of decoded frames.
        begin: Start of the first frame in seconds.
        end: End of the last frame in seconds.
        frame_seconds: Sum of the durations of all frames.
        errors: Number of packets that cannot be decoded.
        corrupt: Number of corrupt frames.
        notes: Other warnings.
    """

    kind: Kind
    exists: bool = False
    declared: float | None = None
    packets: int = 0
    frames: int = 0
    begin: float = 0.0
    end: float = 0.0
    frame_seconds: float = 0.0
    errors: int = 0
    corrupt: int = 0
    notes: list[str] = field(default_factory=list)

    @property
    def damaged(self) -> bool:
        """Return whether a part of the track is lost."""
        return bool(self.errors or self.corrupt)

    @property
    def seconds(self) -> float | None:
        """Return the decoded length: from begin to end or, with loss, the sum of the frames."""
        if not self.exists:
            return None
        return self.frame_seconds if self.damaged else self.end - self.begin

    def add(self, timed: TimedFrame | FrameTime) -> None:
        """Count a frame.

        Args:
            timed: Frame with its start and end.
        """
        _, start, end = timed
        if start < self.begin or not self.frames:
            self.begin = start
        if end > self.end:  # faster than `max`, and called for every frame
            self.end = end
        self.frame_seconds += end - start
        self.frames += 1

    def warnings(self) -> list[str]:
        """Describe absent and lost content, with numbers."""
        messages = list(self.notes)
        if self.errors:
            messages.append(f"packets that cannot be decoded: {self.errors}")
        if self.corrupt:
            messages.append(f"corrupt frames left out: {self.corrupt}")
        # Two packets may hold one interlaced frame.
        if self.kind == "video" and 3 * self.frames < self.packets:
            messages.append(f"frames decoded of {self.packets} packets: {self.frames}")
        if self.declared is not None and self.declared - self.end > END_TOLERANCE:
            messages.append(describe_loss(self.end, self.declared))

        absent = [] if self.exists else [f"no {self.kind}"]
        return absent + [f"{self.kind}: {text}" for text in messages]


def describe_loss(decoded: float, declared: float) -> str:
    """Describe the seconds that are lost at the end.

    >>> describe_loss(8.0, 10.0)
    '2.00 s lost: declared 10.00 s, decoded 8.00 s'
    """
    return f"{declared - decoded:.2f} s lost: declared {declared:.2f} s, decoded {decoded:.2f} s"


def start_seconds(container: InputContainer) -> float:
    """Return the container's start in seconds of its own clock; it is time zero of vaplan.

    Args:
        container: Open file.
    """
    return (container.start_time or 0) / av.time_base


def select_track(
    container: InputContainer, kind: Kind, limits: Limits
) -> tuple[Stream | None, DecodeStats]:
    """Return the main track of a kind and its statistics, with its declared end.

    Args:
        container: Open file.
        kind: `video` or `audio`.
        limits: Limits of the file's cost.
    """
    stream = main_track(container, kind)
    stats = DecodeStats(kind, exists=stream is not None)
    if stream is None:
        names = {codec_name(one) for one in list_tracks(container, kind)} - CODECS
        for name in sorted(name or "unknown" for name in names):
            stats.notes.append(f"codec {name} is not one vaplan decodes")

    declared = declared_end(container, kind)
    if declared is not None and declared <= limits.max_seconds:
        stats.declared = declared
    return stream, stats


def declared_end(container: InputContainer, kind: Kind) -> float | None:
    """Return the declared end of a track in seconds from the container's start.

    Tracks of Matroska declare none.

    Args:
        container: Open file.
        kind: `video` or `audio`.
    """
    stream = main_track(container, kind)
    if stream is None or not stream.duration or not stream.time_base:
        return None
    end = ((stream.start_time or 0) + stream.duration) * stream.time_base
    return float(end) - start_seconds(container)


def declared_seconds(container: InputContainer) -> float | None:
    """Return the declared end of the longer track or, without any, of the whole file.

    Args:
        container: Open file.
    """
    ends = [declared_end(container, "video"), declared_end(container, "audio")]
    known = [end for end in ends if end is not None]
    if known or not container.duration:
        return max(known, default=None)
    seconds = container.duration / av.time_base
    if "matroska" in container.format.name:  # its duration counts from its own zero
        seconds -= max(start_seconds(container), 0)
    return seconds


def decode(
    container: InputContainer,
    stream: Stream,
    stats: DecodeStats,
    *,
    limits: Limits,
    packets: Iterable["Packet[Stream]"] | None = None,
) -> Iterator[TimedFrame]:
    """Decode a track in order on the container's clock and skip what cannot be decoded.

    Corrupt frames, and frames that jump back in time, are counted and left out.

    Args:
        container: Open file.
        stream: Track of the file.
        stats: Statistics of the track, which are updated.
        limits: Limits of the file's cost.
        packets: Packets of the track; by default all of them.
    """
    begin = start_seconds(container)
    duration_of = _duration_function(stream)
    last_start = -math.inf
    for frame in _frames(packets or demux(container, stream, stats), stream, stats):
        start = stats.end if frame.time is None else frame.time - begin
        if start < last_start:
            stats.corrupt += 1
            continue
        last_start = start
        end = start + duration_of(frame)
        if start < limits.max_seconds:
            timed = TimedFrame(frame, start, min(end, limits.max_seconds))
            stats.add(timed)
            yield timed
        if end > limits.max_seconds:
            stats.notes.append(
                f"longer than {limits.max_seconds:g} s: the rest is not read"
            )
            return


def packet_clock(
    container: InputContainer, stream: Stream
) -> Callable[["Packet[Stream]"], FrameTime | None]:
    """Return a function that gives the time of a packet's frame before it is decoded.

    The function returns None for a packet without a time stamp.

    Args:
        container: Open file.
        stream: Track of the file.
    """
    begin = start_seconds(container)
    default_seconds = _default_duration(stream)
    tick = stream.time_base or Fraction(0)
    up, down, tick_seconds = tick.numerator, tick.denominator, float(tick)

    def frame_time(packet: "Packet[Stream]") -> FrameTime | None:
        if packet.pts is None or not up:
            return None
        start = packet.pts * up / down - begin  # exactly the time of the decoded frame
        seconds = (packet.duration or 0) * tick_seconds or default_seconds
        return FrameTime(packet.pts, start, start + seconds)

    return frame_time


def _frames(
    packets: Iterable["Packet[Stream]"], stream: Stream, stats: DecodeStats
) -> Iterator[Frame]:
    stream.codec_context.thread_type = "NONE"
    stream.codec_context.thread_count = 1
    gap = Gap()
    for packet in packets:
        try:
            frames = cast("list[Frame]", packet.decode())
            gap.failures = 0
        except EOFError:
            return
        except DECODER_ERRORS:
            stats.errors += 1
            gap.add_failure(packet)
            continue
        for frame in frames:
            if frame.is_corrupt or (gap.start < math.inf and gap.contains(frame)):
                stats.corrupt += 1
            else:
                yield frame


def demux(
    container: InputContainer, stream: Stream, stats: DecodeStats
) -> Iterator["Packet[Stream]"]:
    """Yield the packets of a track in the order of decoding.

    The last packet is empty and flushes the decoder.

    Args:
        container: Open file.
        stream: Track of the file.
        stats: Statistics of the track, which are updated.
    """
    try:
        for packet in container.demux(stream):
            stats.packets += bool(packet.size) and not packet.is_discard
            yield cast("Packet[Stream]", packet)
    except DECODER_ERRORS:
        stats.errors += 1


def _duration_function(stream: Stream) -> Callable[[Frame], float]:
    """Return a function that gives the duration of a frame in seconds."""
    default_seconds = _default_duration(stream)
    tick = float(stream.time_base or 0)

    def duration(frame: Frame) -> float:
        if isinstance(frame, AudioFrame):
            return frame.samples / frame.sample_rate
        return (frame.duration or 0) * tick or default_seconds

    return duration


def _default_duration(stream: Stream) -> float:
    """Return the duration of a video frame by the track's frame rate; else 0."""
    if not isinstance(stream, VideoStream):
        return 0.0
    rate = stream.average_rate or stream.guessed_rate
    return float(1 / rate) if rate else 0.0

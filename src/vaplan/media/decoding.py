"""Decoding one track in order, on the container's clock, with a tally of what could not be
decoded."""

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, NamedTuple, TypeVar, cast

import av
from av.container import InputContainer
from av.packet import Packet
from av.video.stream import VideoStream

from vaplan.media.container import (
    CODECS,
    DECODER_ERRORS,
    Kind,
    Limits,
    Stream,
    codec,
    track,
    tracks,
)
from vaplan.media.gaps import Frame, Gap

TICK = 1e-6  # seconds; container start times are whole microseconds
# seconds by which a track may end before it says: padding, a last frame of unknown
# duration
LOST = 0.25


class Timed(NamedTuple):
    """A decoded frame, and from when until when it lasts, in seconds from the container's start."""

    frame: Frame
    start: float
    until: float


class Stamp(NamedTuple):
    """A frame before it is decoded: its stamp on the track's own clock, and from when until when
    it lasts."""

    pts: int
    start: float
    until: float


Shown = TypeVar("Shown", Timed, Stamp)


def on_screen(
    frames: Iterable[Shown], times: Iterable[float]
) -> Iterator[tuple[float, Shown | None]]:
    """Yield each time up to the track's end with the last frame that began by then (None before
    the first).

    A track that ends before the first time shows its last frame there.
    """
    clock, last, asked = iter(times), None, 0
    time = next(clock, math.inf)
    for frame in frames:
        while time < frame.start - TICK:
            yield time, last
            time, asked = next(clock, math.inf), asked + 1
        last = frame
    while last is not None and (time <= last.until + TICK or not asked):
        yield time, last
        time, asked = next(clock, math.inf), asked + 1


@dataclass
class Tally:
    """What one track declares, what decoding it gave, and what it could not give."""

    kind: Kind
    exists: bool = False
    declared: float | None = (
        None  # where the track says it ends, in seconds from the container's start
    )
    packets: int = 0
    frames: int = 0
    begin: float = 0.0
    end: float = 0.0
    played: float = 0.0
    errors: int = 0
    corrupt: int = 0
    notes: list[str] = field(default_factory=list)

    @property
    def damaged(self) -> bool:
        """Whether something that stood in the file did not come out."""
        return bool(self.errors or self.corrupt)

    @property
    def seconds(self) -> float | None:
        """How much was decoded: from begin to end, or, with holes, the sum of the frames."""
        if not self.exists:
            return None
        return self.played if self.damaged else self.end - self.begin

    def add(self, timed: Timed | Stamp) -> None:
        """Count a frame."""
        _, start, until = timed
        if start < self.begin or not self.frames:
            self.begin = start
        if until > self.end:  # asked so often that `max` would cost
            self.end = until
        self.played += until - start
        self.frames += 1

    def warnings(self) -> list[str]:
        """What is absent or was lost, in numbers."""
        messages = list(self.notes)
        if self.errors:
            messages.append(f"packets that cannot be decoded: {self.errors}")
        if self.corrupt:
            messages.append(f"corrupt frames left out: {self.corrupt}")
        if (
            3 * self.frames < self.packets and self.kind == "video"
        ):  # two packets may hold one interlaced frame
            messages.append(f"frames decoded of {self.packets} packets: {self.frames}")
        if self.declared is not None and self.declared - self.end > LOST:
            messages.append(lost(self.end, self.declared))
        none = [] if self.exists else [f"no {self.kind}"]
        return none + [f"{self.kind}: {text}" for text in messages]


def lost(decoded: float, declared: float) -> str:
    """Say how many seconds are missing at the end."""
    return f"{declared - decoded:.2f} s lost: declared {declared:.2f} s, decoded {decoded:.2f} s"


def zero(container: InputContainer) -> float:
    """The container's start, in seconds of its own clock: our time zero."""
    return (container.start_time or 0) / av.time_base


def tallied(
    container: InputContainer, kind: Kind, limits: Limits
) -> tuple[Stream | None, Tally]:
    """The file's main track of a kind and a tally for it, with what the track declares."""
    stream, declared = track(container, kind), declared_end(container, kind)
    tally = Tally(kind, exists=stream is not None)
    if stream is None:
        others = {
            codec(t) or "unknown"
            for t in tracks(container, kind)
            if codec(t) not in CODECS
        }
        tally.notes += [
            f"codec {name} is not one vaplan decodes" for name in sorted(others)
        ]
    tally.declared = (
        declared if declared is not None and declared <= limits.max_seconds else None
    )
    return stream, tally


def declared_end(container: InputContainer, kind: Kind) -> float | None:
    """Where a track says it ends, in seconds from the container's start; Matroska's tracks say
    nothing."""
    stream = track(container, kind)
    if stream is None or not stream.duration or not stream.time_base:
        return None
    return float(
        ((stream.start_time or 0) + stream.duration) * stream.time_base
    ) - zero(container)


def declared_seconds(container: InputContainer) -> float | None:
    """Where the file says it ends: its longer track, or, if no track says anything, the file as a
    whole."""
    streams = [
        end
        for end in (declared_end(container, "video"), declared_end(container, "audio"))
        if end is not None
    ]
    if streams or not container.duration:
        return max(streams, default=None)
    before = (
        max(zero(container), 0) if "matroska" in container.format.name else 0
    )  # which counts from its own zero
    return container.duration / av.time_base - before


def decoded(
    container: InputContainer,
    stream: Stream,
    tally: Tally,
    *,
    limits: Limits,
    packets: Iterable["Packet[Stream]"] | None = None,
) -> Iterator[Timed]:
    """Decode a track in order on the container's clock, going on past what cannot be decoded.

    Corrupt frames, and frames that jump back in time, are counted and not given.

    Args:
        packets: Those of the track, as they come from `demuxed` or selected.
    """
    begin, last = zero(container), -math.inf
    lasts = _duration(stream)
    for frame in _frames(packets or demuxed(container, stream, tally), stream, tally):
        start = tally.end if frame.time is None else frame.time - begin
        if start < last:
            tally.corrupt += 1
            continue
        last, until = start, start + lasts(frame)
        if start < limits.max_seconds:
            timed = Timed(frame, start, min(until, limits.max_seconds))
            tally.add(timed)
            yield timed
        if until > limits.max_seconds:
            tally.notes.append(
                f"longer than {limits.max_seconds:g} s: what follows is not read"
            )
            return


def clock(
    container: InputContainer, stream: Stream
) -> Callable[["Packet[Stream]"], Stamp | None]:
    """What tells when the frame of a packet begins and ends, before it is decoded; None if the
    packet does not say."""
    begin, tick, usual = (
        zero(container),
        stream.time_base or Fraction(0),
        _usual_duration(stream),
    )
    up, down, seconds = tick.numerator, tick.denominator, float(tick)

    def stamp(packet: "Packet[Stream]") -> Stamp | None:
        if packet.pts is None or not up:
            return None
        start = (
            packet.pts * up / down - begin
        )  # to the last digit the time that the decoded frame will have
        return Stamp(
            packet.pts, start, start + ((packet.duration or 0) * seconds or usual)
        )

    return stamp


def _frames(
    packets: Iterable["Packet[Stream]"], stream: Stream, tally: Tally
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
            tally.errors += 1
            gap.failed(packet)
            continue
        for frame in frames:
            if frame.is_corrupt or (gap.start < math.inf and gap.holds(frame)):
                tally.corrupt += 1
            else:
                yield frame


def demuxed(
    container: InputContainer, stream: Stream, tally: Tally
) -> Iterator["Packet[Stream]"]:
    """The packets of a track in the order of decoding; the last one is empty and lets out what
    the decoder holds."""
    try:
        for packet in container.demux(stream):
            tally.packets += bool(packet.size) and not packet.is_discard
            yield cast("Packet[Stream]", packet)
    except DECODER_ERRORS:
        tally.errors += 1


def _duration(stream: Stream) -> Callable[[Any], float]:
    usual, tick = _usual_duration(stream), float(stream.time_base or 0)
    if isinstance(stream, VideoStream):
        return lambda picture: picture.duration * tick or usual
    return lambda sound: sound.samples / sound.sample_rate


def _usual_duration(stream: Stream) -> float:
    rate = isinstance(stream, VideoStream) and (
        stream.average_rate or stream.guessed_rate
    )
    return float(1 / rate) if rate else 0.0

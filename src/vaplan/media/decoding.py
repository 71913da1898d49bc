"""Decoding one track in order, on the container's clock, with a tally of what could not be decoded."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TypeAlias, cast

import av
from av.audio.frame import AudioFrame
from av.container import InputContainer
from av.packet import Packet
from av.video.frame import VideoFrame

from vaplan.media.door import CODECS, DECODER_ERRORS, Kind, Limits, Stream, codec, track, tracks

LOST = 0.25  # seconds by which a track may end before it says: padding, a last frame of unknown duration

Frame: TypeAlias = VideoFrame | AudioFrame


@dataclass(frozen=True)
class Timed:
    """A decoded frame, and from when until when it lasts, in seconds from the container's start."""

    frame: Frame
    start: float
    until: float


@dataclass
class Tally:
    """What one track declares, what decoding it gave, and what it could not give."""

    kind: Kind
    exists: bool = False
    declared: float | None = None  # where the track says it ends, in seconds from the container's start
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

    def add(self, timed: Timed) -> None:
        """Count a frame."""
        self.begin = min(self.begin, timed.start) if self.frames else timed.start
        self.end = max(self.end, timed.until)
        self.played += timed.until - timed.start
        self.frames += 1

    def warnings(self) -> list[str]:
        """What is absent or was lost, in numbers."""
        said = list(self.notes)
        if self.errors:
            said.append(f"packets that cannot be decoded: {self.errors}")
        if self.corrupt:
            said.append(f"corrupt frames left out: {self.corrupt}")
        if 3 * self.frames < self.packets and self.kind == "video":  # two packets may hold one interlaced frame
            said.append(f"frames decoded of {self.packets} packets: {self.frames}")
        if self.declared is not None and self.declared - self.end > LOST:
            said.append(lost(self.end, self.declared))
        none = [] if self.exists else [f"no {self.kind}"]
        return none + [f"{self.kind}: {text}" for text in said]


def lost(decoded: float, declared: float) -> str:
    """Say how many seconds are missing at the end."""
    return f"{declared - decoded:.2f} s lost: declared {declared:.2f} s, decoded {decoded:.2f} s"


def zero(container: InputContainer) -> float:
    """The container's start, in seconds of its own clock: our time zero."""
    return (container.start_time or 0) / av.time_base


def tallied(container: InputContainer, kind: Kind, limits: Limits) -> tuple[Stream | None, Tally]:
    """The file's main track of a kind and a tally for it, with what the track declares."""
    stream, declared = track(container, kind), declared_end(container, kind)
    tally = Tally(kind, exists=stream is not None)
    if stream is None:
        others = {codec(t) or "unknown" for t in tracks(container, kind) if codec(t) not in CODECS}
        tally.notes += [f"codec {name} is not one vaplan decodes" for name in sorted(others)]
    if declared is not None and declared <= limits.max_seconds:
        tally.declared = declared
    return stream, tally


def declared_end(container: InputContainer, kind: Kind) -> float | None:
    """Where a track says it ends, in seconds from the container's start; Matroska's tracks say nothing."""
    stream = track(container, kind)
    if stream is None or not stream.duration or not stream.time_base:
        return None
    return float(((stream.start_time or 0) + stream.duration) * stream.time_base) - zero(container)


def declared_seconds(container: InputContainer) -> float | None:
    """Where the file says it ends: its longer track, or, if no track says anything, the file as a whole."""
    own = [end for end in (declared_end(container, "video"), declared_end(container, "audio")) if end is not None]
    if own or not container.duration:
        return max(own, default=None)
    return container.duration / av.time_base - max(zero(container), 0)  # Matroska and Flash count from their zero


def decoded(container: InputContainer, stream: Stream, tally: Tally, *, limits: Limits) -> Iterator[Timed]:
    """Decode a track in order on the container's clock, going on past what cannot be decoded.

    Corrupt frames, and frames that jump back in time, are counted and not given.
    """
    begin, last = zero(container), -math.inf
    for frame in _frames(container, stream, tally):
        start = tally.end if frame.time is None else frame.time - begin
        if start < last:
            tally.corrupt += 1
            continue
        if start > limits.max_seconds:
            tally.notes.append(f"longer than {limits.max_seconds:g} s: what follows is not read")
            return
        last, timed = start, Timed(frame, start, start + _duration(frame, stream))
        tally.add(timed)
        yield timed


@dataclass
class Gap:
    """Pictures that build on what is lost look whole, and no decoder says so.

    They do from a key frame that cannot be decoded, or from the second of several packets in a row, until
    the next key frame. After a single lost packet the decoder's concealment is good enough.
    """

    start: float = math.inf  # in the track's own stamps
    failures: int = 0

    def failed(self, packet: "Packet[Stream]") -> None:
        """Note a packet that cannot be decoded."""
        self.failures += 1
        if packet.pts is not None and (packet.is_keyframe or self.failures > 1):
            self.start = min(self.start, packet.pts)

    def holds(self, frame: Frame) -> bool:
        """Whether a frame builds on what is lost; a key frame ends the gap."""
        if not isinstance(frame, VideoFrame) or frame.pts is None or frame.pts < self.start:
            return False
        if frame.key_frame:
            self.start = math.inf
        return not frame.key_frame


def _frames(container: InputContainer, stream: Stream, tally: Tally) -> Iterator[Frame]:
    stream.codec_context.thread_type = "NONE"
    stream.codec_context.thread_count = 1
    gap = Gap()
    for packet in _packets(container, stream, tally):
        try:
            frames = cast(list[Frame], packet.decode())
            gap.failures = 0
        except EOFError:
            return
        except DECODER_ERRORS:
            tally.errors += 1
            gap.failed(packet)
            continue
        for frame in frames:
            if frame.is_corrupt or gap.holds(frame):
                tally.corrupt += 1
            else:
                yield frame


def _packets(container: InputContainer, stream: Stream, tally: Tally) -> Iterator["Packet[Stream]"]:
    try:
        for packet in container.demux(stream):
            tally.packets += bool(packet.size) and not packet.is_discard
            yield cast("Packet[Stream]", packet)
    except DECODER_ERRORS:
        tally.errors += 1


def _duration(frame: Frame, stream: Stream) -> float:
    if isinstance(frame, AudioFrame):
        return frame.samples / frame.sample_rate
    if frame.duration and frame.time_base:
        return float(frame.duration * frame.time_base)
    rate = stream.average_rate or stream.guessed_rate
    return float(1 / rate) if rate else 0.0

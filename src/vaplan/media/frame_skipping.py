"""Frame skipping: decode only the sampled frames and the frames that they refer to."""

from collections import deque
from collections.abc import Iterable, Iterator
from heapq import heappop, heappush
from itertools import chain

from av.container import InputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from vaplan.media import decoding
from vaplan.media.container import Limits, Stream, codec_name
from vaplan.media.decoding import (
    TICK,
    DecodeStats,
    FrameTime,
    TimedFrame,
    decode,
    demux,
    packet_clock,
)

# Decoders that can leave out frames and give all others unchanged.
EXACT_DECODERS = frozenset({"h264", "hevc"})
# Packets. A frame of H.264 and HEVC is displayed at most 16 frames, each of two fields, after
# it is decoded.
MAX_REORDERING = 32
# Packets that are held back until the next sampled frame, in a video without key frames.
MAX_HELD_BACK = 300
# Types of network abstraction layer units: ITU-T H.264 and H.265, each table 7-1.
H264_SLICES = range(1, 6)
H264_IDR = frozenset({5})
HEVC_SLICES = range(32)
HEVC_IDR = frozenset({19, 20})


class CannotSkip(Exception):
    """The same frames are not guaranteed with skipping: every frame must be decoded."""


def frames_at(
    container: InputContainer,
    stream: VideoStream,
    stats: DecodeStats,
    times: Iterable[float],
    *,
    limits: Limits,
) -> Iterator[tuple[float, TimedFrame | None]]:
    """Yield the same as `decoding.frames_at` of all frames, at a part of the cost.

    The time stamps of the packets tell which frames are sampled. The decoder must give each of
    them with that very time stamp. The statistics count time stamps.

    Args:
        container: Open file.
        stream: Track of the file.
        stats: Statistics of the track, which are updated.
        times: Sampling times in seconds, ascending.
        limits: Limits of the file's cost.

    Raises:
        CannotSkip: The codec does not allow it, or the file is damaged or unusual; raised
            before any doubtful frame.
    """
    if codec_name(stream) not in EXACT_DECODERS:
        raise CannotSkip
    selector = PacketSelector(container, stream, stats, limits)
    decode_stats = DecodeStats("video")
    packets = selector.packets(times)
    frames = decode(container, stream, decode_stats, limits=limits, packets=packets)
    expected = selector.expected
    last = None
    for timed in chain(frames, [None]):
        if stats.damaged or decode_stats.damaged or decode_stats.notes:
            raise CannotSkip
        while expected and _is_frame(last, expected[0][1]):
            time, frame_time = expected.popleft()
            yield time, last if frame_time else None
        if expected and _is_late(last, expected[0][1]):
            raise CannotSkip
        last = timed
    if expected:
        raise CannotSkip


def _is_frame(timed: TimedFrame | None, time: FrameTime | None) -> bool:
    """Return whether a frame is the expected one; no frame is expected without a time."""
    if timed is None or time is None:
        return time is None
    frame = timed.frame
    if not isinstance(frame, VideoFrame) or frame.interlaced_frame:
        return False  # one half of an interlaced frame may be left out
    return frame.pts == time.pts and abs(timed.end - time.end) < TICK


def _is_late(timed: TimedFrame | None, time: FrameTime | None) -> bool:
    """Return whether a frame comes at or after an expected frame that it is not."""
    if timed is None or time is None:
        return False
    return timed.frame.pts is None or timed.frame.pts >= time.pts


class PacketSelector:
    """Selects the packets of a track that are needed for the sampled frames.

    Args:
        container: Open file.
        stream: Track of the file.
        stats: Statistics of the track, which are updated.
        limits: Limits of the file's cost.

    Attributes:
        expected: Sampling times without an answer, each with the time of its frame.
    """

    def __init__(
        self,
        container: InputContainer,
        stream: VideoStream,
        stats: DecodeStats,
        limits: Limits,
    ) -> None:
        self.expected: deque[tuple[float, FrameTime | None]] = deque()
        self._container = container
        self._stream = stream
        self._stats = stats
        self._limits = limits
        self._sampled = set[int]()  # time stamps of sampled frames
        # Packets for which it is not known yet whether their frame is sampled.
        self._undecided: deque[Packet[Stream]] = deque()
        # Packets whose frame is not sampled; a later frame may refer to it.
        self._held_back: deque[Packet[Stream]] = deque()

    def packets(self, times: Iterable[float]) -> Iterator["Packet[Stream]"]:
        """Yield the needed packets in order of decoding.

        Packets between a sampled frame and the next IDR frame are not needed. For packets of
        other frames that are not sampled, the decoder skips frames without references.

        Args:
            times: Sampling times in seconds, ascending.
        """
        self._stream.codec_context.skip_frame = "NONREF"
        for time, frame_time in decoding.frames_at(self._frame_times(), times):
            self.expected.append((time, frame_time))
            if frame_time is None:
                continue
            self._sampled.add(frame_time.pts)
            while self._undecided and (self._undecided[0].pts or 0) <= frame_time.pts:
                yield from self._decide()

        while self._undecided:
            yield from self._decide()
        for packet in self._held_back:
            if not packet.size:  # an empty packet flushes the decoder
                yield packet

    def _decide(self) -> Iterator["Packet[Stream]"]:
        """Decide on the next packet: yield it after those that wait, or let it wait."""
        context = self._stream.codec_context
        packet = self._undecided.popleft()
        if packet.pts in self._sampled:
            self._sampled.remove(packet.pts)
            yield from self._held_back
            self._held_back.clear()
            context.skip_frame = "DEFAULT"
            yield packet
            context.skip_frame = "NONREF"
            return
        header = context.extradata or b""
        if packet.is_keyframe and is_idr(bytes(packet), context.name, header):
            self._held_back.clear()
        self._held_back.append(packet)
        if len(self._held_back) > MAX_HELD_BACK:
            yield self._held_back.popleft()

    def _frame_times(self) -> Iterator[FrameTime]:
        """Read packets into the queue and yield the times of their frames in order."""
        heap = list[FrameTime]()
        last = None
        time_of = packet_clock(self._container, self._stream)
        for packet in demux(self._container, self._stream, self._stats):
            self._undecided.append(packet)
            if packet.is_discard or not packet.size:
                continue
            time = time_of(packet)
            if time is None or time.end > self._limits.max_seconds:
                raise CannotSkip
            if last is not None and time < last:
                raise CannotSkip
            heappush(heap, time)
            if len(heap) > MAX_REORDERING:
                last = heappop(heap)
                self._stats.add(last)
                yield last
        while heap:
            self._stats.add(heap[0])
            yield heappop(heap)


def is_idr(packet: bytes, name: str, header: bytes) -> bool:
    """Return whether a frame is an IDR frame: no frame from it on refers to a frame before it.

    It is known only where each unit of a packet follows its length, as in MP4, Matroska and
    Flash.

    Args:
        packet: Content of the frame's packet.
        name: Name of the codec, `h264` or `hevc`.
        header: Header of the track, which has the size of the lengths.

    Source: ITU-T H.264 and H.265, each table 7-1, for the types of units; ISO/IEC 14496-15 for
    their lengths.
    """
    is_h264 = name == "h264"
    size_field = header[4:5] if is_h264 else header[21:22]
    if not size_field or header[0] != 1:
        return False
    length_size = 1 + (size_field[0] & 3)
    position = 0
    while position + length_size < len(packet):
        first_byte = packet[position + length_size]
        if is_h264:
            unit_type = first_byte & 31
            slices, idr = H264_SLICES, H264_IDR
        else:
            unit_type = first_byte >> 1 & 63
            slices, idr = HEVC_SLICES, HEVC_IDR
        if unit_type in slices:  # units before the first slice are parameters
            return unit_type in idr
        length = int.from_bytes(packet[position : position + length_size])
        position += length_size + length
    return False

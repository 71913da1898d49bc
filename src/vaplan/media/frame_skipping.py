"""The pictures at the sampling times, without decoding those that nobody sees and no other
picture builds on."""

from collections import deque
from collections.abc import Iterable, Iterator
from heapq import heappop, heappush
from itertools import chain

from av.container import InputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from vaplan.media.container import Limits, Stream, codec
from vaplan.media.decoding import (
    TICK,
    Stamp,
    Tally,
    Timed,
    clock,
    decoded,
    demuxed,
    on_screen,
)

EXACT = frozenset(
    {"h264", "hevc"}
)  # the decoders that leave out a picture and give the others unchanged
# packets; H.264 and HEVC show a picture at most 16 later than they decode it, each of
# two fields
REORDERED = 32
IDLE = 300  # packets that wait for the next picture asked for, of a film that never starts anew


class Unsure(Exception):
    """The same pictures cannot be promised: every frame must be decoded."""


def shown(
    container: InputContainer,
    stream: VideoStream,
    tally: Tally,
    times: Iterable[float],
    *,
    limits: Limits,
) -> Iterator[tuple[float, Timed | None]]:
    """What `on_screen` says of the decoded track, at a part of the cost.

    From the stamps of the packets it is known which pictures will be asked for. Each must come
    out of the decoder with that very stamp; the tally is of stamps.

    Raises: Unsure, before anything doubtful is given, where a codec cannot do it or anything is
    odd or damaged.
    """
    if codec(stream) not in EXACT:
        raise Unsure
    needs, found, last = Needs(container, stream, tally, limits), Tally("video"), None
    packets = needs.packets(times)
    for timed in chain(
        decoded(container, stream, found, limits=limits, packets=packets), [None]
    ):
        if tally.damaged or found.damaged or found.notes:
            raise Unsure
        while needs.expected and _same(last, needs.expected[0][1]):
            time, stamp = needs.expected.popleft()
            yield time, last if stamp else None
        if needs.expected and _late(last, needs.expected[0][1]):
            raise Unsure
        last = timed
    if needs.expected:
        raise Unsure


def _same(timed: Timed | None, stamp: Stamp | None) -> bool:
    if timed is None or stamp is None:
        return stamp is None
    whole = (
        isinstance(timed.frame, VideoFrame) and not timed.frame.interlaced_frame
    )  # else half of it may be left out
    return (
        whole and timed.frame.pts == stamp.pts and abs(timed.until - stamp.until) < TICK
    )


def _late(timed: Timed | None, stamp: Stamp | None) -> bool:
    return (
        timed is not None
        and stamp is not None
        and (timed.frame.pts is None or timed.frame.pts >= stamp.pts)
    )


class Needs:
    """The packets of a track that are needed for the pictures asked for.

    Attributes:
        expected: The sampling times that are not answered yet, each with the stamp of its picture.
    """

    def __init__(
        self,
        container: InputContainer,
        stream: VideoStream,
        tally: Tally,
        limits: Limits,
    ) -> None:
        self.expected: deque[tuple[float, Stamp | None]] = deque()
        self._container, self._stream, self._tally, self._limits = (
            container,
            stream,
            tally,
            limits,
        )
        self._wanted = set[int]()
        self._waiting: deque[Packet[Stream]] = (
            deque()
        )  # it is not known yet whether their pictures are asked for
        self._idle: deque[Packet[Stream]] = (
            deque()
        )  # not asked for, but what follows may build on them

    def packets(self, times: Iterable[float]) -> Iterator["Packet[Stream]"]:
        """The packets in order, without those between a picture asked for and the next from which
        all starts anew.

        Those of the other pictures come with the decoder told to leave them out if no other
        builds on them.
        """
        self._stream.codec_context.skip_frame = "NONREF"
        for time, stamp in on_screen(self._stamps(), times):
            self.expected.append((time, stamp))
            if stamp is not None:
                self._wanted.add(stamp.pts)
                while self._waiting and (self._waiting[0].pts or 0) <= stamp.pts:
                    yield from self._released()
        while self._waiting:
            yield from self._released()
        yield from (
            packet for packet in self._idle if not packet.size
        )  # it lets out what the decoder holds

    def _released(self) -> Iterator["Packet[Stream]"]:
        packet = self._waiting.popleft()
        if packet.pts in self._wanted:
            self._wanted.remove(packet.pts)
            yield from self._idle
            self._idle.clear()
            self._stream.codec_context.skip_frame = "DEFAULT"
            yield packet
            self._stream.codec_context.skip_frame = "NONREF"
            return
        context = self._stream.codec_context
        if packet.is_keyframe and starts_anew(
            bytes(packet), context.name, context.extradata or b""
        ):
            self._idle.clear()
        self._idle.append(packet)
        if len(self._idle) > IDLE:
            yield self._idle.popleft()

    def _stamps(self) -> Iterator[Stamp]:
        """Read packets, put them to those that wait, and yield their stamps sorted."""
        heap, last, stamped = list[Stamp](), None, clock(self._container, self._stream)
        for packet in demuxed(self._container, self._stream, self._tally):
            self._waiting.append(packet)
            if packet.is_discard or not packet.size:
                continue
            stamp = stamped(packet)
            if (
                stamp is None
                or stamp.until > self._limits.max_seconds
                or (last is not None and stamp < last)
            ):
                raise Unsure
            heappush(heap, stamp)
            if len(heap) > REORDERED:
                last = heappop(heap)
                self._tally.add(last)
                yield last
        while heap:
            self._tally.add(heap[0])
            yield heappop(heap)


def starts_anew(packet: bytes, name: str, header: bytes) -> bool:
    """Whether neither this picture nor one after it builds on one before: an IDR picture.

    Told only where each unit of a packet has its length before it, as in MP4, Matroska and Flash.

    Args:
        name: Of the codec, `h264` or `hevc`.
        header: The track's, which says how long the lengths are.

    Source: ITU-T H.264 and H.265, each table 7-1, for the types of units; ISO/IEC 14496-15 for
    their lengths.
    """
    older, position = name == "h264", 0
    lengths = header[4:5] if older else header[21:22]
    if not lengths or header[0] != 1:
        return False
    size = 1 + (lengths[0] & 3)
    while position + size < len(packet):
        unit = (
            packet[position + size] & 31 if older else packet[position + size] >> 1 & 63
        )
        if (
            1 <= unit <= 5 if older else unit < 32
        ):  # a part of the picture; before it come parameters
            return unit == 5 if older else unit in (19, 20)
        position += size + int.from_bytes(packet[position : position + size])
    return False

"""The pictures at the sampling times, without decoding those that nobody sees and no other picture builds on."""

from collections import deque
from collections.abc import Iterable, Iterator
from heapq import heappop, heappush

from av.container import InputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from vaplan.media.decoding import TICK, Stamp, Tally, Timed, decoded, demuxed, on_screen, stamped
from vaplan.media.door import Limits, Stream, codec

EXACT = frozenset({"h264", "hevc"})  # the decoders that leave out a picture and give the others unchanged
REORDERED = 32  # packets; H.264 and HEVC show a picture at most 16 later than they decode it, each of two fields


class Unsure(Exception):
    """The same pictures cannot be promised: every frame must be decoded."""


def shown(
    container: InputContainer, stream: VideoStream, tally: Tally, times: Iterable[float], *, limits: Limits
) -> Iterator[tuple[float, Timed | None]]:
    """What `on_screen` says of the decoded track, at a part of the cost.

    From the stamps of the packets it is known which pictures will be asked for. Each must come out of the decoder
    with that very stamp; the tally is of stamps.

    Raises: Unsure, before anything doubtful is given, where a codec cannot do it or anything is odd or damaged.
    """
    if codec(stream) not in EXACT:
        raise Unsure
    expected: deque[Stamp | None] = deque()
    needed = _needed(container, stream, tally, times, expected)
    found = Tally("video")
    for time, timed in on_screen(decoded(container, stream, found, limits=limits, packets=needed), times):
        if tally.damaged or found.damaged or not expected or not _same(timed, expected.popleft()):
            raise Unsure
        yield time, timed
    if tally.damaged or found.damaged or found.notes or expected:
        raise Unsure


def _same(timed: Timed | None, stamp: Stamp | None) -> bool:
    if timed is None or stamp is None:
        return timed is None and stamp is None
    whole = isinstance(timed.frame, VideoFrame) and not timed.frame.interlaced_frame  # else half of it may be left out
    return whole and timed.frame.pts == stamp.pts and abs(timed.until - stamp.until) < TICK


def _needed(
    container: InputContainer, stream: VideoStream, tally: Tally, times: Iterable[float], expected: deque[Stamp | None]
) -> Iterator["Packet[Stream]"]:
    """The packets in order, each as soon as it is known whether its picture will be asked for.

    Those of the other pictures come with the decoder told to leave them out if no other builds on them.
    """
    waiting: deque[Packet[Stream]] = deque()
    wanted = set[int]()

    def told() -> "Packet[Stream]":
        packet = waiting.popleft()
        stream.codec_context.skip_frame = "DEFAULT" if packet.pts in wanted else "NONREF"
        wanted.discard(packet.pts or 0)
        return packet

    for _, stamp in on_screen(_in_order_of_display(container, stream, tally, waiting), times):
        expected.append(stamp)
        if stamp is not None:
            wanted.add(stamp.pts)
            while waiting and (waiting[0].pts or 0) <= stamp.pts:
                yield told()
    while waiting:
        yield told()


def _in_order_of_display(
    container: InputContainer, stream: VideoStream, tally: Tally, waiting: "deque[Packet[Stream]]"
) -> Iterator[Stamp]:
    """Read packets, put them to those that wait, and yield their stamps sorted."""
    heap, last = list[Stamp](), None
    for packet in demuxed(container, stream, tally):
        waiting.append(packet)
        if packet.is_discard or not packet.size:
            continue
        stamp = stamped(container, stream, packet)
        if stamp is None or (last is not None and stamp < last):
            raise Unsure
        heappush(heap, stamp)
        if len(heap) > REORDERED:
            last = heappop(heap)
            tally.add(last)
            yield last
    while heap:
        tally.add(heap[0])
        yield heappop(heap)

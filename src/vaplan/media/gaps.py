"""Frames that depend on lost data, after a packet that cannot be decoded."""

import math
from dataclasses import dataclass
from typing import TypeAlias

from av.audio.frame import AudioFrame
from av.packet import Packet
from av.video.frame import VideoFrame

from vaplan.media.container import Stream

Frame: TypeAlias = VideoFrame | AudioFrame


@dataclass
class Gap:
    """The span in which frames depend on lost data.

    Decoders do not mark such frames as corrupt. A gap starts at a key frame that cannot be
    decoded, or at the second of several undecodable packets in a row, and ends at the next key
    frame. After a single lost packet the decoder's concealment is good enough.

    Attributes:
        start: Start of the gap as a time stamp of the track; infinity outside a gap.
        failures: Number of undecodable packets in a row.
    """

    start: float = math.inf
    failures: int = 0

    def add_failure(self, packet: "Packet[Stream]") -> None:
        """Count a packet that cannot be decoded.

        Args:
            packet: The packet.
        """
        self.failures += 1
        if packet.pts is not None and (packet.is_keyframe or self.failures > 1):
            self.start = min(self.start, packet.pts)

    def contains(self, frame: Frame) -> bool:
        """Return whether a frame depends on lost data. A key frame ends the gap.

        Args:
            frame: Decoded frame.
        """
        if not isinstance(frame, VideoFrame):
            return False
        if frame.pts is None or frame.pts < self.start:
            return False
        if frame.key_frame:
            self.start = math.inf
        return not frame.key_frame

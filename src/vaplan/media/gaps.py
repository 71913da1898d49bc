"""What is lost behind a packet that cannot be decoded."""

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
    """Pictures that build on what is lost look whole, and no decoder says so.

    They do from a key frame that cannot be decoded, or the second of several packets in a row,
    until the next key frame. After a single lost packet the decoder's concealment is good enough.
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
        if (
            not isinstance(frame, VideoFrame)
            or frame.pts is None
            or frame.pts < self.start
        ):
            return False
        if frame.key_frame:
            self.start = math.inf
        return not frame.key_frame

"""The visible frame at a time: decode and keep every frame, then look each time up."""

import bisect
from collections.abc import Iterable
from pathlib import Path

import av
import numpy as np


def on_screen(path: Path, times: Iterable[float]) -> list[np.ndarray | None]:
    """Return the visible frame at each time from the start of the container; None before the first one."""
    with av.open(str(path)) as container:
        zero = (container.start_time or 0) / av.time_base
        frames = list(container.decode(video=0))
    frames.sort(key=lambda frame: frame.time)
    starts = [frame.time - zero - 1e-6 for frame in frames]
    found = [bisect.bisect_right(starts, time) - 1 for time in times]
    pictures = [frames[i].to_ndarray(format="rgb24") if i >= 0 else None for i in found]
    return [
        None if p is None else np.rot90(p, frames[0].rotation // 90) for p in pictures
    ]


def ends(path: Path) -> tuple[float, float]:
    """Return the start of the first frame and the end of the last one."""
    with av.open(str(path)) as container:
        zero = (container.start_time or 0) / av.time_base
        frames = list(container.decode(video=0))
    last = max(frame.time + float(frame.duration * frame.time_base) for frame in frames)
    return min(frame.time for frame in frames) - zero, last - zero

"""Synthetic audio-visual data with a known truth, written as real media files.

`plan_clips` plans clips (classes, modalities and times), `plan_ave_clips` clips with one
audio-visual event each. `frames` and `waveform` render a clip in memory. `write` and `render`
write H.264 and AAC files; `render` adds the six-column tables.

A clip depends only on its seed, split and index; its frames and its audio depend only on the clip.
Without one of its events, the rest of a clip's frames and audio stays the same.
"""

from vaplan.synthetic.audio import RATE_HZ, waveform
from vaplan.synthetic.ave import plan_ave_clips
from vaplan.synthetic.camera import SIZE
from vaplan.synthetic.clips import TAXONOMY, Clip, plan_clips
from vaplan.synthetic.files import render, write
from vaplan.synthetic.video import FRAME_RATE_HZ, frames

__all__ = [
    "FRAME_RATE_HZ",
    "RATE_HZ",
    "SIZE",
    "TAXONOMY",
    "Clip",
    "frames",
    "plan_ave_clips",
    "plan_clips",
    "render",
    "waveform",
    "write",
]

"""A small audio-visual world with known truth: drawn sights, synthesised sounds, written as real media files.

`world` plans clips (who is heard and seen, and when), `ave_world` clips with one audio-visual event each. `frames`
and `waveform` render one in memory, `write` and `render` make H.264 and AAC files with the six-column tables beside
them. A clip is a pure function of its seed, split and index; what it looks and sounds like is a pure function of the
clip. Removing an event from a clip leaves the rest of its picture and sound as it was.
"""

from vaplan.synthetic.ave import ave_world
from vaplan.synthetic.camera import SIZE
from vaplan.synthetic.files import render, write
from vaplan.synthetic.scenery import FRAME_RATE_HZ, frames
from vaplan.synthetic.soundscape import RATE_HZ, waveform
from vaplan.synthetic.world import TAXONOMY, Clip, world

__all__ = [
    "FRAME_RATE_HZ",
    "RATE_HZ",
    "SIZE",
    "TAXONOMY",
    "Clip",
    "ave_world",
    "frames",
    "render",
    "waveform",
    "world",
    "write",
]

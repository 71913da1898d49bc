"""The small CLIP and CLAP that come with vaplan, trained on the classes of `vaplan.synthetic`."""

from pathlib import Path
from typing import Any

from vaplan.arrays import VISUAL
from vaplan.encoders import clap, clip
from vaplan.encoders.clap import ClapEncoder
from vaplan.encoders.clip import ClipEncoder
from vaplan.encoders.compute import PLAIN, Compute
from vaplan.errors import EncoderError

WEIGHTS = Path(__file__).parent / "weights"


def load(
    source: str, modality: int, *, frames_per_segment: int = 1, compute: Compute = PLAIN
) -> ClipEncoder | ClapEncoder:
    """Load the embedded CLIP or CLAP by the code that loads all others; see `Loader`.

    The models are so small that `auto` is the CPU and fp32, which gives the same features on
    every machine.

    Args:
        source: Empty.
        modality: AUDIO or VISUAL.
        frames_per_segment: Number of frames of a segment whose vectors are averaged.
        compute: Device and precision.

    Raises:
        EncoderError: A source is given.
    """
    if source:
        raise EncoderError(
            f"'embedded:{source}' names a source",
            fix="use embedded, or clip:… or clap:…",
        )
    settings: Any = {
        "frames_per_segment": frames_per_segment,
        "compute": compute.with_defaults(PLAIN),
        "name": "embedded",
    }
    if modality == VISUAL:
        return clip.load(str(WEIGHTS / "clip"), modality, **settings)
    return clap.load(str(WEIGHTS / "clap"), modality, **settings)

"""The two small encoders that vaplan contains.

They are trained on the classes of `vaplan.synthetic` and on nothing else.
"""

from pathlib import Path
from typing import Any

from vaplan.arrays import VISUAL
from vaplan.encoders import clap, clip
from vaplan.encoders.clap import ClapEncoder
from vaplan.encoders.clip import ClipEncoder
from vaplan.encoders.compute import CPU_FP32, Compute
from vaplan.errors import EncoderError

WEIGHTS = Path(__file__).parent / "weights"


def load(
    source: str,
    modality: int,
    *,
    frames_per_segment: int = 1,
    compute: Compute = CPU_FP32,
) -> ClipEncoder | ClapEncoder:
    """Load the CLIPModel or ClapModel of the package.

    Args:
        source: Empty; the embedded encoders have no source.
        modality: AUDIO for the ClapModel, VISUAL for the CLIPModel.
        frames_per_segment: Number of frames of a segment that are averaged.
        compute: Device and precision. `auto` is the CPU and fp32: the models are small, and
            these settings give the same features on every machine.

    Raises:
        EncoderError: A source is given.
    """
    if source:
        raise EncoderError(
            f"'embedded:{source}' names a source",
            fix="write embedded, or clip:… or clap:…",
        )
    settings: Any = {
        "frames_per_segment": frames_per_segment,
        "compute": compute.with_defaults(CPU_FP32),
        "name": "embedded",
    }
    if modality == VISUAL:
        return clip.load(str(WEIGHTS / "clip"), modality, **settings)
    return clap.load(str(WEIGHTS / "clap"), modality, **settings)

"""The two small encoders that ship with vaplan; they know the classes of `vaplan.synthetic` and
nothing else."""

from pathlib import Path
from typing import Any

from vaplan.arrays import VISUAL
from vaplan.encoders import clap, clip
from vaplan.encoders.clap import ClapEncoder
from vaplan.encoders.clip import ClipEncoder
from vaplan.encoders.compute import AUTO, PLAIN, Compute
from vaplan.errors import EncoderError

WEIGHTS = Path(__file__).parent / "weights"


def load(
    source: str, modality: int, *, frames_per_segment: int = 1, compute: Compute = PLAIN
) -> ClipEncoder | ClapEncoder:
    """The package's own CLIPModel or ClapModel, read by the same code as any other.

    They are so small that `auto` is the processor and fp32, which makes the same features on
    every machine.
    """
    if source:
        raise EncoderError(
            f"'embedded:{source}' names a source",
            fix="say embedded, or clip:… or clap:…",
        )
    device = PLAIN.device if compute.device == AUTO else compute.device
    compute = Compute(
        device, PLAIN.precision if compute.precision == AUTO else compute.precision
    )
    settings: Any = {
        "frames_per_segment": frames_per_segment,
        "compute": compute,
        "name": "embedded",
    }
    if modality == VISUAL:
        return clip.load(str(WEIGHTS / "clip"), modality, **settings)
    return clap.load(str(WEIGHTS / "clap"), modality, **settings)

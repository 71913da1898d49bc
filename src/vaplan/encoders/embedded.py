"""The two small encoders that ship with vaplan; they know the classes of `vaplan.synthetic` and nothing else."""

from pathlib import Path

from vaplan.arrays import VISUAL
from vaplan.encoders import clap, clip
from vaplan.encoders.clap import ClapEncoder
from vaplan.encoders.clip import ClipEncoder
from vaplan.errors import EncoderError

WEIGHTS = Path(__file__).parent / "weights"


def load(source: str, modality: int, *, frames_per_segment: int = 1) -> ClipEncoder | ClapEncoder:
    """The package's own CLIPModel or ClapModel, read by the same code as any other."""
    if source:
        raise EncoderError(f"'embedded:{source}' names a source", fix="say embedded, or clip:… or clap:…")
    if modality == VISUAL:
        return clip.load(str(WEIGHTS / "clip"), modality, frames_per_segment=frames_per_segment, name="embedded")
    return clap.load(str(WEIGHTS / "clap"), modality, frames_per_segment=frames_per_segment, name="embedded")

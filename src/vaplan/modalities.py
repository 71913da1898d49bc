"""The two modalities: their places on the axis of that name, their names, and both together.

Imports NumPy only, so that scores of tables need no torch.
"""

import numpy as np
from jaxtyping import Bool

AUDIO, VISUAL = 0, 1
MODALITIES = ("audio", "visual")  # the names, in index order


def audio_visual(
    grid: Bool[np.ndarray, "*video time modality class"],
) -> Bool[np.ndarray, "*video time class"]:
    """Mark the segments in which a class is both audible and visible."""
    return np.asarray(grid.all(axis=-2))

"""Names of published features, which are imported into a store and have no encoder."""

from typing import NoReturn

from vaplan.encoders.compute import Compute
from vaplan.errors import EncoderError


def load(
    source: str,
    modality: int,  # noqa: ARG001 - every encoder loader has these arguments
    *,
    frames_per_segment: int,  # noqa: ARG001
    compute: Compute,  # noqa: ARG001
) -> NoReturn:
    """Raise an error: imported features have no encoder for media or prompts.

    Args:
        source: Name of the imported features.
        modality: Not used.
        frames_per_segment: Not used.
        compute: Not used.

    Raises:
        EncoderError: Always.
    """
    raise EncoderError(
        f"legacy:{source} are imported features: no encoder computes them or "
        "compares them with sentences",
        fix="train and predict on the imported store; "
        "to label or parse media, use clip:… and clap:… or embedded",
    )

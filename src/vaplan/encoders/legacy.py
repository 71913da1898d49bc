"""Names for features that came as a published pack: they are read from a store, and no model here
makes them."""

from typing import NoReturn

from vaplan.encoders.compute import Compute
from vaplan.errors import EncoderError

KIND = "legacy"


def load(
    source: str,
    modality: int,  # noqa: ARG001 - every encoder loader has these arguments
    *,
    frames_per_segment: int,  # noqa: ARG001
    compute: Compute,  # noqa: ARG001
) -> NoReturn:
    """Say why there is nothing to load: an imported feature has no encoder, neither for media nor
    for sentences."""
    raise EncoderError(
        f"legacy:{source} are imported features: no encoder here makes them or "
        "compares them with sentences",
        fix="train and predict on the imported store; to label or parse media, use clip:… and "
        "clap:… or embedded",
    )

"""Decision rules of audio-visual video parsing: a segment threshold and a video-level gate.

A rule marks the segments whose probability reaches the segment threshold, in the videos
whose gate probability reaches the gate threshold. The gate of a video that is longer than a
window is that of the window around the segment.
"""

from collections.abc import Callable
from functools import partial

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from vaplan.arrays import AUDIO, MODALITIES, Prediction

Gate = Callable[[Prediction], Tensor]


def global_gate(prediction: Prediction) -> Float[Tensor, "video #time 1 class"]:
    """Return the probability of the video, the gate of HAN and VALOR."""
    return prediction.video_gate()[:, :, None]


def modality_gate(
    prediction: Prediction,
) -> Float[Tensor, "video #time modality class"]:
    """Return the probability of each modality, the gate of MA and JoMoLD."""
    return prediction.modality_gate()


def mixed_gate(
    prediction: Prediction,
) -> Float[Tensor, "video #time modality class"]:
    """Return MM-CSE's gate: the video's probability for audio, the modality's for visual."""
    is_audio = torch.tensor(
        [modality == AUDIO for modality in range(len(MODALITIES))],
        device=prediction.video.device,
    )
    return torch.where(
        is_audio[:, None], global_gate(prediction), modality_gate(prediction)
    )


def mark_segments(
    prediction: Prediction,
    *,
    gate: Gate | None,
    threshold: float = 0.5,
    segment_thresholds: Float[Tensor, "modality class"] | None = None,
) -> Bool[Tensor, "video time modality class"]:
    """Mark the segments that reach the segment threshold and the gate.

    Args:
        prediction: Probabilities of a parser.
        gate: Function that returns the gate's probabilities; None for no gate.
        threshold: Threshold of the gate, and of the segments unless they have their own.
        segment_thresholds: Thresholds of the segments per modality and class.
    """
    least: float | Tensor = (
        threshold if segment_thresholds is None else segment_thresholds
    )
    is_open = prediction.mask[..., None]
    if gate is not None:
        is_open = is_open & (gate(prediction) >= threshold)
    return (prediction.segment >= least) & is_open


GATED_RULES: dict[str, Callable[..., Bool[Tensor, "video time modality class"]]] = {
    "global_gate": partial(mark_segments, gate=global_gate),
    "modality_gate": partial(mark_segments, gate=modality_gate),
    "mixed_gate": partial(mark_segments, gate=mixed_gate),
    "segment": partial(mark_segments, gate=None),
}

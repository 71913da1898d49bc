"""PLG: pseudo label generation.

Source: Zhou et al. 2024, arXiv 2406.00919, pseudo label generation. The rule of VALOR
(Lai et al., NeurIPS 2023) is the same function with logits and thresholds for logits.
"""

from jaxtyping import Bool, Float
from torch import Tensor


def generate_pseudo_labels(
    evidence: Float[Tensor, "video time modality class"],
    weak_label: Bool[Tensor, "video class"],
    mask: Bool[Tensor, "video time modality"],
    *,
    threshold: Float[Tensor, "modality class"],
) -> Bool[Tensor, "video time modality class"]:
    """Mark the tagged classes whose evidence exceeds the threshold, segment by segment.

    No class outside the weak label is marked, and nothing in segments that do not exist:
    below a threshold under chance, an empty segment would be marked with every class.

    Args:
        evidence: Evidence for each class in each segment.
        weak_label: Tags of the videos.
        mask: Segments that exist.
        threshold: Threshold of each modality and class.

    Source: Zhou et al. 2024, arXiv 2406.00919, pseudo label generation.
    """
    is_above = evidence > threshold
    is_tagged = weak_label[:, None, None]
    exists = mask[..., None]
    return is_above & is_tagged & exists


def video_level(
    pseudo_label: Bool[Tensor, "video time modality class"],
) -> Bool[Tensor, "video modality class"]:
    """Mark the classes that occur in some segment of each modality."""
    return pseudo_label.any(dim=1)

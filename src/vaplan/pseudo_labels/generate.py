"""PLG: pseudo labels from an encoder that knows sentences, filtered by the weak label.

Source: Zhou et al. 2024, arXiv 2406.00919, pseudo label generation. The raw-logit rule of VALOR (Lai et al., NeurIPS
2023) is the same function, given similarities at the encoder's own scale and thresholds for them.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from vaplan.arrays import MODALITIES
from vaplan.errors import RecipeError, unknown

CHANCE_MULTIPLES = {
    "audio": 0.95,
    "visual": 1.025,
}  # of 1 / number of classes; .038 and .041 for LLP's 25
ThresholdSpec = Mapping[str, float | Sequence[float]]
Score = Callable[[Tensor, int], float]


def similarity(
    features: Float[Tensor, "*video time feature"],
    text: Float[Tensor, "class feature"],
    *,
    scale: float = 1.0,
) -> Float[Tensor, "*video time class"]:
    """Cosine of each segment with each class's prompt, times `scale`; both sides are L2-normalised already."""
    return scale * features @ text.T


def confidence(
    similarity: Float[Tensor, "*cells class"],
) -> Float[Tensor, "*cells class"]:
    """Softmax over classes; at scale 1 all values lie close to chance."""
    return similarity.softmax(dim=-1)


def logit(
    cosine: Float[Tensor, "*cells class"], *, scale: float
) -> Float[Tensor, "*cells class"]:
    """VALOR's evidence: the cosine at the encoder's own logit scale."""
    return scale * cosine


def _confidence_of(cosine: Tensor, *, scale: float) -> Tensor:  # noqa: ARG001 - PLG's scale is 1, whatever the encoder's
    return confidence(cosine)


STRATEGIES: dict[str, Callable[..., Tensor]] = {
    "confidence": _confidence_of,
    "logit": logit,
}


def evidence(
    cosine: Float[Tensor, "*cells class"],
    *,
    strategy: str = "confidence",
    scale: float = 1.0,
) -> Float[Tensor, "*cells class"]:
    """What is held against a threshold: PLG's softmax over classes, or VALOR's raw logit.

    Args:
        cosine: `similarity` at scale 1.
        scale: The encoder's own logit scale, about 100 for CLIP.
    """
    if strategy not in STRATEGIES:
        raise RecipeError(unknown("strategy", strategy, STRATEGIES))
    return STRATEGIES[strategy](cosine, scale=scale)


def thresholds(
    classes: int, spec: ThresholdSpec | None = None
) -> Float[Tensor, "modality class"]:
    """The confidence a label must exceed, per modality and class.

    Args:
        spec: Per modality, one value or one for each class; where absent, the paper's multiple of chance. That suits
            CLIP and CLAP at scale 1; for another encoder, or a single class, fit them with `choose_thresholds`.

    >>> thresholds(2, {"visual": [0.5, 0.75]})
    tensor([[0.4750, 0.4750],
            [0.5000, 0.7500]])
    """
    spec = spec or {}
    for name in spec:
        if name not in MODALITIES:
            raise RecipeError(unknown("modality", name, MODALITIES))
    rows = [
        _row(spec.get(name, CHANCE_MULTIPLES[name] / classes), classes)
        for name in MODALITIES
    ]
    return torch.stack(rows)


def generate_pseudo_labels(
    confidence: Float[Tensor, "video time modality class"],
    weak_label: Bool[Tensor, "video class"],
    mask: Bool[Tensor, "video time modality"],
    *,
    threshold: Float[Tensor, "modality class"],
) -> Bool[Tensor, "video time modality class"]:
    """Mark, segment by segment, the weak-label classes an encoder is confident of.

    No class outside the weak label is ever marked, and nothing where there was nothing to see or hear (with a
    threshold below chance, an empty segment would fire for every class).
    """
    return (confidence > threshold) & weak_label[:, None, None] & mask[..., None]


def video_level(
    pseudo_label: Bool[Tensor, "video time modality class"],
) -> Bool[Tensor, "video modality class"]:
    """Which classes occur somewhere in each modality."""
    return pseudo_label.any(dim=1)


def choose_thresholds(
    confidence: Float[Tensor, "video time modality class"],
    weak_label: Bool[Tensor, "video class"],
    mask: Bool[Tensor, "video time modality"],
    score: Score,
    *,
    candidates: int = 64,
) -> Float[Tensor, "modality class"]:
    """Fit one threshold per modality on a few densely labelled videos.

    Tried are evenly spaced quantiles of the confidences of tagged classes in segments that exist, from "everything
    tagged fires" up; the lowest of the best wins.

    Args:
        score: (pseudo labels Bool "video time modality class", modality) -> the number to make large, such as
            the segment-level F of that modality.
    """
    modalities, classes = confidence.shape[2:]
    chosen = torch.empty(modalities, 1)
    for m in range(modalities):
        tagged = confidence[:, :, m][mask[:, :, m, None] & weak_label[:, None]]
        if not len(tagged):
            raise RecipeError(
                f"no tagged {MODALITIES[m]} segment to fit a threshold on",
                fix="name thresholds",
            )
        scored = []
        for value in _candidates(tagged, candidates):
            labels = generate_pseudo_labels(
                confidence,
                weak_label,
                mask,
                threshold=value.expand(modalities, classes),
            )
            scored.append((score(labels, m), -float(value)))
        chosen[m] = -max(scored)[1]
    return chosen.repeat(1, classes)


def _candidates(
    tagged: Float[Tensor, " cell"], count: int
) -> Float[Tensor, " candidate"]:
    """Evenly spaced quantiles, the first one just low enough for every cell to fire."""
    quantiles = np.quantile(
        tagged.numpy(force=True), np.linspace(0, 1, count + 1)[:-1]
    ).astype(np.float32)
    quantiles[0] = np.nextafter(quantiles[0], np.float32(-np.inf))
    return torch.from_numpy(quantiles)


def _row(value: float | Sequence[float], classes: int) -> Float[Tensor, " class"]:
    row = torch.as_tensor(value, dtype=torch.float32)
    if row.ndim and len(row) != classes:
        raise RecipeError(
            f"{len(row)} thresholds for {classes} classes",
            fix="give one, or one for each class",
        )
    return row.expand(classes)

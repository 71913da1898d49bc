"""The losses restated cell by cell (Tian, Li, Xu, ECCV 2020; Zhou et al. 2024, arXiv 2406.00919)."""

import math

from vaplan.arrays import Prediction, Target


def bce(p: float, label: float) -> float:
    p = min(max(p, 1e-7), 1 - 2**-23)  # the float32 nearest to 1 - 1e-7
    return -(label * math.log(p) + (1 - label) * math.log(1 - p))


def mean(values: list[float]) -> float:
    return sum(values) / len(values) if values else 0.0


def video(prediction: Prediction, target: Target) -> float:
    videos = [v for v in range(len(target.weak)) if prediction.mask[v].any()]
    return mean(
        [
            mean([bce(float(p), float(y)) for p, y in zip(prediction.video[v], target.weak[v], strict=True)])
            for v in videos
        ]
    )


def over_modalities(prediction: Prediction, of_video) -> float:
    """Sum over modalities of the mean over the videos that have it of `of_video(v, m, existing segments)`."""
    videos, _, modalities = prediction.mask.shape
    total = 0.0
    for m in range(modalities):
        losses = []
        for v in range(videos):
            existing = [t for t in range(prediction.mask.shape[1]) if prediction.mask[v, t, m]]
            if existing:
                losses.append(of_video(v, m, existing))
        total += mean(losses)
    return total


def modality(prediction: Prediction, target: Target) -> float:
    def of_video(v, m, existing):
        label = [any(bool(target.pseudo[v, t, m, c]) for t in existing) for c in range(target.weak.shape[1])]
        return mean([bce(float(p), float(y)) for p, y in zip(prediction.modality[v, m], label, strict=True)])

    return over_modalities(prediction, of_video)


def modality_weak(prediction: Prediction, target: Target) -> float:
    def of_video(v, m, existing):
        label = [float(y) if m == 0 else 0.9 * float(y) + 0.05 for y in target.weak[v]]
        return mean([bce(float(p), y) for p, y in zip(prediction.modality[v, m], label, strict=True)])

    return over_modalities(prediction, of_video)


def segment(prediction: Prediction, target: Target) -> float:
    def of_video(v, m, existing):
        cells = [(t, c) for t in existing for c in range(target.weak.shape[1])]
        return mean([bce(float(prediction.segment[v, t, m, c]), float(target.pseudo[v, t, m, c])) for t, c in cells])

    return over_modalities(prediction, of_video)


def category_richness(prediction: Prediction, target: Target) -> float:
    def of_video(v, m, existing):
        classes = range(target.weak.shape[1])
        occurring = [c for c in classes if any(bool(target.pseudo[v, t, m, c]) for t in existing)]
        n = max(1, len(occurring))
        losses = []
        for t in existing:
            label = sum(float(target.pseudo[v, t, m, c]) for c in classes) / n
            losses.append(bce(sum(float(prediction.segment[v, t, m, c]) for c in occurring) / n, label))
        return mean(losses)

    return over_modalities(prediction, of_video)


def segment_richness(prediction: Prediction, target: Target) -> float:
    def of_video(v, m, existing):
        losses = []
        for c in range(target.weak.shape[1]):
            label = mean([float(target.pseudo[v, t, m, c]) for t in existing])
            losses.append(bce(mean([float(prediction.segment[v, t, m, c]) for t in existing]), label))
        return mean(losses)

    return over_modalities(prediction, of_video)

"""The losses restated cell by cell.

Source: Tian, Li, Xu, ECCV 2020; Zhou et al., arXiv 2406.00919; the contrasts of MA (CVPR 2021) and JoMoLD (ECCV 2022).
"""

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
            mean(
                [
                    bce(float(p), float(y))
                    for p, y in zip(prediction.video[v], target.weak[v], strict=True)
                ]
            )
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
            existing = [
                t for t in range(prediction.mask.shape[1]) if prediction.mask[v, t, m]
            ]
            if existing:
                losses.append(of_video(v, m, existing))
        total += mean(losses)
    return total


def modality(prediction: Prediction, target: Target) -> float:
    def of_video(v, m, existing):
        label = [
            any(bool(target.pseudo[v, t, m, c]) for t in existing)
            for c in range(target.weak.shape[1])
        ]
        return mean(
            [
                bce(float(p), float(y))
                for p, y in zip(prediction.modality[v, m], label, strict=True)
            ]
        )

    return over_modalities(prediction, of_video)


def modality_weak(prediction: Prediction, target: Target) -> float:
    def of_video(v, m, existing):
        label = [float(y) if m == 0 else 0.9 * float(y) + 0.05 for y in target.weak[v]]
        return mean(
            [
                bce(float(p), y)
                for p, y in zip(prediction.modality[v, m], label, strict=True)
            ]
        )

    return over_modalities(prediction, of_video)


def segment(prediction: Prediction, target: Target) -> float:
    def of_video(v, m, existing):
        cells = [(t, c) for t in existing for c in range(target.weak.shape[1])]
        return mean(
            [
                bce(
                    float(prediction.segment[v, t, m, c]),
                    float(target.pseudo[v, t, m, c]),
                )
                for t, c in cells
            ]
        )

    return over_modalities(prediction, of_video)


def category_richness(prediction: Prediction, target: Target) -> float:
    def of_video(v, m, existing):
        classes = range(target.weak.shape[1])
        occurring = [
            c for c in classes if any(bool(target.pseudo[v, t, m, c]) for t in existing)
        ]
        n = max(1, len(occurring))
        losses = []
        for t in existing:
            label = sum(float(target.pseudo[v, t, m, c]) for c in classes) / n
            losses.append(
                bce(
                    sum(float(prediction.segment[v, t, m, c]) for c in occurring) / n,
                    label,
                )
            )
        return mean(losses)

    return over_modalities(prediction, of_video)


def segment_richness(prediction: Prediction, target: Target) -> float:
    def of_video(v, m, existing):
        losses = []
        for c in range(target.weak.shape[1]):
            label = mean([float(target.pseudo[v, t, m, c]) for t in existing])
            losses.append(
                bce(
                    mean([float(prediction.segment[v, t, m, c]) for t in existing]),
                    label,
                )
            )
        return mean(losses)

    return over_modalities(prediction, of_video)


def segment_logit(prediction: Prediction, target: Target) -> float:
    def of_video(v, m, existing):
        losses = []
        for t in existing:
            for c in range(target.weak.shape[1]):
                x, y = (
                    float(prediction.logit[v, t, m, c]),
                    float(target.pseudo[v, t, m, c]),
                )
                losses.append(math.log1p(math.exp(-abs(x))) + max(x, 0) - x * y)
        return mean(losses)

    return over_modalities(prediction, of_video)


def contrastive_ma(prediction: Prediction, target: Target) -> float:
    def row(target_share, predicted):
        return -sum(
            q * math.log(p) for q, p in zip(target_share, predicted, strict=True)
        )

    return contrastive(prediction, prediction.vectors.projected, row)


def contrastive_jomold(prediction: Prediction, target: Target) -> float:
    def row(target_share, predicted):
        return -math.log(
            sum(q * p for q, p in zip(target_share, predicted, strict=True))
        )

    return contrastive(prediction, prediction.vectors.attended, row)


def contrastive(prediction: Prediction, seen, row) -> float:
    """Compute the mean over videos of the mean of `row` over segments; audio is post-attention in both."""
    losses = []
    for v in range(len(prediction.mask)):
        pairs = [
            t for t in range(prediction.mask.shape[1]) if prediction.mask[v, t].all()
        ]
        rows = []
        for t in pairs:
            similar = [
                math.exp(
                    cosine(prediction.vectors.attended[v, t, 0], seen[v, u, 1]) / 0.2
                )
                for u in pairs
            ]
            others = len(pairs) - 1
            target_share = [
                (0.9 if others else 1.0) if u == t else 0.1 / others for u in pairs
            ]
            rows.append(row(target_share, [s / sum(similar) for s in similar]))
        if rows:
            losses.append(mean(rows))
    return mean(losses)


def cosine(one, other) -> float:
    lengths = math.sqrt(sum(float(x) ** 2 for x in one)) * math.sqrt(
        sum(float(x) ** 2 for x in other)
    )
    return sum(float(x) * float(y) for x, y in zip(one, other, strict=True)) / lengths


def modality_smoothed(
    prediction: Prediction, target: Target, strength, balance, *, removed_is_zero: bool
) -> float:
    def of_video(v, m, existing):
        losses = []
        for c in range(target.weak.shape[1]):
            kept = any(bool(target.pseudo[v, t, m, c]) for t in existing)
            label = (1 - strength[m]) * kept + strength[m] / 2
            if removed_is_zero and target.weak[v, c] and not kept:
                label = 0.0
            losses.append(bce(float(prediction.modality[v, m, c]), label))
        return balance[m] * mean(losses)

    return over_modalities(prediction, of_video)

"""PLD restated event by event (Zhou et al. 2024, arXiv 2406.00919)."""

import math

import numpy as np


def flip(
    label, loss, weak, mask, *, keep, ratio, floor, modalities, keep_presence=False
) -> np.ndarray:
    flipped = label.numpy().copy()
    for v, m, c in np.ndindex(len(label), label.shape[2], label.shape[3]):
        existing = [t for t in range(label.shape[1]) if mask[v, t, m]]
        if not existing or m not in modalities or not weak[v, c]:
            continue
        kept = min(keep, max(1, len(existing) // 2))
        baseline = sum(sorted(float(loss[v, t, m, c]) for t in existing)[:kept]) / kept
        new = {t: bool(label[v, t, m, c]) for t in existing}
        for t in existing:
            suspicious = float(loss[v, t, m, c]) > ratio * baseline
            if suspicious and (not floor or float(loss[v, t, m, c]) > math.log(2)):
                new[t] = not new[t]
        had = any(label[v, t, m, c] for t in existing)
        if keep_presence and not (had and any(new.values())):
            continue
        for t in existing:
            flipped[v, t, m, c] = new[t]
    return flipped

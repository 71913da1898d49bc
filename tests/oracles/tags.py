"""MA's exchange and JoMoLD's removal restated tag by tag (CVPR 2021; ECCV 2022, arXiv 2204.11573)."""


def removed_by_exchange(weak, with_foreign_audio, with_foreign_visual, error):
    """Triples (video, modality, class) whose tag is taken away."""
    removed = set()
    for m, prediction in ((0, with_foreign_visual), (1, with_foreign_audio)):
        highest = max(float(e) for e in error[m])
        for v in range(len(weak)):
            for c in range(weak.shape[1]):
                rate = float(error[m, c]) / highest if highest else 0.0
                if (
                    weak[v, c]
                    and rate
                    and all(float(prediction[v, k, c]) / rate < 0.5 for k in (0, 1))
                ):
                    removed.add((v, m, c))
    return removed


def noisy_tags(loss, weak, ratios):
    """The same of a batch in which both modalities exist everywhere."""
    removed = set()
    for c in range(weak.shape[1]):
        tagged = [v for v in range(len(weak)) if weak[v, c]]
        for m in (0, 1):
            allowed = int(float(ratios[m, c]) * len(tagged))
            hardest = sorted(tagged, key=lambda v: -float(loss[v, m, c]))[:allowed]
            easiest = sorted(tagged, key=lambda v: float(loss[v, 1 - m, c]))[:allowed]
            removed |= {(v, m, c) for v in set(hardest) & set(easiest)}
    return removed

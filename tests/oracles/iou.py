"""Event counts at any IoU restated run by run, and the largest one-to-one matching by trying everything."""

from tests.oracles.llp import Row, one_video, runs


def iou(run: set[int], other: set[int]) -> float:
    return len(run & other) / len(run | other)


def event_counts(reference: Row, estimate: Row, min_iou: float) -> tuple[int, int, int]:
    """TP and FP of the estimate, FN of the reference."""
    theirs, ours = runs(reference), runs(estimate)
    tp = sum(any(iou(run, other) >= min_iou for other in theirs) for run in ours)
    fn = sum(not any(iou(run, other) >= min_iou for other in ours) for run in theirs)
    return tp, len(ours) - tp, fn


def paired_counts(
    reference: Row, estimate: Row, min_iou: float
) -> tuple[int, int, int]:
    theirs, ours = runs(reference), runs(estimate)
    tp = largest_matching(
        [[iou(run, other) >= min_iou for other in ours] for run in theirs]
    )
    return tp, len(ours) - tp, len(theirs) - tp


def largest_matching(
    fits: list[list[bool]], taken: frozenset[int] = frozenset()
) -> int:
    """The best of leaving the first run alone and of giving it any free partner."""
    if not fits:
        return 0
    free = [o for o, fit in enumerate(fits[0]) if fit and o not in taken]
    return max(
        [
            largest_matching(fits[1:], taken),
            *(1 + largest_matching(fits[1:], taken | {o}) for o in free),
        ]
    )


def iou_f(references, estimates, min_iou: float, count) -> dict[str, float]:
    """Event F at one threshold in percent; `count` is one of the two above."""
    scores = [
        one_video(r, e, lambda marked, estimated: count(marked, estimated, min_iou))
        for r, e in zip(references, estimates, strict=True)
    ]
    means = {
        kind: 100 * sum(s[kind] for s in scores) / len(scores) for kind in scores[0]
    }
    return means | {
        "type": (means["audio"] + means["visual"] + means["audio_visual"]) / 3
    }

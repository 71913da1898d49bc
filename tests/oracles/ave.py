"""AVE's accuracies restated segment by segment (Tian, Shi, Li, Duan, Xu, ECCV 2018)."""


def label(marked: list[bool], score: list[float]) -> int:
    """The first of the best marked classes of one segment; the number of classes is background."""
    best = len(marked)
    for c, here in enumerate(marked):
        if here and (best == len(marked) or score[c] > score[best]):
            best = c
    return best


def share(right: list[bool]) -> float:
    return 100 * sum(right) / len(right) if right else float("nan")


def accuracies(pairs: list[tuple[int, int]], background: int) -> dict[str, float]:
    """From the (reference, estimate) labels of all segments."""
    return {
        "accuracy": share([r == e for r, e in pairs]),
        "event_accuracy": share(
            [(r == background) == (e == background) for r, e in pairs]
        ),
        "foreground_accuracy": share([r == e for r, e in pairs if r != background]),
        "background_accuracy": share([r == e for r, e in pairs if r == background]),
    }

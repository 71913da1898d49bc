"""Confusions counted segment by segment and cell by cell."""

from fractions import Fraction

PRESENCE = {(False, False): 0, (True, False): 1, (False, True): 2, (True, True): 3}


def of_classes(
    segments: list[tuple[list[bool], list[bool]]], classes: int
) -> list[list[Fraction]]:
    """One modality, from the (reference, estimate) classes of every segment."""
    table = [[Fraction(0)] * (classes + 1) for _ in range(classes + 1)]
    for reference, estimate in segments:
        missed = [c for c in range(classes) if reference[c] and not estimate[c]]
        false = [c for c in range(classes) if estimate[c] and not reference[c]]
        for c in range(classes):
            table[c][c] += reference[c] and estimate[c]
        for c in missed:
            for other in false or [classes]:
                table[c][other] += Fraction(1, len(false) or 1)
        for other in false if not missed else []:
            table[classes][other] += 1
    return table


def of_modalities(
    cells: list[tuple[tuple[bool, bool], tuple[bool, bool]]],
) -> list[list[int]]:
    """From the (audio, visual) marks of reference and estimate in every cell."""
    table = [[0] * 4 for _ in range(4)]
    for reference, estimate in cells:
        table[PRESENCE[reference]][PRESENCE[estimate]] += 1
    return table

"""The ten LLP numbers restated in plain Python, video by video, class by class, run by run.

Source: Tian, Li, Xu, ECCV 2020, and the evaluation code published with it.
"""

Row = list[bool]


def runs(row: Row) -> list[set[int]]:
    found: list[set[int]] = []
    for t, marked in enumerate(row):
        if marked and t > 0 and row[t - 1]:
            found[-1].add(t)
        elif marked:
            found.append({t})
    return found


def segment_counts(reference: Row, estimate: Row) -> tuple[int, int, int]:
    pairs = list(zip(reference, estimate, strict=True))
    return (
        pairs.count((True, True)),
        pairs.count((False, True)),
        pairs.count((True, False)),
    )


def event_counts(reference: Row, estimate: Row) -> tuple[int, int, int]:
    def met(run: set[int], others: list[set[int]]) -> bool:
        return any(len(run & other) / len(run | other) >= 0.5 for other in others)

    theirs, ours = runs(reference), runs(estimate)
    tp = sum(met(run, theirs) for run in ours)
    return tp, len(ours) - tp, sum(not met(run, ours) for run in theirs)


def video_score(counts: list[tuple[int, int, int]]) -> float:
    """Compute the mean F over the marked classes; 1 without any."""
    f = [2 * tp / (2 * tp + fp + fn) for tp, fp, fn in counts if tp + fp + fn]
    return sum(f) / len(f) if f else 1.0


def one_video(reference, estimate, count) -> dict[str, float]:
    """Scores of one video from grids indexed [time][modality][class]."""
    classes = range(len(reference[0][0]))

    def row(grid, c: int, modalities: tuple[int, ...]) -> Row:
        return [all(bool(cell[m][c]) for m in modalities) for cell in grid]

    kinds = {"audio": (0,), "visual": (1,), "audio_visual": (0, 1)}
    counts = {
        kind: [
            count(row(reference, c, modalities), row(estimate, c, modalities))
            for c in classes
        ]
        for kind, modalities in kinds.items()
    }
    scores = {kind: video_score(counts[kind]) for kind in kinds}
    added = [
        tuple(map(sum, zip(a, v, strict=True)))
        for a, v in zip(counts["audio"], counts["visual"], strict=True)
    ]
    return scores | {"event": video_score(added)}


def llp(references, estimates) -> dict[str, dict[str, float]]:
    """The ten numbers in percent; each video a grid of its own length."""
    numbers = {}
    for level, count in (("segment", segment_counts), ("event", event_counts)):
        scores = [
            one_video(r, e, count) for r, e in zip(references, estimates, strict=True)
        ]
        means = {
            kind: 100 * sum(s[kind] for s in scores) / len(scores) for kind in scores[0]
        }
        means["type"] = (means["audio"] + means["visual"] + means["audio_visual"]) / 3
        numbers[level] = means
    return numbers

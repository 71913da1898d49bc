"""F of the pseudo labels that each way of choosing thresholds gives, against thresholds that know the dense truth.

    python benchmarks/bench_method.py                              # renders and encodes runs/bench-method
    python benchmarks/llp_like.py llp:DIR OUT
    python benchmarks/bench_thresholds.py runs/bench-method llp:DIR OUT

Writes benchmarks/results/thresholds.md. `val` and the oracles read dense labels, all else tags alone.
"""

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from vaplan import pseudo_labels, stages
from vaplan.annotations import Annotations
from vaplan.dataset import Dataset, Encoders
from vaplan.metrics.llp import LEVELS, label_f
from vaplan.pseudo_labels import Evidence
from vaplan.pseudo_labels.thresholds import (
    THRESHOLD_RULES,
    Thresholds,
    choose_thresholds,
)
from vaplan.stages.label import compute_dataset_evidence, smooth_evidence

RESULTS = Path(__file__).parent / "results" / "thresholds.md"
SPLITS = ("val", "test")
SMOOTH = (0.0, 0.5, 1.0)
COLUMNS = [
    f"{modality} {level}" for modality in ("audio", "visual") for level in LEVELS
]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("world", type=Path, help="the folder of bench_method.py")
    parser.add_argument("llp", help="LLP's annotation files, as llp:DIR")
    parser.add_argument("out", type=Path, help="the folder of llp_like.py")
    given = parser.parse_args()
    sentences = ((f"clap:{given.out / 'clap'}",), (f"clip:{given.out / 'clip'}",))
    worlds = {
        "the rendered world": (
            f"table:{given.world / 'world' / 'annotations.csv'}",
            given.world,
            EMBEDDED,
        ),
        "features like LLP's": (given.llp, given.out, sentences),
    }
    parts = [part(title, *world) for title, world in worlds.items()]
    RESULTS.write_text("\n\n".join([HEAD, *parts]) + "\n", encoding="utf-8")


EMBEDDED = (("embedded",), ("embedded",))
HEAD = """# Thresholds without dense labels

Made by `python benchmarks/bench_thresholds.py`. F of the pseudo labels in percent, val / test. An oracle takes, of 64
thresholds, the one with the best F on the very labels it is scored on: one for a modality, or one for every class.
`val` fits one a modality on split val; `mixture`, `false_positive_rate` and `chance` read no dense label."""


def part(title: str, data: str, folder: Path, names: Encoders) -> str:
    """The table of one data set."""
    lines = [f"| {' | '.join(['', *COLUMNS])} |", "|---|" + "---:|" * len(COLUMNS)]
    dataset = Dataset.with_features(stages.read_data(data), folder / "store", names)
    videos = dataset.annotations
    found = compute_dataset_evidence(dataset)
    for name in THRESHOLD_RULES:
        threshold, _ = choose_thresholds(found, rule=name)
        lines.append(
            row(name, [scores(found, videos, threshold, split) for split in SPLITS])
        )
    for width in SMOOTH[1:]:
        values = smooth_evidence(found.values, found.mask, width=width)
        smooth = replace(found, values=values)
        threshold, _ = choose_thresholds(smooth, rule="mixture")
        lines.append(
            row(
                f"mixture, smoothed by {width:g} s",
                [scores(smooth, videos, threshold, s) for s in SPLITS],
            )
        )
    for kind in ("a modality", "a class"):
        best = [
            scores(found, videos, oracle(found, videos, split, kind), split)
            for split in SPLITS
        ]
        lines.append(row(f"oracle, one {kind}", best))
    counts = {split: len(videos.dense_indices(split)) for split in SPLITS}
    about = f"## On {title}\n\n{counts['val']} val videos, {counts['test']} test videos; {calibration(found, videos)}"
    return "\n".join([about, "", *lines])


def row(name: str, found: list[list[float]]) -> str:
    cells = [f"{val:.1f} / {test:.1f}" for val, test in zip(*found, strict=True)]
    return f"| {' | '.join([name, *cells])} |"


def truth_of(
    data: Annotations, split: str, segments: int
) -> tuple[list[int], np.ndarray]:
    dense = data.dense_indices(split)
    videos = data.select_videos([data.ids[i] for i in dense])
    return dense, videos.reference(segments)


def cells_of(
    found: Evidence, videos: list[int]
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Evidence, tags and mask of some videos."""
    tags = found.weak_label[videos]
    return found.values.batch(videos), tags, found.mask.batch(videos)


def scores(
    found: Evidence, data: Annotations, threshold: Thresholds, split: str
) -> list[float]:
    """F of the labels above these thresholds, by modality and level."""
    those, reference = truth_of(data, split, found.values.lengths.longest)
    about = cells_of(found, those)
    f = label_f(
        reference,
        pseudo_labels.generate_pseudo_labels(*about, threshold=threshold).numpy(),
    )
    return [f[modality][level] for modality in f for level in LEVELS]


def oracle(found: Evidence, data: Annotations, split: str, kind: str) -> Thresholds:
    """Thresholds fitted on the very labels they are scored on."""
    those, reference = truth_of(data, split, found.values.lengths.longest)
    about = cells_of(found, those)
    if kind == "a modality":
        names = ("audio", "visual")
        return pseudo_labels.fit_thresholds_to_score(
            *about,
            lambda labels, m: label_f(reference, labels.numpy())[names[m]]["segment"],
        )
    return by_class(about, torch.from_numpy(reference))


def by_class(
    about: tuple[torch.Tensor, torch.Tensor, torch.Tensor], reference: torch.Tensor
) -> Thresholds:
    """The threshold of each class and modality with the best F over its segments."""
    values, weak_label, mask = about
    best, chosen = torch.full(values.shape[2:], -1.0), torch.zeros(values.shape[2:])
    tagged = torch.where(
        weak_label[:, None, None] & mask[..., None], values, torch.nan
    ).flatten(0, 1)
    for share in torch.linspace(0, 1, 65)[:-1].tolist():
        threshold = tagged.nanquantile(share, dim=0).nan_to_num(0.0) - 1e-7
        labels = pseudo_labels.generate_pseudo_labels(*about, threshold=threshold)
        f = (
            2
            * (labels & reference).sum((0, 1))
            / (labels.sum((0, 1)) + reference.sum((0, 1))).clamp(min=1)
        )
        chosen, best = torch.where(f > best, threshold, chosen), torch.maximum(f, best)
    return chosen


def calibration(found: Evidence, data: Annotations) -> str:
    """How far the mixture's probabilities are from the shares that are right, over ten bins of tagged test segments."""
    those, reference = truth_of(data, "test", found.values.lengths.longest)
    _, tags, mask = cells_of(found, those)
    tagged = tags[:, None, None] & mask[..., None]
    said = found.label_probability().batch(those)[tagged].numpy()
    right, bins = reference[tagged.numpy()], np.minimum((said * 10).astype(int), 9)
    error = sum(abs((said - right)[bins == b].sum()) for b in range(10)) / len(said)
    return f"calibration error of the mixture's probabilities on tagged test segments {100 * error:.1f} points."


if __name__ == "__main__":
    main()

"""Compare evidence and thresholds of zero-shot parsing, without tags or training, on synthetic videos.

python benchmarks/bench_zero_shot.py [--write]

Taxonomies of several sizes are random subsets of the synthetic classes, so videos also contain events of other classes.
"""

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool
from torch import Tensor

from vaplan import encoders, stages, synthetic
from vaplan.arrays import AUDIO, MODALITIES, VISUAL
from vaplan.dataset import read_inputs
from vaplan.taxonomy import Taxonomy
from vaplan.zero_shot import ZeroShotClassifier

RESULTS = Path(__file__).parent / "results" / "zero_shot.md"
VIDEOS, SIZES, DRAWS = 100, (1, 2, 4, 8, 16), 12
EMBEDDED = (("embedded",), ("embedded",))
MARGINS, LOGITS, SHARES = (3, 4, 5, 6, 7), (2, 3, 4, 5), (0.3, 0.5, 0.7, 0.9)
Rule = Callable[[Tensor], Tensor]


def f_score(
    reference: Bool[np.ndarray, "*cells"], marked: Bool[np.ndarray, "*cells"]
) -> float:
    """Compute the segment F in percent over all segments of all videos and classes."""
    return (
        200 * float((reference & marked).sum()) / max(1, reference.sum() + marked.sum())
    )


def rules() -> list[tuple[str, str, float, Rule]]:
    """Return name, strategy, threshold, and the function that is applied to the evidence first."""
    margins = [
        ("margin over background prompts", "margin", t, lambda e: e) for t in MARGINS
    ]
    logits = [("logit", "logit", t, lambda e: e) for t in LOGITS]
    shares = [
        ("softmax of logits over the classes", "logit", t, lambda e: e.softmax(dim=-1))
        for t in SHARES
    ]
    return [*margins, *logits, *shares]


def measure(folder: Path) -> dict[int, np.ndarray]:
    """Measure F by rule and modality for each size of a taxonomy, as means over random taxonomies."""
    table = synthetic.render(synthetic.plan_clips({"test": VIDEOS}, seed=5), folder)
    data = stages.read_data(f"table:{table}")
    stages.features(data, folder, folder / "store", encoders=EMBEDDED)
    inputs = read_inputs(folder / "store", EMBEDDED, data.ids)
    reference = data.labels(inputs.lengths)
    inputs = inputs.batch()
    reference = reference.reshape(*inputs.mask.shape, -1)
    mask = inputs.mask[..., None].numpy()
    loaded = [encoders.load("embedded", modality) for modality in (AUDIO, VISUAL)]
    rng, means = np.random.default_rng(0), dict[int, np.ndarray]()
    for size in SIZES:
        scores = []
        for _ in range(DRAWS if size < len(data.taxonomy) else 1):
            classes = np.sort(rng.choice(len(data.taxonomy), size, replace=False))
            taxonomy = Taxonomy(tuple(data.taxonomy.classes[c] for c in classes))
            evidence = {
                s: ZeroShotClassifier(taxonomy, loaded, strategy=s).evidence(inputs)
                for s in ("margin", "logit")
            }
            truth = reference[..., classes]
            marked = [
                (function(evidence[strategy]).numpy() > threshold) & mask
                for _, strategy, threshold, function in rules()
            ]
            scores.append(
                [
                    [f_score(truth[:, :, m], grid[:, :, m]) for m in (AUDIO, VISUAL)]
                    for grid in marked
                ]
            )
        means[size] = np.mean(scores, axis=0)
    return means


def report() -> str:
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        means = measure(Path(folder))
    rows = []
    for number, (name, _, threshold, _) in enumerate(rules()):
        cells = (
            f"{means[size][number, m]:.0f}" for m in (AUDIO, VISUAL) for size in SIZES
        )
        rows.append(f"| {name} | {threshold:g} | {' | '.join(cells)} |")
    heads = " | ".join(
        f"{modality} {size}" for modality in MODALITIES for size in SIZES
    )
    lines = [
        "# Zero-shot parsing: evidence and thresholds",
        "",
        f"{VIDEOS} synthetic videos with events of 16 classes, the embedded encoders, no tags. Segment F in percent by",
        f"modality and by the number of classes in the taxonomy, mean over {DRAWS} random taxonomies.",
        "",
        f"| evidence | threshold | {heads} |",
        f"|---|---:|{'---:|' * (2 * len(SIZES))}",
        *rows,
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--write",
        action="store_true",
        help=f"write the table to benchmarks/results/{RESULTS.name}",
    )
    write, text = parser.parse_args().write, report()
    print(text, end="")
    if write:
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()

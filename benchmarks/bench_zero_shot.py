"""Which rule marks classes best without tags or training, on the drawn world.

python benchmarks/bench_zero_shot.py [--write]

Taxonomies of several sizes are drawn from the world's classes, so that a video holds things that nobody asked for.
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
    """Segment F in percent, all segments of all videos and classes counted together."""
    return (
        200 * float((reference & marked).sum()) / max(1, reference.sum() + marked.sum())
    )


def rules() -> list[tuple[str, str, float, Rule]]:
    """Name, strategy, threshold, and what is done with the evidence first."""
    margins = [
        ("margin over everyday things", "margin", t, lambda e: e) for t in MARGINS
    ]
    logits = [("logit", "logit", t, lambda e: e) for t in LOGITS]
    shares = [
        ("softmax of logits over the classes", "logit", t, lambda e: e.softmax(dim=-1))
        for t in SHARES
    ]
    return [*margins, *logits, *shares]


def measure(folder: Path) -> dict[int, np.ndarray]:
    """By how many classes are asked for, F by rule and modality, the mean over draws of the classes."""
    table = synthetic.render(synthetic.plan_clips({"test": VIDEOS}, seed=5), folder)
    data = stages.read_data(f"table:{table}")
    stages.features(data, folder, folder / "store", encoders=EMBEDDED)
    inputs = read_inputs(folder / "store", EMBEDDED, data.ids)
    reference = data.labels(inputs.lengths)
    inputs = inputs.batch()
    reference = reference.reshape(*inputs.mask.shape, -1)
    mask = inputs.mask[..., None].numpy()
    loaded = [encoders.load("embedded", modality) for modality in (AUDIO, VISUAL)]
    rng, found = np.random.default_rng(0), dict[int, np.ndarray]()
    for size in SIZES:
        scores = []
        for _ in range(DRAWS if size < len(data.taxonomy) else 1):
            classes = np.sort(rng.choice(len(data.taxonomy), size, replace=False))
            asked = Taxonomy(tuple(data.taxonomy.classes[c] for c in classes))
            said = {
                s: ZeroShotClassifier(asked, loaded, strategy=s).evidence(inputs)
                for s in ("margin", "logit")
            }
            truth = reference[..., classes]
            marked = [
                (then(said[strategy]).numpy() > least) & mask
                for _, strategy, least, then in rules()
            ]
            scores.append(
                [
                    [f_score(truth[:, :, m], grid[:, :, m]) for m in (AUDIO, VISUAL)]
                    for grid in marked
                ]
            )
        found[size] = np.mean(scores, axis=0)
    return found


def report() -> str:
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        found = measure(Path(folder))
    rows = []
    for number, (name, _, least, _) in enumerate(rules()):
        cells = (
            f"{found[size][number, m]:.0f}" for m in (AUDIO, VISUAL) for size in SIZES
        )
        rows.append(f"| {name} | {least:g} | {' | '.join(cells)} |")
    heads = " | ".join(
        f"{modality} {size}" for modality in MODALITIES for size in SIZES
    )
    lines = [
        "# Zero-shot parsing: which evidence, and how much of it",
        "",
        f"{VIDEOS} videos of the drawn world, which has 16 classes, the embedded encoders, no tags. Segment F in",
        f"percent by modality and by how many classes are asked for, mean over {DRAWS} draws of them.",
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
        help=f"keep the table in benchmarks/results/{RESULTS.name}",
    )
    write, text = parser.parse_args().write, report()
    print(text, end="")
    if write:
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()

"""Compare evidence and thresholds of zero-shot parsing, without tags or training, on synthetic videos.

python benchmarks/bench_zero_shot.py [--write] [--folder DIR]

Taxonomies of several sizes are random subsets of the synthetic classes, so videos also contain events of other classes.
A second table compares one margin and one deviation from the background on the embedded encoders and on copies of them
with other scales.
"""

import argparse
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool
from torch import Tensor
from torch.nn import functional

from vaplan import encoders, stages, synthetic
from vaplan.arrays import AUDIO, MODALITIES, VISUAL, Inputs
from vaplan.dataset import read_inputs
from vaplan.pseudo_labels import DEVIATIONS
from vaplan.pseudo_labels import MARGINS as DEFAULT_MARGINS
from vaplan.taxonomy import Taxonomy
from vaplan.zero_shot import ZeroShotClassifier

RESULTS = Path(__file__).parent / "results" / "zero_shot.md"
VIDEOS, SIZES, DRAWS = 100, (1, 2, 4, 8, 16), 12
EMBEDDED = (("embedded",), ("embedded",))
MARGINS, LOGITS, SHARES = (3, 4, 5, 6, 7), (2, 3, 4, 5), (0.3, 0.5, 0.7, 0.9)
CANDIDATES = np.linspace(0.5, 0.999, 100)  # quantiles that are tried as thresholds
CONE = 1.5, 0.5  # length of a vector added to all features, and of one to all prompts
Rule = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Copy:
    """An encoder with another logit scale, and a vector added to all prompts."""

    encoder: encoders.Encoder
    factor: float
    shift: np.ndarray

    def __getattr__(self, name: str) -> Any:
        return getattr(self.encoder, name)

    @property
    def logit_scale(self) -> float:
        return self.factor * self.encoder.logit_scale

    def text(self, prompts: Sequence[str]) -> np.ndarray:
        vectors = self.encoder.text(prompts) + self.shift
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


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


def random_unit(size: int, seed: int) -> np.ndarray:
    vector = np.random.default_rng(seed).normal(size=size).astype(np.float32)
    return vector / np.linalg.norm(vector)


def copies(
    loaded: Sequence[encoders.Encoder], inputs: Inputs
) -> Iterator[tuple[str, list[Any], Inputs]]:
    """Yield copies of the encoders with their features of the videos."""
    none = np.zeros((), np.float32)
    for name, factor in {
        "embedded": 1.0,
        "logit scale x 0.5": 0.5,
        "logit scale x 2": 2.0,
    }.items():
        yield name, [Copy(encoder, factor, none) for encoder in loaded], inputs
    moved, streams = [], []
    for modality, encoder in enumerate(loaded):
        features = inputs.streams[modality][0]
        added = torch.from_numpy(random_unit(encoder.dimension, modality))
        exists = inputs.mask[..., modality, None]
        narrow = functional.normalize(features + CONE[0] * added, dim=-1)
        streams.append((narrow * exists,))
        shift = CONE[1] * random_unit(encoder.dimension, 2 + modality)
        moved.append(Copy(encoder, 1.0, shift))
    yield "all vectors nearer to each other", moved, Inputs(tuple(streams), inputs.mask)


def copy_rows(
    loaded: Sequence[encoders.Encoder],
    inputs: Inputs,
    reference: np.ndarray,
    taxonomy: Taxonomy,
) -> Iterator[str]:
    """Yield rows with F of the default thresholds and of the best ones, for each copy."""
    mask = inputs.mask.numpy()
    for name, models, features in copies(loaded, inputs):
        for unit, defaults in (("margin", DEFAULT_MARGINS), ("deviation", DEVIATIONS)):
            classifier = ZeroShotClassifier(taxonomy, models)
            if unit == "deviation":
                classifier.background = classifier.fit_background(features)
            evidence = classifier.evidence(features).numpy()
            cells = []
            for m, modality in enumerate(MODALITIES):
                values, truth = evidence[:, :, m], reference[:, :, m]
                is_there = mask[:, :, m]
                values, truth = values[is_there], truth[is_there]
                fixed = f_score(truth, values > defaults[modality])
                thresholds = np.quantile(values, CANDIDATES)
                best = max(f_score(truth, values > t) for t in thresholds)
                cells.append(f"{fixed:.0f} | {best:.0f}")
            threshold = f"{defaults[MODALITIES[0]]:g}"
            yield f"| {name} | {unit} | {threshold} | {' | '.join(cells)} |"


def measure(folder: Path) -> tuple[dict[int, np.ndarray], list[str]]:
    """Measure the F of each rule, and the rows of the copies.

    F is by rule and modality for each size of a taxonomy, as means over random taxonomies.
    """
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
    return means, [*copy_rows(loaded, inputs, reference, data.taxonomy)]


def report(given: Path | None) -> str:
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        means, rows_of_copies = measure(given or Path(folder))
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
        "",
        "The same videos and all 16 classes, with the embedded encoders and copies of them: with half or twice the",
        "logit scale, and with a vector added to all features and another to all prompts, as in models whose cosines",
        "are all high. A deviation is the margin in standard deviations from the background, fitted on the same videos",
        "without labels. F of the default threshold, which is the same for all copies, and of the best of each copy.",
        "",
        "| encoders | evidence | threshold | audio | audio, best | visual | visual, best |",
        "|---|---|---:|---:|---:|---:|---:|",
        *rows_of_copies,
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--write",
        action="store_true",
        help=f"write the table to benchmarks/results/{RESULTS.name}",
    )
    parser.add_argument(
        "--folder", type=Path, help="folder of the videos; missing ones are rendered"
    )
    options = parser.parse_args()
    text = report(options.folder)
    print(text, end="")
    if options.write:
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()

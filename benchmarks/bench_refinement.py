"""What a trained parser makes of the pseudo labels, by PLD and by the posterior of encoder and parser.

    python benchmarks/llp_like.py llp:DIR OUT
    python benchmarks/bench_refinement.py llp:DIR OUT      # minutes on one core

Writes benchmarks/results/refinement.md. Labels by `mixture`, parsers by PLE on the legacy features, one seed.
"""

import argparse
from pathlib import Path

import torch
from torch import Tensor

from vaplan import pseudo_labels, recipe, runs, stages, training
from vaplan.annotations import read_table
from vaplan.arrays import MODALITIES, Inputs, Prediction, Target
from vaplan.metrics.llp import LEVELS, label_f
from vaplan.pseudo_labels import Denoising, flip_suspicious, forward_loss, fuse, given_tags
from vaplan.stages.data import read_inputs
from vaplan.stages.evidence import gather
from vaplan.stages.folds import cross_predict

RESULTS = Path(__file__).parent / "results" / "refinement.md"
LEGACY = (("legacy:vggish",), ("legacy:res152", "legacy:r2plus1d_18"))
CHANGES = ["model.settings={hidden: 256, feedforward: 256}", "training.epochs=12", "training.precision=bf16"]
FOLDS = 2
COLUMNS = [f"{modality} {level}" for modality in MODALITIES for level in LEVELS]
HEAD = """# Refined pseudo labels

Made by `python benchmarks/bench_refinement.py`: F in percent of the pseudo labels of the 2,500 simulated training
videos against the truth that was hidden from every stage, how many labels changed, and the share of these that were
changed rightly. One seed."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", help="LLP's annotation files, as llp:DIR")
    parser.add_argument("out", type=Path, help="the folder of llp_like.py")
    given = parser.parse_args()
    torch.set_num_threads(1)
    names = ((f"clap:{given.out / 'clap'}",), (f"clip:{given.out / 'clip'}",))
    found = gather(stages.read_data(given.data).select("train"), given.out / "store", names=names)
    data, inputs = found.data, read_inputs(given.out / "store", LEGACY, found.data.ids)
    truth = (
        read_table(given.out / "truth.csv", taxonomy=data.taxonomy).ordered(data.ids).reference(inputs.mask.shape[1])
    )
    first, threshold = found.mixture().probability(found.values), found.mixture().thresholds()
    about = found.weak_label, found.mask
    labels = pseudo_labels.generate_pseudo_labels(found.values, *about, threshold=threshold)
    lines = [f"| {' | '.join(['labels', *COLUMNS, 'changed', 'rightly'])} |", "|---|" + "---:|" * (len(COLUMNS) + 2)]
    lines.append(row("PLG", labels, labels, torch.from_numpy(truth)))
    for spoken, said in witnesses(inputs, Target(found.weak_label, labels)).items():
        for name, after in refined(first, labels, said, about).items():
            lines.append(row(f"{name}, {spoken}", labels, after, torch.from_numpy(truth)))
    RESULTS.write_text("\n".join([HEAD, "", *lines]) + "\n", encoding="utf-8")


def witnesses(inputs: Inputs, target: Target) -> dict[str, Prediction]:
    """The parser on its own training videos, and parsers on videos that they have not seen."""
    how = recipe.read("ple", changes=CHANGES)
    audio, visual = (tuple(stream.shape[-1] for stream in streams) for streams in inputs.streams)
    model = runs.make_model(how, feature_sizes=(audio, visual), classes=target.weak.shape[1])
    training.fit(model, inputs, target, settings=how.training, losses=how.losses)
    own = training.predict(model, inputs)
    return {"own videos": own, f"{FOLDS} folds": cross_predict(how, inputs, target, folds=FOLDS)}


def refined(first: Tensor, labels: Tensor, said: Prediction, about: tuple[Tensor, Tensor]) -> dict[str, Tensor]:
    """The labels by each rule."""
    parser = given_tags(said)
    possible = about[0][:, None, None] & about[1][..., None]
    both = Denoising(modalities=MODALITIES)
    found = {"PLD": flip_suspicious(labels, forward_loss(parser, labels), *about, both)}
    found["parser alone"] = (parser > 0.5) & possible
    return found | {f"posterior, trust {t:g}": fuse(first, parser, *about, trust=t) > 0.5 for t in (0.5, 1.0, 2.0)}


def row(name: str, before: Tensor, after: Tensor, truth: Tensor) -> str:
    f, changed = label_f(truth.numpy(), after.numpy()), before ^ after
    right = f"{100 * float((changed & (after == truth)).sum() / changed.sum()):.0f} %" if changed.any() else "–"
    cells = [f"{f[modality][level]:.1f}" for modality in f for level in LEVELS]
    return f"| {' | '.join([name, *cells, str(int(changed.sum())), right])} |"


if __name__ == "__main__":
    main()

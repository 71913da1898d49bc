"""What a trained parser makes of the pseudo labels, by PLD and by the encoder and parser together.

    python benchmarks/llp_like.py llp:DIR OUT
    python benchmarks/bench_refinement.py llp:DIR OUT      # minutes on one core

Writes benchmarks/results/refinement.md. Labels by `mixture`, parsers by PLE on the legacy features, one seed.
"""

import argparse
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from vaplan import recipe, runs, stages, training
from vaplan.annotations import read_table
from vaplan.arrays import MODALITIES, Inputs, Prediction, Target
from vaplan.dataset import Dataset, dense_labels, read_inputs
from vaplan.metrics.llp import LEVELS, label_f
from vaplan.pseudo_labels import (
    Denoising,
    Sources,
    fit_stacking,
    flip_suspicious,
    forward_loss,
)
from vaplan.ragged import Ragged, map_fields
from vaplan.stages.label import compute_dataset_evidence
from vaplan.training.cross_fitting import predict_out_of_fold

RESULTS = Path(__file__).parent / "results" / "refinement.md"
LEGACY = (("legacy:vggish",), ("legacy:res152", "legacy:r2plus1d_18"))
CHANGES = [
    "model.settings={hidden: 256, feedforward: 256}",
    "training.epochs=12",
    "training.precision=bf16",
]
FOLDS, OWN = 2, "own videos"
COLUMNS = [f"{modality} {level}" for modality in MODALITIES for level in LEVELS]
HEAD = """# Refined pseudo labels

Made by `python benchmarks/bench_refinement.py`: F in percent of the pseudo labels of the 2,500 simulated training
videos against the truth that was hidden from every stage, how many labels changed, and the share of these that were
changed rightly. The stack is fitted on the densely labelled videos of split val. One seed."""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", help="LLP's annotation files, as llp:DIR")
    parser.add_argument("out", type=Path, help="the folder of llp_like.py")
    given = parser.parse_args()
    torch.set_num_threads(1)
    names = ((f"clap:{given.out / 'clap'}",), (f"clip:{given.out / 'clip'}",))
    everything = stages.read_data(given.data)
    chosen = [
        video.video for video in everything.videos if video.split in ("train", "val")
    ]
    dataset = Dataset.with_features(
        everything.select_videos(chosen), given.out / "store", names
    )
    found = compute_dataset_evidence(dataset)
    data = dataset.annotations
    inputs = read_inputs(given.out / "store", LEGACY, data.ids)
    hidden = read_table(given.out / "truth.csv", taxonomy=data.taxonomy)
    known = replace(data, events={**data.events, **hidden.events})
    truth = dense_labels(known, inputs.lengths).batch()
    learned = torch.tensor([video.split == "train" for video in data.videos])
    first = found.label_probability().batch()
    about = found.weak_label, found.mask.batch()
    labels = found.generate(found.mixture().thresholds()).batch()
    shown = labels[learned], truth[learned]
    lines = [
        f"| {' | '.join(['labels', *COLUMNS, 'changed', 'rightly'])} |",
        "|---|" + "---:|" * (len(COLUMNS) + 2),
    ]
    lines.append(row("PLG", labels[learned], *shown))
    for spoken, said in sources(
        inputs, Target(found.weak_label, labels), learned
    ).items():
        for name, after in refined(first, labels, said, about).items():
            lines.append(row(f"{name}, {spoken}", after[learned], *shown))
        if spoken != OWN:
            val = Sources(first[~learned], said[~learned], found.weak_label[~learned])
            stack = fit_stacking([(val, truth[~learned])])
            after = stack.probability(Sources(first, said, found.weak_label)) > 0.5
            lines.append(row(f"stacked, {spoken}", after[learned], *shown))
    RESULTS.write_text("\n".join([HEAD, "", *lines]) + "\n", encoding="utf-8")


def sources(
    inputs: Ragged[Inputs], target: Target, learned: Tensor
) -> dict[str, Prediction]:
    """The parser on its own training videos, and parsers on videos that they have not seen."""
    how = recipe.read("ple", changes=CHANGES)
    model = runs.make_model(
        how, feature_sizes=inputs.values.feature_sizes, classes=target.weak.shape[1]
    )
    training.fit(
        model,
        inputs[learned],
        target[learned],
        settings=how.training,
        losses=how.losses,
    )
    found = {OWN: training.predict(model, inputs).batch()}
    for length in (1.0, 0.5):
        spoken = f"{FOLDS} folds" + (", half of the epochs" if length < 1 else "")
        found[spoken] = predict_out_of_fold(
            partial(
                runs.make_model,
                how,
                feature_sizes=inputs.values.feature_sizes,
                classes=target.weak.shape[1],
            ),
            inputs,
            Ragged(map_fields(target, inputs.lengths.flatten), inputs.lengths),
            settings=how.training,
            losses=how.losses,
            folds=FOLDS,
            is_training_video=learned,
            epoch_share=length,
        ).batch()
    return found


def refined(
    first: Tensor, labels: Tensor, said: Prediction, about: tuple[Tensor, Tensor]
) -> dict[str, Tensor]:
    """The labels by each rule."""
    parser = condition_on_tags(said)
    possible = about[0][:, None, None] & about[1][..., None]
    both = Denoising(modalities=MODALITIES)
    found = {"PLD": flip_suspicious(labels, forward_loss(parser, labels), *about, both)}
    found["parser alone"] = (parser > 0.5) & possible
    return found | {
        f"fusion, parser weight {t:g}": fuse_log_odds(
            first, parser, *about, parser_weight=t
        )
        > 0.5
        for t in (0.5, 1.0, 2.0)
    }


def row(name: str, after: Tensor, before: Tensor, truth: Tensor) -> str:
    f, changed = label_f(truth.numpy(), after.numpy()), before ^ after
    right = (
        f"{100 * float((changed & (after == truth)).sum() / changed.sum()):.0f} %"
        if changed.any()
        else "–"
    )
    cells = [f"{f[modality][level]:.1f}" for modality in f for level in LEVELS]
    return f"| {' | '.join([name, *cells, str(int(changed.sum())), right])} |"


if __name__ == "__main__":
    main()

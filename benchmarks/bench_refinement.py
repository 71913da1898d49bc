"""Compare pseudo labels denoised by PLD and refined by the encoder and the parser together.

    python benchmarks/llp_like.py llp:DIR OUT
    python benchmarks/bench_refinement.py llp:DIR OUT      # minutes on one core

Writes benchmarks/results/refinement.md. The labels come from the rule `mixture`; the parsers are trained with PLE on
the legacy features. One seed.
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
    condition_on_tags,
    fit_stacking,
    flip_suspicious,
    forward_loss,
    fuse_log_odds,
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
videos against the truth, which no stage reads; number of changed labels; share of these changes that are right.
`stacking` is fitted on the densely labelled videos of split val. "Own videos" means predictions of the videos that
the parser was trained on, "2 folds" out-of-fold predictions. One seed."""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", help="LLP's annotation files, as llp:DIR")
    parser.add_argument("out", type=Path, help="folder written by llp_like.py")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    out = arguments.out
    names = ((f"clap:{out / 'clap'}",), (f"clip:{out / 'clip'}",))
    everything = stages.read_data(arguments.data)
    chosen = [
        video.video for video in everything.videos if video.split in ("train", "val")
    ]
    dataset = Dataset.with_features(
        everything.select_videos(chosen), out / "store", names
    )
    evidence = compute_dataset_evidence(dataset)
    data = dataset.annotations
    inputs = read_inputs(out / "store", LEGACY, data.ids)
    hidden = read_table(out / "truth.csv", taxonomy=data.taxonomy)
    known = replace(data, events={**data.events, **hidden.events})
    truth = dense_labels(known, inputs.lengths).batch()
    is_training = torch.tensor([video.split == "train" for video in data.videos])
    encoder = evidence.label_probability().batch()
    tags_and_mask = evidence.weak_label, evidence.mask.batch()
    labels = evidence.generate(evidence.mixture().thresholds()).batch()
    reference = labels[is_training], truth[is_training]
    lines = [
        f"| {' | '.join(['labels', *COLUMNS, 'changed', 'right'])} |",
        "|---|" + "---:|" * (len(COLUMNS) + 2),
    ]
    lines.append(row("PLG", labels[is_training], *reference))
    target = Target(evidence.weak_label, labels)
    for title, prediction in parser_predictions(inputs, target, is_training).items():
        for name, after in refine(encoder, labels, prediction, tags_and_mask).items():
            lines.append(row(f"{name}, {title}", after[is_training], *reference))
        if title != OWN:
            tags = evidence.weak_label
            val = Sources(
                encoder[~is_training], prediction[~is_training], tags[~is_training]
            )
            model = fit_stacking([(val, truth[~is_training])])
            after = model.probability(Sources(encoder, prediction, tags)) > 0.5
            lines.append(row(f"stacking, {title}", after[is_training], *reference))
    RESULTS.write_text("\n".join([HEAD, "", *lines]) + "\n", encoding="utf-8")


def parser_predictions(
    inputs: Ragged[Inputs], target: Target, is_training: Tensor
) -> dict[str, Prediction]:
    """Predict with a parser of all training videos, and out of fold."""
    settings = recipe.read("ple", changes=CHANGES)
    model = runs.make_model(
        settings,
        feature_sizes=inputs.values.feature_sizes,
        classes=target.weak.shape[1],
    )
    training.fit(
        model,
        inputs[is_training],
        target[is_training],
        settings=settings.training,
        losses=settings.losses,
    )
    predictions = {OWN: training.predict(model, inputs).batch()}
    for epoch_share in (1.0, 0.5):
        title = f"{FOLDS} folds" + (", half of the epochs" if epoch_share < 1 else "")
        predictions[title] = predict_out_of_fold(
            partial(
                runs.make_model,
                settings,
                feature_sizes=inputs.values.feature_sizes,
                classes=target.weak.shape[1],
            ),
            inputs,
            Ragged(map_fields(target, inputs.lengths.flatten), inputs.lengths),
            settings=settings.training,
            losses=settings.losses,
            folds=FOLDS,
            is_training_video=is_training,
            epoch_share=epoch_share,
        ).batch()
    return predictions


def refine(
    encoder: Tensor,
    labels: Tensor,
    prediction: Prediction,
    tags_and_mask: tuple[Tensor, Tensor],
) -> dict[str, Tensor]:
    """Denoise and refine labels by each rule that needs no dense labels."""
    parser = condition_on_tags(prediction)
    tags, mask = tags_and_mask
    possible = tags[:, None, None] & mask[..., None]
    both = Denoising(modalities=MODALITIES)
    loss = forward_loss(parser, labels)
    results = {"PLD": flip_suspicious(labels, loss, tags, mask, both)}
    results["parser alone"] = (parser > 0.5) & possible
    for weight in (0.5, 1.0, 2.0):
        fused = fuse_log_odds(encoder, parser, tags, mask, parser_weight=weight)
        results[f"fusion, parser weight {weight:g}"] = fused > 0.5
    return results


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

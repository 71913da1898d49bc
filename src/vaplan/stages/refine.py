"""`vaplan refine`: refine labels with the encoder and out-of-fold parsers together."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool
from torch import Tensor

from vaplan import pseudo_labels, runs
from vaplan.annotations.label_tables import (
    details_path,
    label_rows,
    write_label_probability,
)
from vaplan.annotations.table import write_rows
from vaplan.arrays import Prediction, Target
from vaplan.dataset import Dataset, dense_labels, read_labelled_videos
from vaplan.errors import RecipeError, unknown
from vaplan.pseudo_labels import Sources
from vaplan.ragged import Index, Ragged
from vaplan.recipe import Recipe
from vaplan.stages.denoise import FlipCounts, count_flips
from vaplan.training.cross_fitting import predict_out_of_fold
from vaplan.workers import Progress
from vaplan.writing import check_file_writable, sha256, write_json

AUTO = "auto"
STACKING = "stacking"
FUSION = "fusion"
RULES = (AUTO, STACKING, FUSION)
MIN_DENSE_VIDEOS = 20  # for stacking
ASSUMED_LABEL_ACCURACY = 0.8  # of labels without probabilities
EPOCH_SHARE = 0.5  # of the recipe's epochs: wrong labels are memorised late


@dataclass(frozen=True)
class Refined:
    """Result of `refine`.

    Attributes:
        table: The table of refined labels.
        flips: Number of labels that were set and removed, per modality and class.
        rule: The rule that was applied: `stacking` or `fusion`.
    """

    table: Path
    flips: FlipCounts
    rule: str


def refine(
    run: Path | str,
    labels: Path | str,
    out: Path | str,
    *,
    rule: str = AUTO,
    label_probability: Path | str | None = None,
    parser_weight: float = 0.5,
    folds: int = 2,
    out_probability: Path | str | None = None,
    progress: Progress | None = None,
) -> Refined:
    """Write the labels that the encoder and parsers together find more probable than not.

    Every video of the table is refined in both modalities. The score of a label is its
    probability.

    Args:
        run: Run folder of a parser that was trained on the labels.
        labels: Table of pseudo labels.
        out: Table of refined labels to write.
        rule: `stacking` fits a logistic regression on the densely labelled videos of split
            `val`; `fusion` adds log odds and needs tags only. `auto` is stacking if split
            val has enough densely labelled videos, else fusion.
        label_probability: Label probabilities by the encoder, as `label` writes them.
            Without them, each label is assumed to be right with probability 0.8.
        parser_weight: Weight of the parser in `fusion`.
        folds: Number of parsers that the run's recipe trains on `labels`, for half of its
            epochs; each predicts videos that it was not trained on. With 0, which only
            `fusion` allows, the run itself predicts all videos.
        out_probability: Second table to write: the probability of every label.
        progress: Called after every epoch of the parsers.

    Raises:
        RecipeError: The rule does not exist or cannot be applied to the data.
        MachineError: A table cannot be written.
    """
    run = Path(run)
    labels = Path(labels)
    out = Path(out)
    trained = runs.load(run)
    dataset = read_labelled_videos(trained, labels)
    data = dataset.annotations
    if data.localisation:
        raise RecipeError(
            "refinement labels audio and visual events separately, but events of a "
            "localisation data set are audio-visual",
            file=data.source,
            fix="use `vaplan denoise`",
        )

    rule = _resolve_rule(rule, dataset, folds)
    for path in (out, out_probability):
        if path is not None:
            check_file_writable(Path(path))

    noisy = dataset.labels(labels)
    encoder = _encoder_probability(dataset, noisy, label_probability)
    if folds:
        target = Target(dataset.weak_label, noisy.values, encoder.values)
        prediction = _predict_out_of_fold(
            trained.recipe,
            dataset,
            Ragged(target, dataset.lengths),
            folds=folds,
            progress=progress,
        )
    else:
        prediction = trained.predict(dataset.inputs)

    combine = RULE_FUNCTIONS[rule]
    probability = combine(dataset, encoder, prediction, parser_weight)
    refined = Ragged(probability.values > 0.5, dataset.lengths)
    scores = probability.numpy()
    rows = label_rows(
        data.ids, refined.numpy().by_video(), scores.by_video(), data.taxonomy
    )
    write_rows(out, rows)

    if out_probability:
        write_label_probability(
            Path(out_probability),
            scores,
            dataset.weak_label.numpy(),
            dataset.mask.numpy(),
            data,
        )

    flips = count_flips(noisy, refined, data.taxonomy)
    sources = [labels]
    if label_probability:
        sources.append(Path(label_probability))
    sources.append(run / runs.WEIGHTS)
    details = {
        "run": str(run),
        "rule": rule,
        "folds": folds,
        "flips": flips,
        "inputs": {str(path): sha256(path) for path in sources},
    }
    if rule == FUSION:
        details["parser_weight"] = parser_weight
    write_json(details_path(out), details)
    return Refined(out, flips, rule)


def combine_by_stacking(
    dataset: Dataset,
    encoder: Ragged[Tensor],
    prediction: Ragged[Prediction],
    parser_weight: float,  # noqa: ARG001 - every rule has this argument
) -> Ragged[Tensor]:
    """Combine the sources by a logistic regression fitted on split `val`.

    Args:
        dataset: Videos, some of them densely labelled in split `val`.
        encoder: Label probability by the encoder.
        prediction: Out-of-fold prediction of a parser.
        parser_weight: Ignored.

    Source: Wolpert, Stacked generalization, Neural Networks 5, 1992.
    """
    dense = dataset.annotations.dense_indices("val")
    data = dataset.annotations.select_videos([dataset.ids[index] for index in dense])
    reference = dense_labels(data, dataset.lengths[dense])
    weak_label = dataset.weak_label

    def sources(videos: Index) -> Sources:
        return Sources(
            encoder.batch(videos), prediction.batch(videos), weak_label[videos]
        )

    batches = []
    for group in reference.lengths.groups():
        videos = np.array(dense)[group]
        batches.append((sources(videos), reference.batch(group)))

    model = pseudo_labels.fit_stacking(batches)
    return Ragged.from_groups(
        dataset.lengths, lambda videos: model.probability(sources(videos))
    )


def combine_by_fusion(
    dataset: Dataset,
    encoder: Ragged[Tensor],
    prediction: Ragged[Prediction],
    parser_weight: float,
) -> Ragged[Tensor]:
    """Combine the sources by adding their log odds.

    Args:
        dataset: Videos.
        encoder: Label probability by the encoder.
        prediction: Out-of-fold prediction of a parser.
        parser_weight: Weight of the parser's log odds.
    """
    probability = pseudo_labels.fuse_log_odds(
        encoder.rows(),
        pseudo_labels.condition_on_tags(prediction.rows()),
        encoder.rows_of(dataset.weak_label),
        dataset.mask.rows(),
        parser_weight=parser_weight,
    )
    return encoder.from_rows(probability)


RULE_FUNCTIONS: dict[str, Callable[..., Ragged[Tensor]]] = {
    STACKING: combine_by_stacking,
    FUSION: combine_by_fusion,
}


def _encoder_probability(
    dataset: Dataset, labels: Ragged[Tensor], table: Path | str | None
) -> Ragged[Tensor]:
    """Read the label probabilities; without a table, assume one accuracy of all labels."""
    if table:
        return dataset.label_probability(Path(table))
    probability = torch.where(
        labels.values, ASSUMED_LABEL_ACCURACY, 1 - ASSUMED_LABEL_ACCURACY
    )
    return Ragged(probability, dataset.lengths)


def _predict_out_of_fold(
    recipe: Recipe,
    dataset: Dataset,
    target: Ragged[Target],
    *,
    folds: int,
    progress: Progress | None,
) -> Ragged[Prediction]:
    is_training_video: Bool[Tensor, " video"] = torch.tensor(
        [video.split in ("train", "") for video in dataset.annotations.videos]
    )
    make_model = partial(
        runs.make_model,
        recipe,
        feature_sizes=dataset.inputs.values.feature_sizes,
        classes=len(dataset.annotations.taxonomy),
        text=dataset.embed_texts() if recipe.model.text_similarity else (),
    )
    return predict_out_of_fold(
        make_model,
        dataset.inputs,
        target,
        settings=recipe.training,
        losses=recipe.losses,
        folds=folds,
        is_training_video=is_training_video,
        epoch_share=EPOCH_SHARE,
        progress=progress,
    )


def _resolve_rule(rule: str, dataset: Dataset, folds: int) -> str:
    """Return the rule that `auto` stands for, or the given rule if it can be applied."""
    if rule not in RULES:
        raise RecipeError(unknown("refinement rule", rule, RULES))

    dense = len(dataset.annotations.dense_indices("val"))
    has_enough = dense >= MIN_DENSE_VIDEOS
    if rule == AUTO:
        return STACKING if folds and has_enough else FUSION

    if rule == STACKING and not folds:
        raise RecipeError(
            "the rule stacking needs folds: the run has memorised the labels of its "
            "training videos",
            fix="omit --folds, or use the rule fusion",
        )
    if rule == STACKING and not has_enough:
        raise RecipeError(
            f"the rule stacking needs {MIN_DENSE_VIDEOS} densely labelled videos in "
            f"split val, not {dense}",
            fix="use the rule fusion, which needs tags only",
        )
    return rule

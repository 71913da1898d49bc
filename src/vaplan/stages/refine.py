"""Labels from two witnesses as a stage: how likely the encoder found each, and what a trained parser says of it."""

from pathlib import Path

import torch
from jaxtyping import Bool
from torch import Tensor

from vaplan import pseudo_labels, runs, training
from vaplan.annotations import Annotations, read_table
from vaplan.annotations.table import write_rows
from vaplan.arrays import Prediction, Target
from vaplan.errors import AnnotationError, RecipeError, unknown
from vaplan.stages.data import read_data, read_inputs, usable
from vaplan.stages.features import Progress
from vaplan.stages.folds import SAID, cross_predict
from vaplan.stages.label import about_path
from vaplan.stages.soft import label_rows, read_soft, write_soft
from vaplan.stages.thresholds import dense_of_val
from vaplan.stages.train import Denoised, count_flips, read_labels
from vaplan.writing import sha256, write_json

AUTO, POSTERIOR, STACKED = RULES = ("auto", "posterior", "stacked")
FEWEST = 20  # densely labelled videos to weigh witnesses by
TOLD = 0.8  # for `posterior`; to `stacked` all values are one
LENGTH = (
    0.5  # of the recipe's epochs: what is wrong in the labels is learned by heart late
)


def refine(
    run: Path,
    labels: Path,
    out: Path,
    *,
    evidence: Path | None = None,
    rule: str = AUTO,
    trust: float = 0.5,
    folds: int = 2,
    soft: Path | None = None,
    progress: Progress | None = None,
) -> Denoised:
    """Write labels that are likelier right than wrong by the encoder and the parser together.

    Every video of the table `labels` is treated, in both modalities; the score of a label is its probability.

    Args:
        evidence: The soft labels of the encoder, written by `label` with `soft`. Without them, as for imported labels,
            the labels themselves are the first witness: each is right with a probability of `TOLD`.
        rule: `stacked` weighs the two by the densely labelled videos of split `val` (`pseudo_labels.fit_stack`),
            `posterior` needs no dense labels (`pseudo_labels.fuse`). `auto` is the first where it can be.
        trust: How much the parser counts in `posterior`.
        folds: Parsers are trained again by the run's recipe on `labels`, for half of its epochs, and each parses videos
            that it has not seen. With 0, which `posterior` alone allows, the run itself speaks of all of them.
        soft: A second table to write: the probability of every label.
    """
    trained = runs.load(run)
    data, store = read_data(trained.recipe.data), Path(trained.recipe.store)
    if data.taxonomy.classes != trained.taxonomy.classes:
        raise AnnotationError(
            "its classes are not those of the run",
            file=data.source,
            fix="use the run's own data",
        )
    if data.localisation:
        what = "events of localisation are heard and seen at once, and this rule judges either by itself"
        raise RecipeError(what, file=data.source, fix="use the rule pld")
    known = read_table(labels, taxonomy=data.taxonomy).events
    data, _ = usable(
        data.ordered([video for video in data.ids if video in known]),
        store,
        trained.recipe.encoders,
    )
    rule = _chosen(rule, data, folds)
    inputs = read_inputs(store, trained.recipe.encoders, data.ids)
    weak_label, before = (
        torch.from_numpy(data.weak_label()),
        read_labels(labels, data, inputs),
    )
    first = (
        read_soft(evidence, data, inputs.mask)
        if evidence
        else torch.where(before, TOLD, 1 - TOLD)
    )
    if folds:
        learned = torch.tensor([video.split in ("train", "") for video in data.videos])
        target = Target(weak_label, before, first)
        said = cross_predict(
            trained.recipe,
            inputs,
            target,
            learned,
            folds=folds,
            length=LENGTH,
            progress=progress,
        )
    else:
        said = training.predict(trained.model, inputs)
    if rule == STACKED:
        fused = _stack(data, first, said, weak_label).probability(
            first, said, weak_label
        )
    else:
        fused = pseudo_labels.fuse(
            first, pseudo_labels.given_tags(said), weak_label, inputs.mask, trust=trust
        )
    after = fused > 0.5
    write_rows(out, label_rows(data.ids, after.numpy(), fused.numpy(), data.taxonomy))
    if soft:
        write_soft(soft, fused, weak_label, inputs.mask, data)
    flips = count_flips(before, after, data.taxonomy)
    used = {
        str(path): sha256(path)
        for path in (labels, evidence, run / runs.WEIGHTS)
        if path
    }
    how = {"rule": rule, "folds": folds} | (
        {"trust": trust} if rule == POSTERIOR else {}
    )
    write_json(
        about_path(out), {"run": str(run), **how, "flips": flips, "inputs": used}
    )
    return Denoised(out, flips, rule)


def _chosen(rule: str, data: Annotations, folds: int) -> str:
    """The rule that `auto` stands for, or the one given, if it can be."""
    if rule not in RULES:
        raise RecipeError(unknown("rule", rule, RULES))
    dense = len(dense_of_val(data))
    if rule == STACKED and not folds:
        what = "the rule stacked needs folds: the run itself knows its training videos by heart"
        raise RecipeError(what, fix="leave --folds out, or use the rule posterior")
    if rule == STACKED and dense < FEWEST:
        what = f"the rule stacked needs {FEWEST} densely labelled videos in split val, not {dense}"
        raise RecipeError(what, fix="use the rule posterior, which needs tags alone")
    return rule if rule != AUTO else STACKED if folds and dense >= FEWEST else POSTERIOR


def _stack(
    data: Annotations,
    first: Tensor,
    said: Prediction,
    weak_label: Bool[Tensor, "video class"],
) -> pseudo_labels.Stack:
    """The two weighed by the densely labelled videos of split val."""
    dense = dense_of_val(data)
    truth = torch.from_numpy(
        data.ordered([data.ids[i] for i in dense]).reference(first.shape[1])
    )
    those = Prediction(**{name: getattr(said, name)[dense] for name in SAID})
    return pseudo_labels.fit_stack(first[dense], those, weak_label[dense], truth)

"""Labels from two witnesses as a stage: how likely the encoder found each, and what a trained parser says of it."""

from pathlib import Path

import torch

from vaplan import pseudo_labels, runs, training
from vaplan.annotations import Annotations, read_table
from vaplan.annotations.table import write_rows
from vaplan.arrays import Inputs, Prediction, Target
from vaplan.errors import AnnotationError
from vaplan.files import sha256, write_json
from vaplan.recipe import Recipe
from vaplan.stages.data import read_data, read_inputs, usable
from vaplan.stages.folds import SAID, cross_predict
from vaplan.stages.label import about_path
from vaplan.stages.soft import label_rows, read_soft, write_soft
from vaplan.stages.train import Denoised, count_flips, read_labels


def refine(
    run: Path,
    labels: Path,
    out: Path,
    *,
    evidence: Path,
    trust: float = 1.0,
    folds: int = 0,
    soft: Path | None = None,
) -> Denoised:
    """Write labels that are likelier right than wrong by the encoder and the parser together; see `fuse`.

    Every video of the table `labels` is treated, in both modalities; the score of a label is its probability.

    Args:
        evidence: The soft labels of the encoder, written by `label` with `soft`.
        trust: How much the parser counts.
        folds: If not 0, parsers are trained again by the run's recipe on `labels`, and each parses training videos that
            it has not seen; otherwise the run itself speaks of them. Of other videos the run speaks in either case.
        soft: A second table to write: the probability of every label.
    """
    trained = runs.load(run)
    data, store = read_data(trained.recipe.data), Path(trained.recipe.store)
    if data.taxonomy.classes != trained.taxonomy.classes:
        raise AnnotationError("its classes are not those of the run", file=data.source, fix="use the run's own data")
    known = read_table(labels, taxonomy=data.taxonomy).events
    data, _ = usable(data.ordered([video for video in data.ids if video in known]), store, trained.recipe.encoders)
    inputs = read_inputs(store, trained.recipe.encoders, data.ids)
    weak_label, before = torch.from_numpy(data.weak_label()), read_labels(labels, data, inputs)
    first = read_soft(evidence, data, inputs.mask)
    target = Target(weak_label, before, first)
    said = training.predict(trained.model, inputs)
    if folds:
        said = _unseen(said, trained.recipe, inputs, target, data, folds=folds)
    fused = pseudo_labels.fuse(first, pseudo_labels.given_tags(said), weak_label, inputs.mask, trust=trust)
    after = fused > 0.5
    write_rows(out, label_rows(data.ids, after.numpy(), fused.numpy(), data.taxonomy))
    if soft:
        write_soft(soft, fused, weak_label, inputs.mask, data)
    flips = count_flips(before, after, data.taxonomy)
    used = {str(labels): sha256(labels), str(evidence): sha256(evidence), str(run): sha256(run / runs.WEIGHTS)}
    about = {"run": str(run), "rule": "posterior", "trust": trust, "folds": folds, "flips": flips, "inputs": used}
    write_json(about_path(out), about)
    return Denoised(out, flips)


def _unseen(
    said: Prediction, recipe: Recipe, inputs: Inputs, target: Target, data: Annotations, *, folds: int
) -> Prediction:
    """The same, with training videos parsed by networks that learned from other training videos."""
    learned = torch.tensor([video.split in ("train", "") for video in data.videos])
    crossed = cross_predict(recipe, inputs[learned], target[learned], folds=folds)
    merged = {name: getattr(said, name).clone() for name in SAID}
    for name, values in merged.items():
        values[learned] = getattr(crossed, name)
    return Prediction(**merged)

"""What a finished training is worth: its scores on the splits that have dense labels, and thresholds fitted on one."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float

from vaplan import training
from vaplan.annotations import Annotations
from vaplan.arrays import Inputs, Prediction
from vaplan.errors import RecipeError
from vaplan.evaluation import evaluate
from vaplan.localisation import one_label
from vaplan.runs import Run
from vaplan.stages.data import read_inputs, usable
from vaplan.timeline import from_grid

SPLITS = ("val", "test")


def scored(run: Run, data: Annotations, store: Path) -> Run:
    """The run with fitted thresholds, where its recipe asks for them, and with the scores of val and test."""
    if run.recipe.decision.segments == "fitted":
        run = replace(run, thresholds=fitted_thresholds(run, data, store))
    dense = {video.split for video in data.videos if video.video in data.events}
    return replace(
        run,
        metrics={
            split: split_scores(run, data, store, split)
            for split in SPLITS
            if split in dense
        },
    )


def split_scores(
    run: Run, data: Annotations, store: Path, split: str
) -> dict[str, Any]:
    """The document of `vaplan evaluate --json` for what the run says of a split."""
    kept, said = _said(run, data.select(split), store)
    grids = zip(
        kept.ids, *answer(run, said, localisation=data.localisation), strict=True
    )
    events = {
        video: from_grid(grid, run.taxonomy, score=probability)
        for video, grid, probability in grids
    }
    result = evaluate(
        data, replace(kept, events=events, source=run.folder), split=split
    )
    about = {
        "data": run.recipe.data,
        "annotations": data.version,
        "split": split,
        "videos": len(result.data.videos),
    }
    about |= {
        "missing": list(result.missing),
        "ignored": len(result.ignored),
        "left_out": list(result.left_out),
    }
    return about | result.numbers() | {"per_class": result.per_class()}


def answer(
    run: Run, said: Prediction, *, localisation: bool
) -> tuple[
    Bool[np.ndarray, "video time modality class"],
    Float[np.ndarray, "video time modality class"],
]:
    """What a run marks, and how likely that is; of localisation one label a segment, the same in both modalities."""
    marked, probability = run.decide(said), said.segment
    if localisation:
        marked = one_label(marked, probability)
        probability = probability.amin(dim=2, keepdim=True).expand_as(probability)
    return marked.numpy(), probability.numpy()


def fitted_thresholds(run: Run, data: Annotations, store: Path) -> torch.Tensor:
    """The segment thresholds that suit the densely labelled videos of split val best."""
    dense = [
        v.video for v in data.videos if v.split == "val" and v.video in data.events
    ]
    if not dense:
        raise RecipeError(
            "segments: fitted needs densely labelled videos in split val",
            fix="write segments: fixed",
        )
    kept, said = _said(run, data.ordered(dense), store)
    reference = torch.from_numpy(kept.reference(said.mask.shape[1]))
    rule = run.recipe.decision
    return training.fit_thresholds(
        said, reference, rule=rule.rule, threshold=rule.threshold
    )


def _said(run: Run, data: Annotations, store: Path) -> tuple[Annotations, Prediction]:
    kept, _ = usable(data, store, run.recipe.encoders)
    inputs: Inputs = read_inputs(store, run.recipe.encoders, kept.ids)
    return kept, training.predict(run.model, inputs)

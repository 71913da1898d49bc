"""Scores of a trained run on the splits with dense labels.

`vaplan evaluate` scores tables; see `vaplan.evaluation`.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from torch import Tensor

from vaplan.annotations import Annotations
from vaplan.arrays import Prediction
from vaplan.dataset import Dataset
from vaplan.decisions import fit_thresholds, keep_one_label
from vaplan.errors import RecipeError
from vaplan.evaluation import Evaluation, evaluate
from vaplan.ragged import Ragged
from vaplan.runs import Run
from vaplan.timeline import from_grid

SCORED_SPLITS = ("val", "test")


def score_run(run: Run, data: Annotations, store: Path) -> Run:
    """Add the scores of `val` and `test`, and fitted thresholds if the recipe asks for them.

    Args:
        run: A trained run.
        data: Data set with all splits.
        store: Feature store.
    """
    if run.recipe.decision.segments == "fitted":
        run = replace(run, thresholds=fit_run_thresholds(run, data, store))
    metrics = {
        split: score_split(run, data, store, split)
        for split in SCORED_SPLITS
        if data.dense_indices(split)
    }
    return replace(run, metrics=metrics)


def score_split(run: Run, data: Annotations, store: Path, split: str) -> dict[str, Any]:
    """Score the predictions of a run on a split.

    Args:
        run: A trained run.
        data: Data set with all splits.
        store: Feature store.
        split: Split with dense labels.

    Returns:
        The document of `vaplan evaluate --json`.
    """
    result = evaluate_run(run, data, store, split)
    description = {
        "data": run.recipe.data,
        "annotations": data.version,
        "split": split,
        "videos": len(result.data.videos),
        "missing": list(result.missing),
        "ignored": len(result.ignored),
        "left_out": list(result.left_out),
    }
    return description | result.numbers() | {"per_class": result.per_class()}


def evaluate_run(run: Run, data: Annotations, store: Path, split: str) -> Evaluation:
    """Compare the predictions of a run with the dense labels of a split.

    Args:
        run: A trained run.
        data: Data set with all splits.
        store: Feature store.
        split: Split with dense labels.
    """
    dataset = Dataset.with_features(data.select(split), store, run.recipe.encoders)
    prediction = run.predict(dataset.inputs)
    marked, probability = mark_events(run, prediction, localisation=data.localisation)
    videos = zip(dataset.ids, marked.by_video(), probability.by_video(), strict=True)
    events = {
        video: from_grid(grid, run.taxonomy, score=score)
        for video, grid, score in videos
    }
    estimate = replace(dataset.annotations, events=events, source=run.folder)
    return evaluate(data, estimate, split=split)


def mark_events(
    run: Run, prediction: Ragged[Prediction], *, localisation: bool
) -> tuple[Ragged[np.ndarray], Ragged[np.ndarray]]:
    """Mark segments by the decision rule of a run.

    Args:
        run: A trained run.
        prediction: Its prediction.
        localisation: Keep one label a segment, equal in both modalities.

    Returns:
        The marked segments, Bool "segment modality class", and the probability of each.
    """
    rows = prediction.rows()
    marked = run.decide(rows)
    probability = rows.segment
    if localisation:
        marked = keep_one_label(marked, probability)
        probability = probability.amin(dim=2, keepdim=True).expand_as(probability)
    return (
        prediction.from_rows(marked).numpy(),
        prediction.from_rows(probability).numpy(),
    )


def fit_run_thresholds(
    run: Run, data: Annotations, store: Path
) -> Float[Tensor, "modality class"]:
    """Fit the segment thresholds on the densely labelled videos of split `val`.

    Args:
        run: A trained run.
        data: Data set with all splits.
        store: Feature store.

    Raises:
        RecipeError: Split `val` has no dense labels.
    """
    dense = [data.ids[index] for index in data.dense_indices("val")]
    if not dense:
        raise RecipeError(
            "segments: fitted needs densely labelled videos in split val",
            fix="write segments: fixed",
        )
    dataset = Dataset.with_features(
        data.select_videos(dense), store, run.recipe.encoders
    )
    return fit_thresholds(
        run.predict(dataset.inputs).rows(),
        dataset.reference().rows(),
        rule=run.recipe.decision.rule,
        threshold=run.recipe.decision.threshold,
    )

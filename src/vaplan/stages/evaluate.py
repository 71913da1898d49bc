"""Scores of a trained run on the splits with dense labels.

`vaplan evaluate` scores tables; see `vaplan.evaluation`.
"""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from torch import Tensor

from vaplan.annotations import Annotations
from vaplan.arrays import Prediction
from vaplan.dataset import Dataset
from vaplan.decisions import fit_thresholds, keep_one_label, match_label_shares
from vaplan.errors import RecipeError
from vaplan.evaluation import Evaluation, evaluate
from vaplan.ragged import Ragged
from vaplan.recipe import Recipe
from vaplan.runs import Run
from vaplan.timeline import from_grid

SCORED_SPLITS = ("val", "test")
MATCHED_VIDEOS = 5000  # that are predicted to choose thresholds


def score_run(run: Run, data: Annotations, store: Path) -> Run:
    """Add the scores of `val` and `test`, and segment thresholds if the recipe asks for them.

    If the run was trained on the dense labels of `val`, only `test` is scored.

    Args:
        run: A trained run.
        data: Data set with all splits.
        store: Feature store.
    """
    run = replace(run, thresholds=choose_segment_thresholds(run, data, store))
    metrics = {
        split: score_split(run, data, store, split)
        for split in SCORED_SPLITS
        if data.dense_indices(split)
        and not (split == "val" and run.recipe.train_on_dense_val)
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


def check_segment_thresholds(recipe: Recipe, data: Annotations) -> None:
    """Check before a training that its segment thresholds can be chosen after it.

    Args:
        recipe: Recipe of the training.
        data: Data set with all splits.

    Raises:
        RecipeError: Split `val` has no dense labels, or the recipe has no table of labels.
    """
    segments = recipe.decision.segments
    if segments == "fitted" and not data.dense_indices("val"):
        raise RecipeError(
            "segments: fitted needs densely labelled videos in split val",
            fix="write segments: fixed",
        )
    if segments == "matched" and not recipe.labels:
        raise RecipeError(
            "segments: matched needs the table of labels that the run is trained on",
            fix="write `labels: …`, or segments: fixed",
        )


def choose_segment_thresholds(
    run: Run, data: Annotations, store: Path
) -> Float[Tensor, "modality class"] | None:
    """Choose the segment thresholds of a trained run, as its recipe asks for.

    They are fitted on the densely labelled videos of split `val`, or matched to the pseudo
    labels of the training videos.

    Args:
        run: A trained run.
        data: Data set with all splits.
        store: Feature store.

    Returns:
        The thresholds; None if they are fixed.
    """
    decision = run.recipe.decision
    if decision.segments == "fixed":
        return None
    is_fitted = decision.segments == "fitted"
    if is_fitted:
        videos = data.select_videos([data.ids[i] for i in data.dense_indices("val")])
    else:
        training = select_training_videos(data)
        step = max(1, math.ceil(len(training.videos) / MATCHED_VIDEOS))
        videos = training.select_videos(training.ids[::step])
    dataset = Dataset.with_features(videos, store, run.recipe.encoders)
    labels = (
        dataset.reference() if is_fitted else dataset.labels(Path(run.recipe.labels))
    )
    choose = fit_thresholds if is_fitted else match_label_shares
    return choose(
        run.predict(dataset.inputs).rows(),
        labels.rows(),
        rule=decision.rule,
        threshold=decision.threshold,
    )


def select_training_videos(
    data: Annotations, *, with_dense_val: bool = False
) -> Annotations:
    """Select the videos of split `train`, or all videos if none is in it.

    Args:
        data: Data set with all splits.
        with_dense_val: Also select the densely labelled videos of split `val`.
    """
    training = [video.video for video in data.videos if video.split == "train"]
    if not training:
        return data
    if with_dense_val:
        training += [data.ids[index] for index in data.dense_indices("val")]
    return data.select_videos(training)

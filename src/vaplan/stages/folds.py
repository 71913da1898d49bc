"""Parsers of videos that they were not trained on: each is parsed by one that learned from the other folds."""

from dataclasses import replace

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from vaplan import runs, training
from vaplan.arrays import Inputs, Prediction, Target
from vaplan.errors import RecipeError
from vaplan.recipe import Recipe

SAID = ("segment", "modality", "video", "mask")


def folds_of(videos: int, folds: int, *, seed: int) -> list[Int[Tensor, " member"]]:
    """The videos of each fold, by chance and of nearly one size."""
    if not 2 <= folds <= videos:
        raise RecipeError(f"{folds} folds of {videos} videos", fix="give at least 2, and no more than there are videos")
    order = torch.randperm(videos, generator=torch.Generator().manual_seed(seed))
    return [order[k::folds] for k in range(folds)]


def others_than(fold: Int[Tensor, " member"], videos: int) -> Bool[Tensor, " video"]:
    """All videos that are not in the fold."""
    others = torch.ones(videos, dtype=torch.bool)
    others[fold] = False
    return others


def cross_predict(recipe: Recipe, inputs: Inputs, target: Target, *, folds: int) -> Prediction:
    """What is said of every video by the parser that was trained on all folds but the video's own.

    The folds depend on the number of videos and the recipe's seed alone.

    Args:
        target: The labels to learn from; `recipe.labels` is not read.
    """
    settings = replace(recipe.training, select="last", patience=None)
    audio, visual = (tuple(stream.shape[-1] for stream in streams) for streams in inputs.streams)
    parts, held_out = list[Prediction](), folds_of(len(inputs), folds, seed=settings.seed)
    for fold in held_out:
        others = others_than(fold, len(inputs))
        model = runs.make_model(recipe, feature_sizes=(audio, visual), classes=target.weak.shape[1])
        training.fit(model, inputs[others], target[others], settings=settings, losses=recipe.losses)
        parts.append(training.predict(model, inputs[fold]))
    back = torch.cat(held_out).argsort()
    return Prediction(**{name: torch.cat([getattr(part, name) for part in parts])[back] for name in SAID})

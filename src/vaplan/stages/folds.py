"""Parsers of videos that they were not trained on: each is parsed by one that learned from the other folds."""

from dataclasses import replace
from itertools import count

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from vaplan import runs, training
from vaplan.arrays import Inputs, Prediction, Target
from vaplan.errors import RecipeError
from vaplan.recipe import Recipe
from vaplan.stages.features import Progress

SAID = ("segment", "modality", "video", "mask")


def folds_of(videos: int, folds: int, *, seed: int) -> list[Int[Tensor, " member"]]:
    """The videos of each fold, by chance and of nearly one size."""
    if not 2 <= folds <= videos:
        raise RecipeError(
            f"{folds} folds of {videos} videos",
            fix="give at least 2, and no more than there are videos",
        )
    order = torch.randperm(videos, generator=torch.Generator().manual_seed(seed))
    return [order[k::folds] for k in range(folds)]


def others_than(fold: Int[Tensor, " member"], videos: int) -> Bool[Tensor, " video"]:
    """All videos that are not in the fold."""
    others = torch.ones(videos, dtype=torch.bool)
    others[fold] = False
    return others


def cross_predict(
    recipe: Recipe,
    inputs: Inputs,
    target: Target,
    learned: Bool[Tensor, " video"] | None = None,
    *,
    folds: int,
    length: float = 1.0,
    progress: Progress | None = None,
) -> Prediction:
    """What is said of every video by a parser that has not learned from it.

    The videos that may be learned from are divided into folds, and a parser is trained on all folds but one for each;
    it speaks of that one. The other videos are dealt out among the parsers in turn, so that of all videos parsers of
    one kind speak. The folds depend on the number of videos and the recipe's seed alone.

    Args:
        target: The labels to learn from; `recipe.labels` is not read.
        learned: Which videos may be learned from, by default all.
        length: Of the recipe's epochs.
        progress: Told of every epoch of all parsers.
    """
    epochs = max(1, round(length * recipe.training.epochs))
    settings = replace(recipe.training, epochs=epochs, select="last", patience=None)
    audio, visual = (
        tuple(stream.shape[-1] for stream in streams) for streams in inputs.streams
    )
    learned = torch.ones(len(inputs), dtype=torch.bool) if learned is None else learned
    inside, outside = learned.nonzero()[:, 0], (~learned).nonzero()[:, 0]
    parts, spoken_of = list[Prediction](), list[Tensor]()
    done = count(1)

    def tell(_: training.Epoch) -> None:
        if progress:
            progress(next(done), folds * epochs, "")

    for turn, fold in enumerate(folds_of(len(inside), folds, seed=settings.seed)):
        others = inside[others_than(fold, len(inside))]
        model = runs.make_model(
            recipe, feature_sizes=(audio, visual), classes=target.weak.shape[1]
        )
        training.fit(
            model,
            inputs[others],
            target[others],
            settings=settings,
            losses=recipe.losses,
            on_epoch=tell,
        )
        spoken_of.append(torch.cat([inside[fold], outside[turn::folds]]))
        parts.append(training.predict(model, inputs[spoken_of[-1]]))
    back = torch.cat(spoken_of).argsort()
    return Prediction(
        **{
            name: torch.cat([getattr(part, name) for part in parts])[back]
            for name in SAID
        }
    )

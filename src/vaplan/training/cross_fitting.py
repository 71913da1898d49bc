"""Out-of-fold predictions: every video is parsed by a network that was not trained on it.

A network that was trained on wrong labels memorises them. Its predictions for other videos
are an independent source of evidence.
"""

from collections.abc import Callable
from dataclasses import replace
from itertools import count

import torch
from jaxtyping import Bool, Int
from torch import Tensor, nn

from vaplan.arrays import Inputs, Prediction, Target
from vaplan.errors import RecipeError
from vaplan.losses import Objective
from vaplan.ragged import Ragged
from vaplan.training.inference import predict
from vaplan.training.loop import Epoch, fit
from vaplan.training.settings import Training
from vaplan.workers import Progress


def split_folds(videos: int, folds: int, *, seed: int) -> list[Int[Tensor, " member"]]:
    """Divide videos into folds at random.

    Args:
        videos: Number of videos.
        folds: Number of folds, at least 2 and at most `videos`.
        seed: Seed of the random order.

    Returns:
        The indices of the videos of each fold; fold sizes differ by at most one.

    Raises:
        RecipeError: The number of folds is not possible.
    """
    if not 2 <= folds <= videos:
        raise RecipeError(
            f"{folds} folds of {videos} videos",
            fix="give at least 2 folds, and at most one for each video",
        )
    order = torch.randperm(videos, generator=torch.Generator().manual_seed(seed))
    return [order[k::folds] for k in range(folds)]


def complement(fold: Int[Tensor, " member"], videos: int) -> Bool[Tensor, " video"]:
    """Mark the videos that are not in a fold.

    Args:
        fold: Indices of the videos of the fold.
        videos: Number of all videos.
    """
    is_outside = torch.ones(videos, dtype=torch.bool)
    is_outside[fold] = False
    return is_outside


def predict_out_of_fold(
    make_model: Callable[[], nn.Module],
    inputs: Ragged[Inputs],
    target: Ragged[Target],
    *,
    settings: Training,
    losses: Objective,
    folds: int,
    is_training_video: Bool[Tensor, " video"] | None = None,
    epoch_share: float = 1.0,
    progress: Progress | None = None,
) -> Ragged[Prediction]:
    """Predict every video with a network that was not trained on it.

    The training videos are divided into folds. For each fold one network is trained on all
    other folds and predicts this fold. Videos that are not for training are distributed
    over the networks in turn. The folds depend only on the number of training videos and
    on the seed.

    Args:
        make_model: Builds a network with its initial weights.
        inputs: Features of all videos.
        target: Labels of all videos.
        settings: Training settings. The last epoch is kept whatever they select.
        losses: Training objective.
        folds: Number of networks.
        is_training_video: Videos to train on; by default all.
        epoch_share: Share of `settings.epochs` to train for.
        progress: Called after every epoch of every network.
    """
    epochs = max(1, round(epoch_share * settings.epochs))
    settings = replace(settings, epochs=epochs, select="last", patience=None)
    if is_training_video is None:
        is_training_video = torch.ones(len(inputs), dtype=torch.bool)
    training_videos = is_training_video.nonzero()[:, 0]
    further_videos = (~is_training_video).nonzero()[:, 0]
    epoch_number = count(1)

    def report(_: Epoch) -> None:
        """Report the next epoch of any network."""
        if progress:
            progress(next(epoch_number), folds * epochs, "")

    predictions = list[Ragged[Prediction]]()
    predicted_videos = list[Tensor]()
    fold_members = split_folds(len(training_videos), folds, seed=settings.seed)
    for number, fold in enumerate(fold_members):
        train_on = training_videos[complement(fold, len(training_videos))]
        model = make_model()
        fit(
            model,
            inputs[train_on],
            target[train_on],
            settings=settings,
            losses=losses,
            on_epoch=report,
        )
        videos = torch.cat([training_videos[fold], further_videos[number::folds]])
        predicted_videos.append(videos)
        prediction = predict(model, inputs[videos], window=settings.window)
        predictions.append(prediction)

    order = torch.cat(predicted_videos).argsort()
    return Ragged.cat(predictions)[order]

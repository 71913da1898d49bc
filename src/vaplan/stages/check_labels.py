"""`vaplan check-labels`: whether pseudo labels help, from tags of held-out videos only.

One small parser is trained on tags, and one on tags and pseudo labels. Both predict the
videos of a fold that neither was trained on, and are compared video by video:

- *tags*: the ranking precision of the video's tags among all classes.
- *localisation*: each parser says in which segments of each modality a tag occurs. Without
  these segments a probe that is independent of both parsers should recognise the tag less
  well. The probe is a linear regression of tags on the mean features of a video, trained
  on the other folds, so that the contribution of a segment to a tag can be read off.
"""

from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from vaplan import recipe as recipes
from vaplan import runs
from vaplan.annotations import Annotations
from vaplan.arrays import Inputs, Prediction, Target
from vaplan.dataset import Dataset, Encoders, select_encoders
from vaplan.errors import AnnotationError
from vaplan.metrics.intervals import Interval, bootstrap
from vaplan.metrics.tags import ranking_precision
from vaplan.ragged import Index, Ragged
from vaplan.training.cross_fitting import (
    complement,
    predict_out_of_fold,
    split_folds,
)

MIN_TAGGED_VIDEOS = 20
RIDGE = 0.3  # penalty of the probe, in units of the feature variance
SMALL_PARSER = (
    "model.settings={hidden: 64, feedforward: 64, dropout: 0.3}",
    "training={epochs: 15, batch_size: 16, learning_rate: 1e-3}",
)


@dataclass(frozen=True)
class LabelCheck:
    """Scores on held-out videos with and without pseudo labels.

    Attributes:
        videos: Number of videos.
        folds: Number of folds.
        without: Mean score of a parser trained on tags: `tags` in percent, `localisation`
            in standard deviations of the probe's score.
        gain: Gain of each score by the pseudo labels, with a 95 % interval over videos.
    """

    videos: int
    folds: int
    without: dict[str, float]
    gain: dict[str, Interval]

    @property
    def verdict(self) -> str:
        """`help`, `do not help` or `harm`, by the intervals of both gains."""
        if any(gain.high < 0 for gain in self.gain.values()):
            return "harm"
        if any(gain.low > 0 for gain in self.gain.values()):
            return "help"
        return "do not help"

    def document(self) -> dict[str, Any]:
        """Return all values as JSON values."""
        return {
            "verdict": self.verdict,
            "videos": self.videos,
            "folds": self.folds,
            "without": self.without,
            "gain": {name: asdict(interval) for name, interval in self.gain.items()},
        }


def check_labels(
    data: Annotations,
    store: Path,
    labels: Path,
    *,
    encoders: Encoders | None = None,
    folds: int = 3,
    seed: int = 0,
) -> LabelCheck:
    """Train with and without pseudo labels and compare on held-out training videos.

    Args:
        data: Data set.
        store: Feature store.
        labels: Table of pseudo labels.
        encoders: Names of the encoders per modality; by default all encoders of the store.
        folds: Number of folds.
        seed: Seed of folds, trainings and resampling.

    Raises:
        AnnotationError: Fewer than 20 videos are tagged.
    """
    encoders = encoders or select_encoders(store)
    train = data.by_split().get("train", data)
    dataset = Dataset.with_features(train, store, encoders)
    tagged = [video.video for video in dataset.annotations.videos if video.tags]
    if len(tagged) < MIN_TAGGED_VIDEOS:
        raise AnnotationError(
            f"{len(tagged)} tagged videos are too few to hold some out",
            file=data.source,
            fix=f"tag at least {MIN_TAGGED_VIDEOS}",
        )
    dataset = dataset.select_videos(tagged)
    return compare_with_and_without(
        dataset.inputs,
        dataset.weak_label,
        dataset.labels(labels),
        folds=folds,
        seed=seed,
    )


def compare_with_and_without(
    inputs: Ragged[Inputs],
    tags: Bool[Tensor, "video class"],
    pseudo: Ragged[Tensor],
    *,
    folds: int,
    seed: int,
) -> LabelCheck:
    """Compare a parser trained on tags with one trained on tags and pseudo labels.

    Args:
        inputs: Features of the videos.
        tags: Tags; every video has at least one.
        pseudo: Pseudo labels.
        folds: Number of folds.
        seed: Seed of folds, trainings and resampling.
    """
    attribution = segment_attribution(inputs, tags, folds=folds, seed=seed)

    def score_recipe(
        name: str, target: Target
    ) -> dict[str, Float[np.ndarray, " video"]]:
        changes = [*SMALL_PARSER, f"training.seed={seed}"]
        recipe = recipes.read(name, changes=changes)
        make_model = partial(
            runs.make_model,
            recipe,
            feature_sizes=inputs.values.feature_sizes,
            classes=tags.shape[1],
        )
        prediction = predict_out_of_fold(
            make_model,
            inputs,
            Ragged(target, inputs.lengths),
            settings=recipe.training,
            losses=recipe.losses,
            folds=folds,
        )
        return score_videos(prediction, tags, attribution)

    without = score_recipe("han", Target(tags))
    with_labels = score_recipe("ple", Target(tags, pseudo.values))
    gains = np.stack([with_labels[name] - without[name] for name in without], axis=1)
    intervals = bootstrap(gains, seed=seed)
    means = {name: float(values.mean()) for name, values in without.items()}
    return LabelCheck(
        len(inputs), folds, means, dict(zip(without, intervals, strict=True))
    )


def score_videos(
    prediction: Ragged[Prediction],
    tags: Bool[Tensor, "video class"],
    attribution: Ragged[Tensor],
) -> dict[str, Float[np.ndarray, " video"]]:
    """Compute both scores of every video; larger is better.

    Args:
        prediction: Out-of-fold prediction.
        tags: Tags of the videos.
        attribution: Contribution of each segment to each tag; see `segment_attribution`.
    """
    precision = ranking_precision(tags.numpy(), prediction.values.video.numpy())
    segments = torch.from_numpy(prediction.lengths.counts)

    def score_group(videos: Index) -> Tensor:
        return localisation_score(
            prediction.batch(videos).segment,
            tags[videos],
            attribution.batch(videos),
            segments=segments[videos],
        )

    localisation = prediction.lengths.per_video(score_group)
    return {"tags": 100 * precision, "localisation": localisation.numpy()}


def localisation_score(
    probability: Float[Tensor, "video time modality class"],
    tags: Bool[Tensor, "video class"],
    attribution: Float[Tensor, "video time modality class"],
    *,
    segments: Int[Tensor, " video"],
) -> Float[Tensor, " video"]:
    """Compare the attribution of the more probable half of the segments with the other half.

    Both halves have the same size, so that only the choice of segments matters.

    Args:
        probability: Probability of each class in each segment and modality.
        tags: Tags of the videos; the score is their mean.
        attribution: Contribution of each segment to each tag.
        segments: Number of segments of each video.
    """
    modalities = attribution.shape[2]
    cells = attribution.flatten(1, 2)
    order = probability.flatten(1, 2).argsort(dim=1, descending=True, stable=True)
    rank = order.argsort(dim=1)
    half = modalities * segments / 2
    is_probable_half = rank < half[:, None, None]
    difference = torch.where(is_probable_half, cells, -cells).sum(dim=1)
    return (difference * tags).sum(dim=1) / tags.sum(dim=1)


def segment_attribution(
    inputs: Ragged[Inputs], tags: Bool[Tensor, "video class"], *, folds: int, seed: int
) -> Ragged[Tensor]:
    """Compute the contribution of each segment to a linear probe's score of each tag.

    The probe is a ridge regression of the tags on the mean features of both modalities,
    trained without the video's fold.

    Args:
        inputs: Features of the videos.
        tags: Tags of the videos.
        folds: Number of folds.
        seed: Seed of the folds.

    Returns:
        Contributions in standard deviations of the score over held-out videos, Float
        "segment modality class".
    """
    features = tuple(
        torch.cat([stream.float() for stream in streams], dim=-1)
        for streams in inputs.values.streams
    )
    sizes = [feature.shape[-1] for feature in features]
    mask = inputs.map_values(lambda values: values.mask)
    share = Ragged.from_groups(
        inputs.lengths, lambda videos: _share_of_segments(mask.batch(videos))
    )
    means = Ragged((*features, share.values), inputs.lengths).per_video(_mean_features)

    attribution = torch.zeros(*share.values.shape, tags.shape[1])
    for fold in split_folds(len(inputs), folds, seed=seed):
        train_on = complement(fold, len(inputs))
        centre, weights = _ridge_regression(means[train_on], tags[train_on].float())
        centres = torch.split(centre, sizes)
        weights_of = torch.split(weights, sizes)
        segments = inputs.lengths.spans(fold).positions()
        for m, feature in enumerate(features):
            score = (feature[segments] - centres[m]) @ weights_of[m]
            attribution[segments, m] = share.values[segments, m, None] * score

    contributions = Ragged(attribution, inputs.lengths)
    totals = contributions.per_video(lambda values: values.sum(dim=(1, 2)))
    deviation = totals.std(dim=0).clamp(min=1e-9)
    return contributions.map_values(lambda values: values / deviation)


def _share_of_segments(
    mask: Bool[Tensor, "video time modality"],
) -> Float[Tensor, "video time modality"]:
    """Return the weight of each segment in the mean of its modality."""
    return mask / mask.sum(dim=1, keepdim=True).clamp(min=1)


def _mean_features(
    values: tuple[Tensor, ...],
) -> Float[Tensor, "video feature"]:
    """Average the features of both modalities; the last value is the share of segments."""
    *features, share = values
    means = [
        torch.einsum("vt,vtf->vf", share[:, :, m], feature)
        for m, feature in enumerate(features)
    ]
    return torch.cat(means, dim=1)


def _ridge_regression(
    means: Float[Tensor, "video feature"], tags: Float[Tensor, "video class"]
) -> tuple[Float[Tensor, " feature"], Float[Tensor, "feature class"]]:
    """Return the mean features and the weights; solve the smaller of the two systems."""
    centre = means.mean(dim=0)
    rows = means - centre
    centred_tags = tags - tags.mean(dim=0)
    penalty = RIDGE * rows.square().mean() * len(rows)

    if rows.shape[1] <= len(rows):
        gram = rows.T @ rows + penalty * torch.eye(rows.shape[1])
        return centre, torch.linalg.solve(gram, rows.T @ centred_tags)
    gram = rows @ rows.T + penalty * torch.eye(len(rows))
    return centre, rows.T @ torch.linalg.solve(gram, centred_tags)

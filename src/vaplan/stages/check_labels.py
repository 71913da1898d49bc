"""Whether pseudo labels help on a user's own data, told from the tags of held-out videos alone.

A small parser is trained on tags, and another one on tags and pseudo labels; both parse the videos of the fold that
neither has seen. Two things are compared, video by video. *Tags*: how well each orders the classes of the video.
*Places*: each says in which seconds, heard or seen, a tag is; without those seconds the tag should be hard to tell for
a judge that knows neither of them. The judge is linear in the video's mean features and is trained on tags of the
other folds, so that what a second contributes to a tag can be read off.
"""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from vaplan import recipe as recipes
from vaplan.annotations import Annotations
from vaplan.arrays import Inputs, Prediction, Target
from vaplan.errors import AnnotationError
from vaplan.metrics.intervals import Interval, bootstrap
from vaplan.metrics.tags import ranking_precision
from vaplan.stages.data import Encoders, read_inputs, usable
from vaplan.stages.folds import cross_predict, folds_of, others_than
from vaplan.stages.train import read_labels

FEWEST = 20  # videos, below which nothing can be said
RIDGE = 0.3  # of the features' own variance
SMALL = (
    "model.settings={hidden: 64, feedforward: 64, dropout: 0.3}",
    "training={epochs: 15, batch_size: 16, learning_rate: 1e-3}",
)


@dataclass(frozen=True)
class Checked:
    """Held-out videos with and without pseudo labels.

    Args:
        without: What a parser trained on tags reaches, mean over videos: `tags` in percent, and `places` in standard
            deviations of the judge's score.
        gain: What the pseudo labels add to each, with its 95 % interval over videos.
    """

    videos: int
    folds: int
    without: dict[str, float]
    gain: dict[str, Interval]

    @property
    def verdict(self) -> str:
        """`help`, `do not help` or `harm`, by the intervals of tags and places."""
        if any(gain.high < 0 for gain in self.gain.values()):
            return "harm"
        return (
            "help"
            if any(gain.low > 0 for gain in self.gain.values())
            else "do not help"
        )

    def document(self) -> dict[str, Any]:
        """Everything, as JSON values."""
        gain = {name: asdict(interval) for name, interval in self.gain.items()}
        about = {"verdict": self.verdict, "videos": self.videos, "folds": self.folds}
        return about | {"without": self.without, "gain": gain}


def check_labels(
    data: Annotations,
    store: Path,
    labels: Path,
    *,
    names: Encoders,
    folds: int = 3,
    seed: int = 0,
) -> Checked:
    """Train with and without the labels on parts of the training videos, and compare on the rest."""
    data, _ = usable(data.by_split().get("train", data), store, names)
    data = data.ordered([video.video for video in data.videos if video.tags])
    if len(data.videos) < FEWEST:
        what = f"{len(data.videos)} tagged videos are too few to hold some out"
        raise AnnotationError(what, file=data.source, fix=f"tag at least {FEWEST}")
    inputs = read_inputs(store, names, data.ids)
    return compare(
        inputs,
        torch.from_numpy(data.weak_label()),
        read_labels(labels, data, inputs),
        folds=folds,
        seed=seed,
    )


def compare(
    inputs: Inputs,
    tags: Bool[Tensor, "video class"],
    pseudo: Bool[Tensor, "video time modality class"],
    *,
    folds: int,
    seed: int,
) -> Checked:
    """As `check_labels`, of arrays; every video has a tag."""
    changes = [*SMALL, f"training.seed={seed}"]
    told = contributions(inputs, tags, folds=folds, seed=seed)
    before, after = (
        numbers(
            cross_predict(
                recipes.read(name, changes=changes), inputs, target, folds=folds
            ),
            tags,
            told,
        )
        for name, target in (("han", Target(tags)), ("ple", Target(tags, pseudo)))
    )
    gains = bootstrap(
        np.stack([after[name] - before[name] for name in before], axis=1), seed=seed
    )
    means = {name: float(values.mean()) for name, values in before.items()}
    return Checked(len(inputs), folds, means, dict(zip(before, gains, strict=True)))


def numbers(
    said: Prediction,
    tags: Bool[Tensor, "video class"],
    told: Float[Tensor, "video time modality class"],
) -> dict[str, Float[np.ndarray, " video"]]:
    """What is compared, of every video; larger is better."""
    tags_told = 100 * ranking_precision(tags.numpy(), said.video.numpy())
    return {"tags": tags_told, "places": places(said.segment, tags, told).numpy()}


def places(
    probability: Float[Tensor, "video time modality class"],
    tags: Bool[Tensor, "video class"],
    told: Float[Tensor, "video time modality class"],
) -> Float[Tensor, " video"]:
    """How much more a tag loses with the likelier half of all segments, heard and seen, than with the other half.

    Both halves are of one size, so that it matters only which segments are in them. Mean over the video's tags.

    Args:
        told: What each segment contributes to each tag; see `contributions`.
    """
    cells, likely = told.flatten(1, 2), probability.flatten(1, 2)
    rank = likely.argsort(dim=1, descending=True, stable=True).argsort(dim=1)
    lost = torch.where(rank < cells.shape[1] / 2, cells, -cells).sum(dim=1)
    return (lost * tags).sum(dim=1) / tags.sum(dim=1)


def contributions(
    inputs: Inputs, tags: Bool[Tensor, "video class"], *, folds: int, seed: int
) -> Float[Tensor, "video time modality class"]:
    """What each segment adds to a linear judge's score of each tag, in deviations of that score over held-out videos.

    The judge is a ridge regression of the tags on the mean features of both modalities, made without the video's fold.
    """
    features = [
        torch.cat([s.float() for s in streams], dim=-1) for streams in inputs.streams
    ]
    sizes = [feature.shape[-1] for feature in features]
    share = inputs.mask / inputs.mask.sum(dim=1, keepdim=True).clamp(min=1)
    means = torch.cat(
        [torch.einsum("vt,vtf->vf", share[:, :, m], f) for m, f in enumerate(features)],
        dim=1,
    )
    told = torch.zeros(*inputs.mask.shape, tags.shape[1])
    for fold in folds_of(len(inputs), folds, seed=seed):
        middle, weights = _ridge(
            means[others := others_than(fold, len(inputs))], tags[others].float()
        )
        for m, (centre, weight) in enumerate(
            zip(torch.split(middle, sizes), torch.split(weights, sizes), strict=True)
        ):
            told[fold, :, m] = share[fold, :, m, None] * (
                (features[m][fold] - centre) @ weight
            )
    return told / told.sum(dim=(1, 2)).std(dim=0).clamp(min=1e-9)


def _ridge(
    means: Float[Tensor, "video feature"], tags: Float[Tensor, "video class"]
) -> tuple[Float[Tensor, " feature"], Float[Tensor, "feature class"]]:
    """The middle of the features, and the weights: solved over videos where features are more."""
    middle = means.mean(dim=0)
    rows, wanted = means - middle, tags - tags.mean(dim=0)
    strength = RIDGE * rows.square().mean() * len(rows)
    if rows.shape[1] <= len(rows):
        return middle, torch.linalg.solve(
            rows.T @ rows + strength * torch.eye(rows.shape[1]), rows.T @ wanted
        )
    return middle, rows.T @ torch.linalg.solve(
        rows @ rows.T + strength * torch.eye(len(rows)), wanted
    )

"""`vaplan exchange`: remove tags from single modalities by MA's modality exchange."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float
from torch import Tensor

from vaplan import pseudo_labels, runs
from vaplan.annotations import Row
from vaplan.annotations.label_tables import details_path
from vaplan.annotations.table import event_rows, write_rows
from vaplan.arrays import AUDIO, MODALITIES, VISUAL
from vaplan.dataset import read_training_videos
from vaplan.taxonomy import Taxonomy
from vaplan.timeline import from_grid
from vaplan.writing import sha256, write_json

ByClass = dict[str, dict[str, float]]  # by modality and class


@dataclass(frozen=True)
class Exchanged:
    """Result of `exchange`.

    Attributes:
        table: The table of the remaining tags.
        removed: Share of each class's tags that was removed, per modality.
    """

    table: Path
    removed: ByClass


def exchange(run: Path, out: Path, *, seed: int = 2) -> Exchanged:
    """Write the tags of the training videos without those that MA removes.

    A remaining tag is a pseudo label of the whole video in that modality.

    Args:
        run: Run folder of the recipe `ma_base`.
        out: Table to write.
        seed: Seed that draws the partner of each video.

    Source: Wu, Yang, CVPR 2021; see `pseudo_labels.ma`.
    """
    trained = runs.load(run)
    dataset = read_training_videos(trained)
    taxonomy = dataset.annotations.taxonomy
    weak_label = dataset.weak_label

    prediction = trained.predict(dataset.inputs)
    probability = prediction.values.modality
    error = pseudo_labels.error_rates(probability, weak_label, dataset.present)
    partner = pseudo_labels.draw_partners(weak_label, seed=seed)

    def predict_exchanged(modality: int) -> Float[Tensor, "video modality class"]:
        exchanged = pseudo_labels.exchange_modality(dataset.inputs, partner, modality)
        return trained.predict(exchanged).values.modality

    exchanged = predict_exchanged(AUDIO), predict_exchanged(VISUAL)

    removed = pseudo_labels.removed_by_exchange(weak_label, exchanged, error)
    removed &= (partner >= 0)[:, None, None]
    remaining = (weak_label[:, None] & ~removed).numpy()

    def rows() -> Iterator[Row]:
        videos = zip(
            dataset.ids,
            remaining,
            probability.numpy(),
            dataset.mask.numpy().by_video(),
            strict=True,
        )
        for video, tags, score, exists in videos:
            grid = tags & exists[..., None]
            scores = np.broadcast_to(score, grid.shape)
            yield from event_rows(video, from_grid(grid, taxonomy, score=scores))

    write_rows(out, rows())

    shares = removed.sum(dim=0) / weak_label.sum(dim=0).clamp(min=1)
    removed_shares = by_class(shares, taxonomy)
    details = {
        "run": str(run),
        "seed": seed,
        "errors": by_class(error, taxonomy),
        "removed": removed_shares,
        "inputs": {str(run): sha256(run / runs.WEIGHTS)},
    }
    write_json(details_path(out), details)
    return Exchanged(out, removed_shares)


def by_class(values: Float[Tensor, "modality class"], taxonomy: Taxonomy) -> ByClass:
    """Arrange numbers by the names of modalities and classes.

    Args:
        values: One number for each modality and class.
        taxonomy: Names of the classes.
    """
    return {
        modality: dict(zip(taxonomy.classes, row.tolist(), strict=True))
        for modality, row in zip(MODALITIES, values, strict=True)
    }

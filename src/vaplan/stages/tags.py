"""A trained run to what its training tags are worth in each modality: MA's exchange, and JoMoLD's noise ratios."""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from vaplan import pseudo_labels, runs, training
from vaplan.annotations import Annotations
from vaplan.annotations.sheet import Row
from vaplan.annotations.table import event_rows, write_rows
from vaplan.arrays import AUDIO, MODALITIES, VISUAL, Inputs
from vaplan.errors import AnnotationError, RecipeError
from vaplan.pseudo_labels.noise import NoiseEstimate
from vaplan.runs import Run
from vaplan.stages.data import read_data, read_inputs, usable
from vaplan.stages.label import about_path
from vaplan.taxonomy import Taxonomy
from vaplan.timeline import from_grid
from vaplan.training.label_removal import Removal, Remover
from vaplan.writing import sha256, write_json

ByClass = dict[str, dict[str, float]]


@dataclass(frozen=True)
class Exchanged:
    """What `exchange` did: the share of each class's tags that it took away, per modality."""

    table: Path
    removed: ByClass


def exchange(run: Path, out: Path, *, seed: int = 2) -> Exchanged:
    """Write the training videos' tags, without those that MA's exchange takes away, as a table of pseudo labels.

    A tag that is kept spans the whole video in that modality. `seed` draws every video's partner.
    """
    trained, data, inputs = _training_videos(run)
    weak_label = torch.from_numpy(data.weak_label())
    said = training.predict(trained.model, inputs).modality
    error = pseudo_labels.error_rates(said, weak_label, inputs.mask.any(dim=1))
    partner = pseudo_labels.draw_partners(weak_label, seed=seed)
    with_foreign_audio, with_foreign_visual = (
        training.predict(
            trained.model, pseudo_labels.exchanged(inputs, partner, m)
        ).modality
        for m in (AUDIO, VISUAL)
    )
    removed = pseudo_labels.removed_by_exchange(
        weak_label, (with_foreign_audio, with_foreign_visual), error
    )
    removed &= (partner >= 0)[:, None, None]
    kept = ((weak_label[:, None] & ~removed)[:, None] & inputs.mask[..., None]).numpy()
    score = said[:, None].expand(kept.shape).numpy()

    def rows() -> Iterator[Row]:
        for video, grid, probability in zip(data.ids, kept, score, strict=True):
            yield from event_rows(
                video, from_grid(grid, data.taxonomy, score=probability)
            )

    write_rows(out, rows())
    shares = removed.sum(dim=0) / weak_label.sum(dim=0).clamp(min=1)
    about = {"run": str(run), "seed": seed, "errors": _by_class(error, data.taxonomy)}
    removed_shares = _by_class(shares, data.taxonomy)
    write_json(
        about_path(out),
        about
        | {"removed": removed_shares, "inputs": {str(run): sha256(run / runs.WEIGHTS)}},
    )
    return Exchanged(out, removed_shares)


def noise_ratios(
    run: Path, out: Path, *, settings: NoiseEstimate | None = None
) -> ByClass:
    """Write, per modality and class, what share of the training videos' tags an estimator takes for noise."""
    chosen = settings or NoiseEstimate()
    trained, data, inputs = _training_videos(run)
    said = training.predict(trained.model, inputs).modality
    weak_label = torch.from_numpy(data.weak_label())
    ratios = pseudo_labels.noise_ratios(
        said, weak_label, inputs.mask.any(dim=1), chosen
    )
    by_class = _by_class(ratios, data.taxonomy)
    used = {str(run): sha256(run / runs.WEIGHTS)}
    write_json(
        out,
        {
            "ratios": by_class,
            "run": str(run),
            "settings": asdict(chosen),
            "inputs": used,
        },
    )
    return by_class


def remover(settings: Removal, taxonomy: Taxonomy) -> Remover:
    """What removes noisy tags batch by batch, with the ratios of a file that `noise_ratios` wrote."""
    if not settings.ratios:
        raise RecipeError(
            "the recipe names no noise ratios", fix="give --set removal.ratios=FILE"
        )
    path = Path(settings.ratios)
    try:
        found = json.loads(path.read_text(encoding="utf-8"))["ratios"]
        rows = [
            [float(found[modality][name]) for name in taxonomy.classes]
            for modality in MODALITIES
        ]
    except (OSError, KeyError, TypeError, ValueError) as error:
        what = f"no noise ratios of these classes: {error!r}"
        raise RecipeError(
            what, file=path, fix="make them with an estimator on this data set"
        ) from None
    return Remover(settings, torch.tensor(rows, dtype=torch.float64))


def _training_videos(run: Path) -> tuple[Run, Annotations, Inputs]:
    """The run, and the videos that it was trained on."""
    trained = runs.load(run)
    everything = read_data(trained.recipe.data)
    if everything.taxonomy.classes != trained.taxonomy.classes:
        fix = "use the run's own data"
        raise AnnotationError(
            "its classes are not those of the run", file=everything.source, fix=fix
        )
    data = everything.by_split().get("train", everything)
    store = Path(trained.recipe.store)
    data, _ = usable(data, store, trained.recipe.encoders)
    return trained, data, read_inputs(store, trained.recipe.encoders, data.ids)


def _by_class(values: Float[Tensor, "modality class"], taxonomy: Taxonomy) -> ByClass:
    return {
        m: dict(zip(taxonomy.classes, row.tolist(), strict=True))
        for m, row in zip(MODALITIES, values, strict=True)
    }

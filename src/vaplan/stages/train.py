"""Training as a stage: a recipe to a run folder, and PLD: a run and its labels to better labels."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
from jaxtyping import Bool
from torch import Tensor, nn

from vaplan import pseudo_labels, runs, training
from vaplan.annotations import Annotations, read_table
from vaplan.annotations.table import write_rows
from vaplan.arrays import MODALITIES, Inputs, Target
from vaplan.errors import AnnotationError, RecipeError, RunError
from vaplan.localisation import one_label
from vaplan.metrics.ave import label_accuracy
from vaplan.metrics.llp import llp
from vaplan.pseudo_labels import Denoising
from vaplan.recipe import DENSE, Recipe, dump
from vaplan.runs import Run
from vaplan.stages.data import input_hashes, read_data, read_inputs, usable
from vaplan.stages.label import about_path
from vaplan.stages.scores import scored
from vaplan.stages.soft import label_rows, read_soft, refuse_soft
from vaplan.stages.tags import remover
from vaplan.store import stores
from vaplan.taxonomy import Taxonomy
from vaplan.training import ACCURACY, Checkpoints, Epoch
from vaplan.writing import sha256, write_json


def train(
    recipe: Recipe,
    run: Path,
    *,
    on_epoch: Callable[[Epoch], None] | None = None,
    resume: bool = False,
    overwrite: bool = True,
    checkpoint_seconds: float = 30.0,
) -> Run:
    """Train the recipe's network on split `train` (on everything where there are no splits) and save the run.

    A run folder that holds exactly this training already is read, not made again. While it lasts, a checkpoint is
    written every `checkpoint_seconds`; with `resume` a killed training goes on from it, to the same bits. Of several
    processes (`torchrun`) the first writes. Without `overwrite` a folder that holds another training is an error.
    """
    for name in ("data", "store"):
        if not getattr(recipe, name):
            raise RecipeError(
                f"the recipe names no {name}",
                fix=f"give --{name}, or write `{name}: …`",
            )
    everything, store = read_data(recipe.data), Path(recipe.store)
    recipe = with_encoders(recipe, store)
    data, _ = usable(_split(everything, "train") or everything, store, recipe.encoders)
    hashes = _hashes(recipe, everything, store)
    if runs.is_done(run, recipe, hashes):
        return runs.load(run)
    if not overwrite and (run / runs.WEIGHTS).is_file():
        what = "it holds another finished training: another recipe, or other data, features or labels"
        raise RunError(
            what, file=run, fix="name another folder with --run, or say --overwrite"
        )
    inputs = read_inputs(store, recipe.encoders, data.ids, overflow=run)
    pseudo = read_labels(Path(recipe.labels), data, inputs) if recipe.labels else None
    soft = read_soft(Path(recipe.soft), data, inputs.mask) if recipe.soft else None
    sizes = feature_sizes(inputs)
    model = runs.make_model(recipe, feature_sizes=sizes, classes=len(data.taxonomy))
    of = hashlib.sha256(
        json.dumps([dump(recipe), hashes], sort_keys=True).encode()
    ).hexdigest()
    checkpoints = Checkpoints(
        run / runs.CHECKPOINT, of=of, seconds=checkpoint_seconds, resume=resume
    )
    with training.board(run / runs.BOARD, on_epoch) as tell:
        history = training.fit(
            model,
            inputs,
            Target(torch.from_numpy(data.weak_label()), pseudo, soft),
            settings=recipe.training,
            losses=recipe.losses,
            validate=validation(everything, recipe)
            if recipe.training.validates
            else None,
            on_epoch=tell,
            revise=remover(recipe.removal, data.taxonomy) if recipe.removal else None,
            teacher=recipe.teacher,
            checkpoints=checkpoints,
        )
    made = {
        "annotations": everything.version,
        "compute": asdict(training.place(recipe.training)),
    }
    segments = inputs.mask.shape[1]
    trained = Run(
        run,
        recipe,
        data.taxonomy,
        sizes,
        segments,
        tuple(history),
        model.eval(),
        hashes,
        made=made,
    )
    if not training.leads():
        return trained
    saved = runs.save(scored(trained, everything, store))
    checkpoints.remove()
    return saved


def with_encoders(recipe: Recipe, store: Path) -> Recipe:
    """The recipe with every encoder named: those of the store where it says nothing."""
    held = [*stores(store)]
    audio, visual = (
        tuple(
            name.removeprefix(f"{modality}:")
            for name in held
            if name.startswith(f"{modality}:")
        )
        or ("embedded",)
        for modality in MODALITIES
    )
    return replace(recipe, audio=recipe.audio or audio, visual=recipe.visual or visual)


def _hashes(recipe: Recipe, data: Annotations, store: Path) -> dict[str, str]:
    hashes = input_hashes(data, store, recipe.encoders)
    for path in (
        recipe.labels,
        recipe.soft,
        recipe.removal.ratios if recipe.removal else "",
    ):
        if path and path != DENSE:
            hashes[path] = sha256(existing(Path(path)))
    return hashes


def existing(path: Path) -> Path:
    """The file that a recipe names, or one clear line."""
    if not path.is_file():
        raise RecipeError(
            "no such file",
            file=path,
            fix="check labels, soft and removal.ratios of the recipe",
        )
    return path


def feature_sizes(inputs: Inputs) -> runs.FeatureSizes:
    """The sizes of the feature streams, per modality."""
    audio, visual = (
        tuple(stream.shape[-1] for stream in streams) for streams in inputs.streams
    )
    return audio, visual


def read_labels(
    table: Path, data: Annotations, inputs: Inputs
) -> Bool[Tensor, "video time modality class"]:
    """The pseudo labels of these videos on the grid of their features, or their own dense labels for `dense`."""
    dense = str(table) == DENSE
    refuse_soft(table)
    labels = data if dense else read_table(table, taxonomy=data.taxonomy)
    absent = [video for video in data.ids if video not in labels.events]
    if absent and dense:
        what = f"no dense labels for {len(absent)} of {len(data.ids)} videos, the first is {absent[0]!r}"
        raise AnnotationError(
            what, file=data.source, fix="name a table of labels instead of `dense`"
        )
    if absent:
        what = f"no pseudo labels for {len(absent)} of {len(data.ids)} videos, the first is {absent[0]!r}"
        raise AnnotationError(
            what, file=table, fix="run `vaplan label` on this data set and store"
        )
    return torch.from_numpy(labels.ordered(data.ids).reference(inputs.mask.shape[1]))


def validation(data: Annotations, recipe: Recipe) -> training.Validate:
    """The recipe's `select_by` on the densely labelled videos of `select_on`, by its decision rule and threshold."""
    how = recipe.training
    if how.select_by == ACCURACY and not data.localisation:
        fix = "select by `segment type`, or write `task: localisation` into the taxonomy file of the table"
        raise RecipeError(
            "select_by: accuracy needs a data set of localisation", fix=fix
        )
    val = _split(data, how.select_on)
    ids = val.labelled_ids() if val else []
    if not val or not ids:
        what = f"select: best needs densely labelled videos in split {how.select_on}"
        raise RecipeError(what, fix="write select: last")
    kept, _ = usable(val.ordered(ids), Path(recipe.store), recipe.encoders)
    inputs = read_inputs(Path(recipe.store), recipe.encoders, kept.ids)
    reference = kept.reference(inputs.mask.shape[1])

    def score(model: nn.Module) -> float:
        said = training.predict(model, inputs)
        decided = training.decide(
            said, rule=recipe.decision.rule, threshold=recipe.decision.threshold
        )
        if how.select_by == ACCURACY:
            return label_accuracy(reference, one_label(decided, said.segment).numpy())
        level, kind = how.select_by.split()
        return llp(reference, decided.numpy())[level][kind]

    return score


@dataclass(frozen=True)
class Denoised:
    """What `denoise` did: how many labels it set and how many it took away, per modality and class."""

    table: Path
    flips: dict[str, dict[str, dict[str, int]]]
    rule: str = "pld"


def denoise(
    run: Path,
    labels: Path,
    out: Path,
    *,
    settings: Denoising | None = None,
    rounds: int = 1,
) -> Denoised:
    """Write the labels with those flipped whose forward loss stands out along the timeline (PLD).

    Every video of the table is treated; the score of a label is the parser's probability. Of localisation it is the
    labels that are in both modalities which are denoised, whatever `settings` says of modalities.

    Args:
        rounds: How often. Before each further round the run's recipe is trained again on what the last one left; its
            labels and run stand in a folder beside `out`, named like it.

    Returns:
        What the last round did.
    """
    settings, folder = settings or Denoising(), out.with_suffix("")
    for turn in range(1, rounds):
        labels = _denoise(run, labels, folder / f"labels_{turn}.csv", settings).table
        run = train(
            replace(runs.load(run).recipe, labels=str(labels)),
            folder / f"run_{turn + 1}",
        ).folder
    return _denoise(run, labels, out, settings)


def _denoise(run: Path, labels: Path, out: Path, settings: Denoising) -> Denoised:
    trained = runs.load(run)
    data = _same_classes(read_data(trained.recipe.data), trained.taxonomy)
    table = read_table(labels, taxonomy=data.taxonomy)
    data, _ = usable(
        data.ordered([v for v in data.ids if v in table.events]),
        _store(trained),
        trained.recipe.encoders,
    )
    inputs = read_inputs(_store(trained), trained.recipe.encoders, data.ids)
    before = read_labels(labels, data, inputs)
    if data.localisation:
        before = before.all(dim=2, keepdim=True).expand_as(before)
        settings = replace(settings, modalities=MODALITIES)
    said = training.predict(trained.model, inputs)
    probability = (
        pseudo_labels.given_tags(said) if settings.given_tags else said.segment
    )
    loss = pseudo_labels.forward_loss(probability, before)
    weak_label = torch.from_numpy(data.weak_label())
    after = pseudo_labels.flip_suspicious(
        before, loss, weak_label, inputs.mask, settings
    )
    write_rows(
        out, label_rows(data.ids, after.numpy(), probability.numpy(), data.taxonomy)
    )
    flips = count_flips(before, after, data.taxonomy)
    inputs_used = {str(labels): sha256(labels), str(run): sha256(run / runs.WEIGHTS)}
    write_json(
        about_path(out),
        {"run": str(run), **asdict(settings), "flips": flips, "inputs": inputs_used},
    )
    return Denoised(out, flips)


def count_flips(
    before: Bool[Tensor, "video time modality class"],
    after: Bool[Tensor, "video time modality class"],
    taxonomy: Taxonomy,
) -> dict[str, dict[str, dict[str, int]]]:
    """Per modality and class: how many labels were set (0 to 1) and how many taken away (1 to 0)."""
    set_, taken = (after & ~before).sum(dim=(0, 1)), (before & ~after).sum(dim=(0, 1))
    return {
        modality: {
            name: {"set": int(set_[m, c]), "taken": int(taken[m, c])}
            for c, name in enumerate(taxonomy.classes)
        }
        for m, modality in enumerate(MODALITIES)
    }


def _store(run: Run) -> Path:
    return Path(run.recipe.store)


def _split(data: Annotations, split: str) -> Annotations | None:
    return (
        data.select(split)
        if any(video.split == split for video in data.videos)
        else None
    )


def _same_classes(data: Annotations, taxonomy: Taxonomy) -> Annotations:
    if data.taxonomy.classes != taxonomy.classes:
        raise AnnotationError(
            "its classes are not those of the run",
            file=data.source,
            fix="use the run's own data",
        )
    return data

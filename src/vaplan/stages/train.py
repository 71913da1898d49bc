"""`vaplan train`: a recipe becomes a run folder (PLE with a recipe such as `ple`)."""

import hashlib
import json
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, replace
from pathlib import Path

from torch import nn

from vaplan import runs, training
from vaplan.annotations import Annotations, read_data
from vaplan.arrays import Target
from vaplan.dataset import Dataset, input_hashes, select_encoders
from vaplan.decisions import decide, keep_one_label
from vaplan.errors import RecipeError, RunError, UsageError
from vaplan.locks import lock_folder
from vaplan.metrics.ave import label_accuracy
from vaplan.metrics.llp import llp_scores
from vaplan.ragged import Ragged
from vaplan.recipe import DENSE, Recipe, dump, read
from vaplan.runs import Run
from vaplan.stages.evaluate import (
    check_segment_thresholds,
    score_run,
    select_training_videos,
)
from vaplan.training import ACCURACY, Checkpoints, Epoch
from vaplan.training.label_removal import load_removal
from vaplan.workers import Progress
from vaplan.writing import PART, sha256


def train(
    recipe: Recipe | Path | str,
    run: Path | str,
    *,
    changes: Sequence[str] = (),
    progress: Progress | None = None,
    resume: bool = False,
    overwrite: bool = True,
    checkpoint_seconds: float = 30.0,
) -> Run:
    """Train the network of a recipe on split `train` and save the run.

    Without splits it is trained on all videos. A folder that already contains this
    training is loaded instead. Of several processes (`torchrun`) the first one writes.

    Args:
        recipe: Recipe, its file, or the name of a shipped recipe.
        run: Run folder to write.
        changes: Changes of a recipe that is given by file or name, as `key=value` with
            dots for nested keys; at least `data=…` and `store=…` for a shipped recipe.
        progress: Called after every epoch. A training that stops early, or that continues
            a checkpoint, has fewer calls than epochs.
        resume: Continue from the checkpoint of an interrupted training, to the same bytes.
        overwrite: Replace another finished training in the folder.
        checkpoint_seconds: Seconds between checkpoints.

    Raises:
        UsageError: `changes` of a `Recipe`.
        RecipeError: The recipe lacks data or a store, or a file does not exist.
        RunError: The folder contains another finished training and `overwrite` is false.
        MachineError: Another process trains into the folder.
    """
    run = Path(run)
    if not isinstance(recipe, Recipe):
        recipe = read(recipe, changes=changes)
    elif changes:
        raise UsageError(
            "changes are for a recipe that is given by file or name",
            fix="change the Recipe with dataclasses.replace",
        )
    _check_data_and_store(recipe)

    data = read_data(recipe.data)
    check_segment_thresholds(recipe, data)
    recipe = with_encoders(recipe, Path(recipe.store))
    dataset = Dataset.with_features(
        select_training_videos(data, with_dense_val=recipe.train_on_dense_val),
        Path(recipe.store),
        recipe.encoders,
        overflow=run,
    )
    hashes = _input_hashes(recipe, data)
    if runs.is_done(run, recipe, hashes):
        _remove_leftovers(run)
        return runs.load(run)

    with _lock_run(run):
        if not overwrite:
            _refuse_other_training(run)
        checkpoints = Checkpoints(
            run / runs.CHECKPOINT,
            fingerprint=_training_hash(recipe, hashes),
            seconds=checkpoint_seconds,
            resume=resume,
        )
        trained = _train(run, recipe, data, dataset, checkpoints, progress)
        trained = replace(trained, inputs=hashes)
        if not training.is_rank_zero():
            return trained
        saved = runs.save(score_run(trained, data, Path(recipe.store)))
        checkpoints.remove()
    return saved


def _check_data_and_store(recipe: Recipe) -> None:
    """Raise RecipeError if a recipe lacks its data or its store, as shipped ones do."""
    for name in ("data", "store"):
        if not getattr(recipe, name):
            raise RecipeError(
                f"the recipe names no {name}",
                fix=f"give --{name}, or write `{name}: …`",
            )


def _refuse_other_training(run: Path) -> None:
    """Raise RunError if the folder contains a finished training."""
    if (run / runs.WEIGHTS).is_file():
        raise RunError(
            "it contains another finished training: "
            "another recipe, or other data, features or labels",
            file=run,
            fix="give another folder with --run, or add --overwrite",
        )


def _remove_leftovers(run: Path) -> None:
    """Remove what a job that was killed at its very end left in a finished run folder."""
    checkpoint = run / runs.CHECKPOINT
    is_clean = not checkpoint.exists() and not any(run.glob(f".*{PART}"))
    if is_clean or not training.is_rank_zero():
        return
    with _lock_run(run):  # the lock removes temporary files
        checkpoint.unlink(missing_ok=True)


def _lock_run(run: Path) -> AbstractContextManager[None]:
    """Lock the run folder; of several processes only the first one writes into it."""
    if training.is_rank_zero():
        return lock_folder(run, kind="run folder", again=True)  # `fit` has locked it
    return nullcontext()


def _train(
    run: Path,
    recipe: Recipe,
    data: Annotations,
    dataset: Dataset,
    checkpoints: Checkpoints,
    progress: Progress | None,
) -> Run:
    """Train the network of a recipe on a data set, without saving it."""
    inputs = dataset.inputs
    target = read_target(recipe, dataset)
    taxonomy = dataset.annotations.taxonomy
    model = runs.make_model(
        recipe,
        feature_sizes=inputs.values.feature_sizes,
        classes=len(taxonomy),
        text=dataset.embed_texts() if recipe.model.text_similarity else (),
    )

    target_hook = load_removal(recipe.removal, taxonomy) if recipe.removal else None
    validates = recipe.training.validates
    epochs = recipe.training.epochs

    def report(epoch: Epoch) -> None:
        if progress:
            progress(int(epoch["epoch"]), epochs, "")

    with training.tensorboard_logger(run / runs.TENSORBOARD, report) as log_epoch:
        history = training.fit(
            model,
            inputs,
            target,
            settings=recipe.training,
            losses=recipe.losses,
            validate=make_validation(data, recipe) if validates else None,
            on_epoch=log_epoch,
            target_hook=target_hook,
            teacher=recipe.teacher,
            checkpoints=checkpoints,
        )

    environment = {
        "annotations": data.version,
        "compute": asdict(training.resolve_compute(recipe.training)),
    }
    training.leave_process_group()
    return Run(
        run,
        recipe,
        taxonomy,
        inputs.values.feature_sizes,
        tuple(history),
        model.eval(),
        environment=environment,
    )


def read_target(recipe: Recipe, dataset: Dataset) -> Ragged[Target]:
    """Read the labels that a recipe names.

    Args:
        recipe: Recipe with the tables of labels and label probabilities.
        dataset: Videos to read labels of.
    """
    pseudo = None
    probability = None
    if recipe.labels:
        pseudo = dataset.labels(
            Path(recipe.labels), dense_val=recipe.train_on_dense_val
        ).values
    if recipe.label_probability:
        table = Path(recipe.label_probability)
        probability = dataset.label_probability(table).values
    target = Target(dataset.weak_label, pseudo, probability)
    return Ragged(target, dataset.lengths)


def with_encoders(recipe: Recipe, store: Path) -> Recipe:
    """Name the encoders of a recipe: by default all encoders of the store.

    Args:
        recipe: Recipe.
        store: Feature store.
    """
    audio, visual = select_encoders(store, (recipe.audio or (), recipe.visual or ()))
    return replace(recipe, audio=tuple(audio), visual=tuple(visual))


def make_validation(data: Annotations, recipe: Recipe) -> training.Validate:
    """Make the function that scores a network after each epoch.

    It computes the recipe's `select_by` on the densely labelled videos of `select_on`.

    Args:
        data: Data set with all splits.
        recipe: Recipe of the training.

    Raises:
        RecipeError: The split has no dense labels, or accuracy is asked for in a data set
            that is not for localisation.
    """
    settings = recipe.training
    if settings.select_by == ACCURACY and not data.localisation:
        raise RecipeError(
            "select_by: accuracy needs a localisation data set",
            fix="select by `segment type`, or write `task: localisation` into the "
            "taxonomy file of the table",
        )
    split = _select_split(data, settings.select_on)
    ids = split.labelled_ids() if split else []
    if not split or not ids:
        raise RecipeError(
            f"select: best needs densely labelled videos in split {settings.select_on}",
            fix="write select: last",
        )
    dataset = Dataset.with_features(
        split.select_videos(ids), Path(recipe.store), recipe.encoders
    )
    reference = dataset.reference().numpy()

    def score(model: nn.Module) -> float:
        prediction = training.predict(model, dataset.inputs, window=settings.window)
        rows = prediction.rows()
        marked = decide(
            rows, rule=recipe.decision.rule, threshold=recipe.decision.threshold
        )
        if settings.select_by == ACCURACY:
            marked = keep_one_label(marked, rows.segment)
            estimate = prediction.from_rows(marked).numpy()
            return label_accuracy(reference, estimate)
        level, kind = settings.select_by.split()
        estimate = prediction.from_rows(marked).numpy()
        return llp_scores(reference, estimate).percent()[level][kind]

    return score


def _input_hashes(recipe: Recipe, data: Annotations) -> dict[str, str]:
    hashes = input_hashes(data, Path(recipe.store), recipe.encoders)
    ratios = recipe.removal.ratios if recipe.removal else ""
    for path in (recipe.labels, recipe.label_probability, ratios):
        if path and path != DENSE:
            hashes[path] = sha256(_existing_file(Path(path)))
    return hashes


def _training_hash(recipe: Recipe, hashes: dict[str, str]) -> str:
    text = json.dumps([dump(recipe), hashes], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _existing_file(path: Path) -> Path:
    if not path.is_file():
        raise RecipeError(
            "no such file",
            file=path,
            fix="check labels, label_probability and removal.ratios of the recipe",
        )
    return path


def _select_split(data: Annotations, split: str) -> Annotations | None:
    has_split = any(video.split == split for video in data.videos)
    return data.select(split) if has_split else None

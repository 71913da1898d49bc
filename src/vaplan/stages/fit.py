"""`vaplan fit`: a parser from a user's own tagged videos in one call.

The steps are features, label, train, refine, train.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from vaplan import recipe as recipes
from vaplan import runs
from vaplan.annotations import Annotations, read_data
from vaplan.annotations.rows import Row
from vaplan.annotations.table import read_rows, write_rows
from vaplan.annotations.tags import read_tags, similar_names
from vaplan.dataset import Encoders
from vaplan.encoders.compute import AUTO_COMPUTE, Compute
from vaplan.errors import RunError
from vaplan.media import CENTRE
from vaplan.runs import Run
from vaplan.stages.features import features
from vaplan.stages.label import label
from vaplan.stages.refine import refine
from vaplan.stages.train import train
from vaplan.workers import Progress

Message = Callable[[str], None]
ProgressBars = Callable[[str, str], Progress | None]  # by name and unit of the steps

MIN_TRAINING_VIDEOS = 4  # for refinement by out-of-fold parsers


def _ignore_message(_: str) -> None:
    """Do nothing."""


def fit(
    tags: Path | str,
    media: Path | str,
    run: Path | str,
    *,
    encoders: Encoders,
    workers: int | None = None,
    compute: Compute = AUTO_COMPUTE,
    sampling: str = CENTRE,
    allow_outside: bool = False,
    overwrite: bool = False,
    message: Message = _ignore_message,
    progress: Progress | None = None,
    bars: ProgressBars | None = None,
) -> tuple[Run, tuple[tuple[str, str], ...]]:
    """Train a parser with the recipe `default` on a CSV of `path,tags` or `video,tags`.

    The run folder also keeps the intermediate files: `annotations.csv`, `store`,
    `labels.csv`, `label_probability.csv`, `labels_refined.csv` and the first training in
    `first`. The same call continues where an interrupted one stopped.

    Args:
        tags: CSV of tags; see `annotations.tags.read_tags`.
        media: Folder of the media files.
        run: Run folder to write.
        encoders: Names of the encoders per modality.
        workers: Number of worker processes for decoding and encoding.
        compute: Device and precision of the encoders.
        sampling: Name of the frame sampling.
        allow_outside: Accept paths that lead out of the media folder.
        overwrite: Replace a finished run that was trained on other tags.
        message: Called with lines about the data and the steps.
        progress: Called after every video of `features`, then after every epoch of each
            training; every step counts from 1.
        bars: Makes a callback for each step from its name and unit, in place of
            `progress`.

    Returns:
        The run, and the ids of unreadable files with reasons.

    Raises:
        RunError: The folder contains a finished run that was trained on other tags, and
            `overwrite` is false.
    """
    if bars is None:

        def bars(_name: str, _unit: str) -> Progress | None:
            return progress

    run = Path(run)
    rows = read_tags(Path(tags))
    table = run / "annotations.csv"
    if not overwrite:
        _refuse_other_tags(table, rows)
    write_rows(table, rows)
    data = read_data(f"table:{table}")
    store = run / "store"
    classes = data.taxonomy.classes
    message(f"{len(data.videos)} videos, {len(classes)} classes: {', '.join(classes)}")
    for first, second in similar_names(classes):
        message(
            f"warning: {first!r} and {second!r} are two classes; "
            f"if they are one, give them one name in {tags}"
        )
    outcome = features(
        data,
        media,
        store,
        encoders=encoders,
        workers=workers,
        compute=compute,
        sampling=sampling,
        allow_outside=allow_outside,
        progress=bars("features", "videos"),
    )
    probability = run / "label_probability.csv" if _can_refine(data) else None
    labelling = label(
        data,
        store,
        run / "labels.csv",
        encoders=encoders,
        label_probability=probability,
    )
    for modality in labelling.thresholds:
        message(f"pseudo labels: {labelling.describe_thresholds(modality)}")
    recipe = replace(
        recipes.read("default"),
        data=f"table:{table}",
        store=str(store),
        labels=str(labelling.table),
        audio=tuple(encoders[0]),
        visual=tuple(encoders[1]),
    )
    if probability:
        message("training, refining the labels by out-of-fold parsers, training again")
        first_run = train(recipe, run / "first", progress=bars("train", "epochs"))
        refined = refine(
            first_run.folder,
            labelling.table,
            run / "labels_refined.csv",
            label_probability=probability,
            progress=bars("refine", "epochs"),
        )
        recipe = replace(recipe, labels=str(refined.table))
    trained = train(recipe, run, progress=bars("train", "epochs"))
    return trained, outcome.failed


def _refuse_other_tags(table: Path, rows: Sequence[Row]) -> None:
    """Raise RunError if a finished run was trained on other tags, and say what differs."""
    run = table.parent
    if not table.is_file() or not (run / runs.DESCRIPTION).is_file():
        return
    tags_before = _tags_by_video(read_rows(table).rows)
    tags_now = _tags_by_video(rows)
    added = len(tags_now.keys() - tags_before.keys())
    removed = len(tags_before.keys() - tags_now.keys())
    changed = sum(
        tags_before[video] != tags_now[video]
        for video in tags_before.keys() & tags_now.keys()
    )
    if added or removed or changed:
        raise RunError(
            f"it contains a finished run that was trained on other tags: {added} videos "
            f"are new, {removed} are gone and {changed} have other tags",
            file=run,
            fix="give another folder with --run, or add --overwrite to train again; "
            "features of the videos that stay are kept",
        )


def _tags_by_video(rows: Sequence[Row]) -> dict[str, set[str]]:
    tags = defaultdict[str, set[str]](set)
    for row in rows:
        tags[row.video].add(row.class_name)
    return tags


def _can_refine(data: Annotations) -> bool:
    """Return whether some video lacks a class and there are enough training videos."""
    classes = set(data.taxonomy.classes)
    has_absent_class = any(set(video.tags) != classes for video in data.videos)
    training_videos = sum(video.split == "train" for video in data.videos)
    return has_absent_class and training_videos >= MIN_TRAINING_VIDEOS

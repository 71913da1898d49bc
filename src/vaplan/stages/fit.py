"""`vaplan fit`: a parser from a user's own tagged videos in one call.

The steps are features, label, train, refine, train.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from vaplan import recipe as recipes
from vaplan import runs
from vaplan.annotations import Annotations, read_data
from vaplan.annotations.corrections import (
    TEST,
    VAL,
    Corrections,
    apply_corrections,
)
from vaplan.annotations.folders import read_folder_tags
from vaplan.annotations.rows import Row
from vaplan.annotations.table import TAXONOMY_SUFFIXES, read_rows, write_rows
from vaplan.annotations.tags import read_tags, similar_names
from vaplan.dataset import Dataset, Encoders, read_lengths, select_encoders
from vaplan.encoders.compute import AUTOMATIC, Compute
from vaplan.errors import RunError, UsageError
from vaplan.locks import lock_folder
from vaplan.media import CENTRE
from vaplan.pseudo_labels.evidence import are_informative
from vaplan.pseudo_labels.rules import HMM
from vaplan.reading import plain_text
from vaplan.recipe import Decision
from vaplan.runs import Run
from vaplan.stages.evaluate import evaluate_run
from vaplan.stages.features import features
from vaplan.stages.label import label
from vaplan.stages.refine import MIN_DENSE_VIDEOS, refine
from vaplan.stages.train import train
from vaplan.taxonomy import read_task, read_taxonomy
from vaplan.workers import Engine, FileProgress, Progress
from vaplan.workers.processes import run_in_order
from vaplan.writing import write_text

Message = Callable[[str], None]
ProgressBars = Callable[[str, str], Progress | None]  # by name and unit of the steps

MIN_TRAINING_VIDEOS = 4  # for refinement by out-of-fold parsers
# On synthetic data a parser of fewer tagged videos was worse than zero-shot parsing; see
# benchmarks/results/small_data.md.
FEW_VIDEOS = 100
TEST_SHARE = 0.3  # of the corrected videos, to measure
SHOWN_SCORES = ("audio", "visual", "audio_visual", "type")


def _ignore_message(_: str) -> None:
    """Do nothing."""


def fit(
    tags: Path | str,
    media: Path | str | None,
    run: Path | str,
    *,
    encoders: Encoders | None = None,
    taxonomy: Path | str | None = None,
    tags_from_folders: bool = False,
    workers: int | None = None,
    engine: Engine = run_in_order,
    compute: Compute = AUTOMATIC,
    sampling: str = CENTRE,
    allow_outside: bool = False,
    add: bool = False,
    overwrite: bool = False,
    corrections: Corrections | None = None,
    test_share: float = TEST_SHARE,
    message: Message = _ignore_message,
    progress: Progress | None = None,
    bars: ProgressBars | None = None,
    file_progress: FileProgress | None = None,
    pipeline: bool | None = None,
) -> tuple[Run, tuple[tuple[str, str], ...]]:
    """Train a parser with the recipe `default` on a table of tags, or on folders named by tags.

    The run folder also keeps the intermediate files: `annotations.csv`, `store`,
    `labels.csv`, `label_probability.csv`, `labels_refined.csv` and the first training in
    `first`. The same call continues where an interrupted one stopped.

    Args:
        tags: Table of tags; see `annotations.tags.read_tags`. With `tags_from_folders` the
            folder of the videos; see `annotations.folders.read_folder_tags`.
        media: Folder of the media files; None with `tags_from_folders`.
        run: Run folder to write.
        encoders: Names of the encoders per modality; by default those of the run in the folder,
            or else the embedded ones.
        taxonomy: Taxonomy file with the classes, and with prompts for them; its copy stays in
            the run folder. By default the classes are the tags.
        tags_from_folders: The tags are the names of the folders that the videos lie in.
        workers: Number of worker processes for decoding and encoding.
        engine: Runs these workers.
        compute: Device and precision of the encoders.
        sampling: Name of the frame sampling.
        allow_outside: Accept paths that lead out of the media folder.
        add: Add the videos to those of the run and train again; a video that the run has
            already gets its new tags. Only new videos are encoded.
        overwrite: Replace a finished run that was trained on other tags.
        corrections: Events that a person corrected. These videos become densely labelled
            videos of split `val`, on which the refinement is fitted and the parser is trained
            too, or of split `test`, on which F is measured.
        test_share: Share of the corrected videos in split `test`.
        message: Called with lines about the data and the steps.
        progress: Called after every video of `features`, then after every epoch of each
            training; every step counts from 1.
        bars: Makes a callback for each step from its name and unit, in place of
            `progress`.
        file_progress: Called within videos that take longer than a few seconds to encode.
        pipeline: Encode in one process for each device; see `stages.features`.

    Returns:
        The run, and the ids of unreadable files with reasons.

    Raises:
        UsageError: `media` is missing, or given beside folders that are the tags.
        RunError: The folder contains a finished run that was trained on other tags, and
            both `add` and `overwrite` are false.
        MachineError: Another process writes into the run folder.
    """
    if bars is None:

        def bars(_name: str, _unit: str) -> Progress | None:
            return progress

    run = Path(run)
    encoders = encoders or encoders_of_run(run)
    rows, media = _read_tags_and_media(
        Path(tags), media, tags_from_folders=tags_from_folders, message=message
    )
    with lock_folder(run, kind="run folder"):
        table = run / "annotations.csv"
        if add:
            rows = _add_to_run(table, rows, message)
        elif not overwrite:
            corrected = corrections.rows.keys() if corrections else ()
            _refuse_other_tags(table, rows, corrected)
        if corrections:
            rows = apply_corrections(rows, corrections, test_share=test_share)
        else:
            _note_unused_corrections(table, rows, message)
        if taxonomy:
            _copy_taxonomy(Path(taxonomy), table)
        write_rows(table, rows)

        data = read_data(f"table:{table}")
        for line in _describe_data(data, tags, is_corrected=bool(corrections)):
            message(line)

        store = run / "store"
        outcome = features(
            data,
            media,
            store,
            encoders=encoders,
            workers=workers,
            engine=engine,
            compute=compute,
            sampling=sampling,
            allow_outside=allow_outside,
            progress=bars("features", "videos"),
            file_progress=file_progress,
            pipeline=pipeline,
        )

        dataset = Dataset.with_features(data, store, encoders)
        is_informative = _tags_are_informative(dataset)
        can_refine = _can_refine(dataset, is_informative=is_informative)
        probability = run / "label_probability.csv" if can_refine else None
        labelling = label(
            data,
            store,
            run / "labels.csv",
            encoders=encoders,
            out_probability=probability,
            rule=HMM if probability else None,
        )
        for line in labelling.describe():
            message(line)
        if _count_training_videos(data) < FEW_VIDEOS:
            message(_describe_few_videos(data, labelling.table))

        recipe = replace(
            recipes.read("default"),
            data=f"table:{table}",
            store=str(store),
            labels=str(labelling.table),
            audio=tuple(encoders[0]),
            visual=tuple(encoders[1]),
            decision=Decision(segments="matched"),
        )
        if not is_informative:
            message(
                "the tags allow nearly every label, so the parser learns from the labels of "
                "the segments alone"
            )
            recipe = without_tags(recipe)
        if probability:
            refined = _refine_labels(
                recipe, run, probability, message=message, bars=bars
            )
            recipe = replace(recipe, labels=str(refined))
        if data.dense_indices(VAL):
            recipe = replace(recipe, train_on_dense_val=True)
        trained = _train(recipe, run, message=message, progress=bars("train", "epochs"))

        if corrections and data.dense_indices(TEST):
            message(_describe_scores(trained, data, store))
        return trained, outcome.failed


def encoders_of_run(run: Path) -> Encoders:
    """Return the encoders of a run, or the embedded ones in another folder.

    A call that ended inside the saving of the run leaves no recipe, but the store.

    Args:
        run: Folder of a run.
    """
    if (run / runs.RECIPE).is_file():
        return recipes.read(run / runs.RECIPE).encoders
    return select_encoders(run / "store")


def _copy_taxonomy(source: Path, table: Path) -> None:
    """Copy a taxonomy file beside a table, in place of the one that is there."""
    if read_task(source) == "localisation":
        raise UsageError(
            "its task is localisation, which a parser of tags alone does not learn",
            file=source,
            fix="leave `task` out",
        )
    read_taxonomy(source)
    text = plain_text(source)
    for suffix in TAXONOMY_SUFFIXES:
        copy = table.with_suffix(suffix)
        if suffix.endswith(source.suffix):
            write_text(copy, text)
        elif copy.exists():
            copy.unlink()


def _describe_data(
    data: Annotations, tags: Path | str, *, is_corrected: bool
) -> Iterator[str]:
    """Describe the videos and classes, and warn of names that may mean one class."""
    classes = data.taxonomy.classes
    yield f"{len(data.videos)} videos, {len(classes)} classes: {', '.join(classes)}"
    for first, second in similar_names(classes):
        yield (
            f"warning: {first!r} and {second!r} are two classes; "
            f"if they are one, give them one name in {tags}"
        )
    if is_corrected:
        yield _describe_corrections(data)


def _describe_corrections(data: Annotations) -> str:
    counts = {split: len(data.dense_indices(split)) for split in (VAL, TEST)}
    rest = sum(video.split == "train" for video in data.videos)
    text = (
        f"{sum(counts.values())} corrected videos: {counts[VAL]} to fit on, {counts[TEST]} to "
        f"measure; {rest} videos with tags alone"
    )
    if counts[VAL] < MIN_DENSE_VIDEOS:
        text += (
            f"; from {MIN_DENSE_VIDEOS} to fit on, the refinement is fitted on them, until "
            "then it reads tags alone"
        )
    return text


def _describe_scores(run: Run, data: Annotations, store: Path) -> str:
    """Describe F on the corrected videos that were kept to measure."""
    result = evaluate_run(run, data, store, TEST)
    f = result.numbers()["segment"]
    intervals = result.intervals()["segment"]
    parts = list[str]()
    for kind in SHOWN_SCORES:
        low, high = intervals[kind]
        parts.append(f"{kind} {f[kind]:.1f} [{low:.1f}, {high:.1f}]")
    return (
        f"segment-level F on {len(result.data.videos)} corrected videos that were kept to "
        f"measure, with 95 % intervals: {', '.join(parts)}"
    )


def _refine_labels(
    recipe: recipes.Recipe,
    run: Path,
    probability: Path,
    *,
    message: Message,
    bars: ProgressBars,
) -> Path:
    """Train a first parser, and return the table of labels that it helps to refine."""
    message("training, refining the labels by out-of-fold parsers, training again")
    first_run = _train(
        recipe, run / "first", message=message, progress=bars("train", "epochs")
    )
    refined = refine(
        first_run.folder,
        recipe.labels,
        run / "labels_refined.csv",
        label_probability=probability,
        progress=bars("refine", "epochs"),
    )
    return refined.table


def _train(
    recipe: recipes.Recipe, run: Path, *, message: Message, progress: Progress | None
) -> Run:
    """Train, unless the folder contains this very training; report it if another one is replaced."""
    description = run / runs.DESCRIPTION
    before = description.read_bytes() if description.is_file() else None
    trained = train(recipe, run, overwrite=True, progress=progress)
    if before is not None and before != description.read_bytes():
        message(f"run {run}: trained again, because its videos, tags or labels changed")
    return trained


def _add_to_run(table: Path, rows: Sequence[Row], message: Message) -> Sequence[Row]:
    """Return the rows of a run's table and the given ones, which replace those of their videos."""
    old_rows = _read_rows_before(table)
    if not old_rows:
        return rows
    old_ids = {row.video for row in old_rows}
    new_ids = {row.video for row in rows}
    message(
        f"{len(new_ids - old_ids)} videos are new, {len(new_ids & old_ids)} get new tags, "
        f"{len(old_ids - new_ids)} stay as they are"
    )
    return [*(row for row in old_rows if row.video not in new_ids), *rows]


def _note_unused_corrections(
    table: Path, rows: Sequence[Row], message: Message
) -> None:
    """Report how many videos of a run lose the corrections of an earlier call."""
    dropped = _dense_videos(_read_rows_before(table)) - _dense_videos(rows)
    if dropped:
        message(
            f"note: the corrections of {len(dropped)} videos of this run are not used; "
            "give --corrections to use them"
        )


def _read_tags_and_media(
    tags: Path,
    media: Path | str | None,
    *,
    tags_from_folders: bool,
    message: Message,
) -> tuple[Sequence[Row], Path]:
    """Read the tags, and return them with the folder of the media files."""
    if tags_from_folders:
        if media is not None and Path(media).resolve() != tags.resolve():
            raise UsageError(
                f"the tags are the folders of {tags}, so its videos are used",
                file=media,
                fix="leave --media out",
            )
        folder_tags = read_folder_tags(tags)
        for note in folder_tags.notes:
            message(f"note: {note}")
        return folder_tags.rows, tags
    if tags.is_dir():
        raise UsageError(
            "this is a folder and no table of tags",
            file=tags,
            fix="add --tags-from-folders if its folders are named by tags",
        )
    if media is None:
        raise UsageError(
            "the folder of the media files is missing", fix="add --media FOLDER"
        )
    return read_tags(tags), Path(media)


def _refuse_other_tags(
    table: Path, rows: Sequence[Row], corrected: Collection[str]
) -> None:
    """Raise RunError if a finished run was trained on other tags, and name what differs.

    The tags of corrected videos, now or in the run, do not count.
    """
    run = table.parent
    if not table.is_file() or not (run / runs.DESCRIPTION).is_file():
        return
    rows_before = _read_rows_before(table)
    ignored = _dense_videos(rows_before) | set(corrected)
    tags_before = _tags_by_video(rows_before, without=ignored)
    tags_now = _tags_by_video(rows, without=ignored)
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
            fix="give another folder with --run; add --add to add these videos to the run's, or "
            "--overwrite to train on these tags alone. Features are not computed again",
        )


def _tags_by_video(
    rows: Sequence[Row], *, without: Collection[str]
) -> dict[str, set[str]]:
    tags = defaultdict[str, set[str]](set)
    for row in rows:
        if row.video not in without:
            tags[row.video].add(row.class_name)
    return tags


def _read_rows_before(table: Path) -> Sequence[Row]:
    """Read the table that an earlier call wrote; no rows if there was none."""
    return read_rows(table).rows if table.is_file() else ()


def _dense_videos(rows: Sequence[Row]) -> set[str]:
    """Return the videos with events, or with the statement that they have none."""
    return {row.video for row in rows if row.is_dense}


def without_tags(recipe: recipes.Recipe) -> recipes.Recipe:
    """Change a recipe so that it learns from the labels of segments, not from tags.

    Tags that allow nearly every label raise all probabilities: a network that is trained on
    them marks too much (`benchmarks/results/collections_lengths.md`). A gate on the
    probability of a class in the video is then of no use either.

    Args:
        recipe: Recipe with labels.
    """
    decision = replace(recipe.decision, rule="segment")
    return replace(recipe, losses={"segment": 1.0}, decision=decision)


def _tags_are_informative(dataset: Dataset) -> bool:
    lengths = read_lengths(dataset.store, dataset.encoders, dataset.ids)
    return are_informative(dataset.weak_label, lengths)


def _can_refine(dataset: Dataset, *, is_informative: bool) -> bool:
    """Return whether the tags exclude enough, and there are enough training videos."""
    data = dataset.annotations
    has_dense_val = bool(data.dense_indices(VAL)) and not dataset.weak_label.all()
    has_enough_videos = _count_training_videos(data) >= MIN_TRAINING_VIDEOS
    return (is_informative or has_dense_val) and has_enough_videos


def _count_training_videos(data: Annotations) -> int:
    return sum(video.split == "train" for video in data.videos)


def _describe_few_videos(data: Annotations, labels: Path) -> str:
    return (
        f"note: {_count_training_videos(data)} tagged videos are few for a parser. With fewer "
        f"than {FEW_VIDEOS} compare it with `vaplan parse --zero-shot` on new videos; the "
        f"events of the tagged videos are in {labels}, which needs no parser"
    )

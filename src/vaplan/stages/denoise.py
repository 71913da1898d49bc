"""`vaplan denoise`: flip pseudo labels with a suspicious forward loss (PLD)."""

from dataclasses import asdict, dataclass, replace
from pathlib import Path

from torch import Tensor

from vaplan import pseudo_labels, runs
from vaplan.annotations.label_tables import details_path, label_rows
from vaplan.annotations.table import write_rows
from vaplan.arrays import MODALITIES
from vaplan.dataset import read_labelled_videos
from vaplan.errors import RunError
from vaplan.pseudo_labels import Denoising
from vaplan.ragged import Index, Ragged
from vaplan.runs import Run
from vaplan.stages.train import train
from vaplan.taxonomy import Taxonomy
from vaplan.workers import Progress
from vaplan.writing import check_file_writable, sha256, write_json

FlipCounts = dict[str, dict[str, dict[str, int]]]  # by modality, class, "set"/"removed"


@dataclass(frozen=True)
class Denoised:
    """Result of `denoise`.

    Attributes:
        table: The table of denoised labels.
        flips: Number of labels that were set and removed, per modality and class.
    """

    table: Path
    flips: FlipCounts


def denoise(
    run: Path | str,
    labels: Path | str,
    out: Path | str,
    *,
    settings: Denoising | None = None,
    rounds: int = 1,
    other_labels: bool = False,
    progress: Progress | None = None,
) -> Denoised:
    """Write labels in which those with a suspicious forward loss are flipped (PLD).

    Every video of the table is denoised. The score of a label is the parser's probability.
    In a localisation data set the labels of both modalities together are denoised.

    Args:
        run: Run folder of a parser that was trained on the labels.
        labels: Table of pseudo labels.
        out: Table of denoised labels to write.
        settings: Settings of the rule.
        rounds: Number of times to denoise. Before each further round the run's recipe is
            trained again on the labels of the round before; these labels and runs are
            written into a folder beside `out` that has its name.
        other_labels: Accept labels that the run was not trained on. Their loss is high
            where the two tables differ, so more labels are flipped.
        progress: Called after every round, and after every epoch of the trainings between
            rounds.

    Returns:
        The result of the last round.

    Raises:
        RunError: The run was trained on other labels, and `other_labels` is false.
        MachineError: `out` cannot be written.

    Source: Zhou et al. 2024, arXiv 2406.00919, pseudo label denoising.
    """
    run = Path(run)
    labels = Path(labels)
    out = Path(out)
    settings = settings or Denoising()
    trained = runs.load(run)
    if not other_labels:
        _check_training_labels(trained, labels)
    check_file_writable(out)
    folder = out.with_suffix("")
    recipe = trained.recipe
    epochs = recipe.training.epochs
    total = rounds + (rounds - 1) * epochs

    def report(done: int) -> None:
        if progress:
            progress(done, total, "")

    for number in range(1, rounds):
        table = folder / f"labels_{number}.csv"
        labels = _denoise_once(run, labels, table, settings).table
        done_before = number + (number - 1) * epochs
        report(done_before)
        run = train(
            replace(recipe, labels=str(labels)),
            folder / f"run_{number + 1}",
            progress=lambda epoch, _total, _problem, start=done_before: report(
                start + epoch
            ),
        ).folder
    denoised = _denoise_once(run, labels, out, settings)
    report(total)
    return denoised


def _check_training_labels(run: Run, labels: Path) -> None:
    """Raise RunError if a run was not trained on the labels, compared by content."""
    trained_on = run.recipe.labels
    if run.inputs.get(trained_on) == sha256(labels):
        return
    raise RunError(
        f"it was trained on {trained_on or 'tags alone'}, not on the labels in {labels}",
        file=run.folder,
        fix="train on these labels first, or add --other-labels",
    )


def _denoise_once(run: Path, labels: Path, out: Path, settings: Denoising) -> Denoised:
    trained = runs.load(run)
    dataset = read_labelled_videos(trained, labels)
    data = dataset.annotations
    noisy = dataset.labels(labels)
    if data.localisation:
        in_both = noisy.values.all(dim=1, keepdim=True).expand_as(noisy.values)
        noisy = Ragged(in_both, dataset.lengths)
        settings = replace(settings, modalities=MODALITIES)

    prediction = trained.predict(dataset.inputs)
    probability = prediction.map_values(lambda values: values.segment)
    if settings.given_tags:
        rows = pseudo_labels.condition_on_tags(prediction.rows())
        probability = probability.from_rows(rows)

    def denoise_group(videos: Index) -> Tensor:
        label = noisy.batch(videos)
        return pseudo_labels.flip_suspicious(
            label,
            pseudo_labels.forward_loss(probability.batch(videos), label),
            dataset.weak_label[videos],
            dataset.mask.batch(videos),
            settings,
        )

    denoised = Ragged.from_groups(dataset.lengths, denoise_group)

    grids = denoised.numpy().by_video()
    scores = probability.numpy().by_video()
    write_rows(out, label_rows(data.ids, grids, scores, data.taxonomy))

    flips = count_flips(noisy, denoised, data.taxonomy)
    hashes = {str(labels): sha256(labels), str(run): sha256(run / runs.WEIGHTS)}
    details = {
        "run": str(run),
        **asdict(settings),
        "flips": flips,
        "inputs": hashes,
    }
    write_json(details_path(out), details)
    return Denoised(out, flips)


def count_flips(
    labels_before: Ragged[Tensor],
    labels_after: Ragged[Tensor],
    taxonomy: Taxonomy,
) -> FlipCounts:
    """Count the labels that were set (0 to 1) and removed (1 to 0).

    Args:
        labels_before: Labels before the change.
        labels_after: Labels after the change.
        taxonomy: Names of the classes.

    Returns:
        Counts per modality and class.
    """
    before, after = labels_before.values, labels_after.values
    were_set = (after & ~before).sum(dim=0).tolist()
    were_removed = (before & ~after).sum(dim=0).tolist()
    counts = FlipCounts()
    for m, modality in enumerate(MODALITIES):
        counts[modality] = {
            name: {"set": were_set[m][c], "removed": were_removed[m][c]}
            for c, name in enumerate(taxonomy.classes)
        }
    return counts

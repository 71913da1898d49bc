"""Command `vaplan denoise`."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vaplan.cli.console import progress_bars, stderr
from vaplan.cli.options import LabelsOption, Modality, OutTable, RunArgument, apart

if TYPE_CHECKING:
    from vaplan.stages.denoise import FlipCounts


def denoise(
    run: RunArgument,
    labels: LabelsOption,
    out: OutTable,
    keep: Annotated[
        int,
        typer.Option(
            "--keep",
            min=1,
            help="K: number of an event's lowest-loss segments in the baseline.",
        ),
    ] = 5,
    ratio: Annotated[
        float,
        typer.Option(
            "--ratio",
            min=1.0,
            help="α: ratio of a loss to the baseline above which a label is suspicious.",
        ),
    ] = 10,
    floor: Annotated[
        bool,
        typer.Option(help="Flip only labels whose opposite is more probable."),
    ] = True,
    given_tags: Annotated[
        bool,
        typer.Option(
            help="Condition the parser's probabilities on the tags before the loss is computed."
        ),
    ] = True,
    keep_presence: Annotated[
        bool,
        typer.Option(
            help="Move onsets and offsets only; never add or remove a whole class."
        ),
    ] = True,
    rounds: Annotated[
        int,
        typer.Option(
            "--rounds",
            min=1,
            help="Number of rounds. Each further round trains again on the labels of the one "
            "before; these runs and labels are written into a folder beside OUT, `denoised` for "
            "`denoised.csv`.",
        ),
    ] = 1,
    other_labels: Annotated[
        bool,
        typer.Option(
            "--other-labels", help="Accept labels that the run was not trained on."
        ),
    ] = False,
    modality: Annotated[
        list[Modality] | None,
        typer.Option(
            "--modality",
            metavar="audio|visual",
            help="Modality whose labels are denoised; repeat the option for both. "
            "[default: visual]",
        ),
    ] = None,
) -> None:
    """Denoise pseudo labels (PLD): flip labels with a suspicious forward loss.

    RUN is a parser that was trained on the labels. A label is flipped if its loss is far above
    the baseline, the mean loss of the event's `--keep` lowest-loss segments. `--no-floor
    --no-given-tags --no-keep-presence` is the published rule. Reads a run folder, the data set
    and store that it names, and a table of labels; writes a table of labels to train on again.

    Example: `vaplan denoise runs/ple --labels labels.csv --out denoised.csv`
    """
    from vaplan import stages
    from vaplan.pseudo_labels import Denoising

    apart(labels=labels, out=out)
    modalities = modality or [Modality.visual]
    settings = Denoising(
        keep=keep,
        ratio=ratio,
        floor=floor,
        given_tags=given_tags,
        keep_presence=keep_presence,
        modalities=tuple(name.value for name in modalities),
    )
    with progress_bars() as bars:
        result = stages.denoise(
            run,
            labels,
            out,
            settings=settings,
            rounds=rounds,
            other_labels=other_labels,
            progress=bars("denoise", "steps"),
        )
    print_flips(result.flips, [out])


def print_flips(flips: "FlipCounts", tables: Sequence[Path | None]) -> None:
    """Print how many labels changed per modality, and the tables that were written.

    Args:
        flips: Counts per modality and class.
        tables: Tables that were written.
    """
    for modality, classes in flips.items():
        were_set = sum(counts["set"] for counts in classes.values())
        removed = sum(counts["removed"] for counts in classes.values())
        stderr.print(
            f"{modality}: {were_set} labels set, {removed} removed", highlight=False
        )
    names = " and ".join(str(table) for table in tables if table)
    stderr.print(f"wrote {names}", highlight=False, markup=False, soft_wrap=True)

"""Command `vaplan predict`."""

from pathlib import Path
from typing import Annotated

import typer

from vaplan.cli.console import (
    stderr,
    warn_skipped,
)
from vaplan.cli.evaluate import print_scores
from vaplan.cli.options import (
    DataOption,
    OutTable,
    StoreOption,
)


def predict(
    run: Annotated[Path, typer.Argument(help="A run folder.")],
    data: DataOption,
    store: StoreOption,
    out: OutTable,
    split: Annotated[
        str, typer.Option("--split", help="Only this split. [default: all videos]")
    ] = "",
    scores: Annotated[
        Path | None,
        typer.Option(
            "--scores",
            help="Folder for the probabilities of all segments, in the format of "
            "`sed_scores_eval`.",
        ),
    ] = None,
    evaluate: Annotated[
        bool,
        typer.Option(
            "--evaluate",
            help="Also print the scores of `vaplan evaluate` on the split.",
        ),
    ] = False,
) -> None:
    """Predict the events of videos with stored features.

    Reads a run folder, a data set and its feature store; writes a table of events.

    Example: `vaplan predict runs/ple --data table:annotations.csv --store store --split test
    --out predictions.csv`
    """
    from vaplan import stages

    annotations = stages.read_data(data)
    warn_skipped(
        stages.predict(run, annotations, store, out, split=split, scores=scores)
    )
    stderr.print(f"wrote {out}", highlight=False, markup=False)
    if evaluate:
        print_scores(annotations, out, split)

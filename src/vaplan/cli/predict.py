"""Command `vaplan predict`."""

from pathlib import Path
from typing import Annotated

import typer

from vaplan.cli.console import stderr, warn_skipped
from vaplan.cli.evaluate import print_scores
from vaplan.cli.options import (
    DataOption,
    GateOption,
    OutTable,
    StoreOption,
    thresholds,
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
            metavar="DIR",
            help="Folder for the probabilities of all segments, in the format of "
            "`sed_scores_eval`.",
        ),
    ] = None,
    decision: Annotated[
        str | None,
        typer.Option(
            "--decision",
            metavar="RULE",
            help="Decision rule: which probability must reach --gate besides that of the segment. "
            "`global_gate`: that of the class in the video; `modality_gate`: in the modality; "
            "`mixed_gate`: in the video for audio, in the modality for visual; `segment`: none. "
            "For localisation: `segment_label`, `event_gate`, `cmbs_official`. [default: that "
            "of the run]",
        ),
    ] = None,
    gate: GateOption = None,
    threshold: Annotated[
        list[str] | None,
        typer.Option(
            "--threshold",
            metavar="MODALITY=NUMBER",
            help="Segment threshold of a modality: `audio=0.3`. Repeat the option for the other "
            "one. [default: those of the run]",
        ),
    ] = None,
    evaluate: Annotated[
        bool,
        typer.Option(
            "--evaluate",
            help="Also print the scores of `vaplan evaluate` on the split; on split test if "
            "`--split` is not given.",
        ),
    ] = False,
) -> None:
    """Predict the events of videos with stored features.

    Reads a run folder, a data set and its feature store; writes a table of events.

    Example: `vaplan predict runs/ple --data table:annotations.csv --store store --split test
    --out predictions.csv`

    The decision can be changed without training: `--gate 0.25 --threshold audio=0.3 --threshold
    visual=0.3` marks more than the usual 0.5.
    """
    from vaplan import stages

    annotations = stages.read_data(data)
    warn_skipped(
        stages.predict(
            run,
            annotations,
            store,
            out,
            split=split,
            scores=scores,
            decision=decision,
            gate=gate,
            thresholds=thresholds(threshold or [], example="audio=0.3 or visual=0.3"),
        )
    )
    stderr.print(f"wrote {out}", highlight=False, markup=False)
    if evaluate:
        print_scores(annotations, out, split or "test")

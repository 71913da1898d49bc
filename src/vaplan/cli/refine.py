"""Command `vaplan refine`."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from vaplan.cli.console import progress_bars, stderr
from vaplan.cli.denoise import print_flips
from vaplan.cli.options import LabelsOption, OutTable, RunArgument, apart, table_name


class Rule(StrEnum):
    """How the sources are combined."""

    auto = "auto"
    stacking = "stacking"
    fusion = "fusion"


def _check_folds(count: int) -> int:
    if count == 1 or count < 0:
        raise typer.BadParameter("expected 2 or more folds, or 0 for none")
    return count


def refine(
    run: RunArgument,
    labels: LabelsOption,
    out: OutTable,
    rule: Annotated[
        Rule,
        typer.Option(
            "--rule",
            help="`stacking`: a logistic regression fitted on the densely labelled videos "
            "of split val. `fusion`: sums of log odds; needs tags only. `auto`: stacking "
            "if split val has 20 densely labelled videos, else fusion.",
        ),
    ] = Rule.auto,
    label_probability: Annotated[
        Path | None,
        typer.Option(
            "--label-probability",
            help="Label probabilities by the encoder, from `vaplan label "
            "--out-probability`. [default: each label is right with probability 0.8]",
        ),
    ] = None,
    parser_weight: Annotated[
        float,
        typer.Option(
            "--parser-weight", min=0, help="Weight of the parser in the rule fusion."
        ),
    ] = 0.5,
    folds: Annotated[
        int,
        typer.Option(
            "--folds",
            callback=_check_folds,
            help="Number of parsers to train, 2 or more; each predicts videos that it was not "
            "trained on. With 0 the run itself predicts all videos (rule fusion only).",
        ),
    ] = 2,
    out_probability: Annotated[
        Path | None,
        typer.Option(
            "--out-probability",
            help="Also write the probability of every refined label to this table.",
            callback=table_name,
        ),
    ] = None,
) -> None:
    """Refine pseudo labels with the encoder and out-of-fold parsers together.

    Parsers are trained by the recipe of RUN on the labels; each predicts videos that it was
    not trained on. A tag is marked in the segments where the encoder and the parser together
    find it more probable than not. Reads a run folder, the data set and store that it names, and
    a table of labels; writes a table of labels.

    Example: `vaplan refine runs/ple --labels labels.csv --out refined.csv`
    """
    from vaplan import stages

    apart(
        labels=labels,
        label_probability=label_probability,
        out=out,
        out_probability=out_probability,
    )
    with progress_bars() as bars:
        result = stages.refine(
            run,
            labels,
            out,
            rule=rule.value,
            label_probability=label_probability,
            parser_weight=parser_weight,
            folds=folds,
            out_probability=out_probability,
            progress=bars("refine", "epochs"),
        )
    stderr.print(f"rule {result.rule}", highlight=False)
    print_flips(result.flips, [out, out_probability])

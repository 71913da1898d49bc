"""Command `vaplan train`."""

from typing import Annotated

import typer

from vaplan.cli.console import (
    progress_bars,
    stderr,
)
from vaplan.cli.options import (
    DATA_HELP,
    RunOption,
)


def train(
    recipe: Annotated[
        str,
        typer.Argument(
            metavar="RECIPE",
            help="A recipe file, or the name of a shipped recipe. Without pseudo labels: han, "
            "valor, ma_base, jomold_estimator. With --labels: plg (video-level), segment_bce, ple, "
            "vaplan, valor_vaplan, jomold_vaplan; default (best with labels of `vaplan refine`); "
            "ma (with labels of `vaplan exchange`). For AVE: cmbs_weak, cmbs_vaplan. And variants; "
            "see docs/method.md.",
        ),
    ],
    run: RunOption,
    data: Annotated[
        str | None,
        typer.Option(
            "--data",
            help=f"{DATA_HELP} Needed unless the recipe has one.",
        ),
    ] = None,
    store: Annotated[
        str | None,
        typer.Option(
            "--store", help="The feature store. Needed unless the recipe has one."
        ),
    ] = None,
    labels: Annotated[
        str | None,
        typer.Option(
            "--labels",
            help="Table of pseudo labels; needed if the recipe trains on them.",
        ),
    ] = None,
    changes: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="Change a setting: `training.epochs=40`, `training.seed=1`, "
            "`training.device=cuda`. Repeat the option for several.",
        ),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue an interrupted training.")
    ] = False,
    overwrite: Annotated[
        bool,
        typer.Option(
            "--overwrite", help="Replace another finished training in the run folder."
        ),
    ] = False,
) -> None:
    """Train a parser by a recipe on split `train`.

    Reads a data set, a feature store and, for most recipes, a table of pseudo labels; writes a
    run folder with the weights, the resolved recipe, versions, input hashes, scores and a log.

    Example: `vaplan train ple --data table:annotations.csv --store store --labels labels.csv
    --run runs/ple`
    """
    from vaplan import recipe as recipes
    from vaplan import stages, training

    inputs = [
        f"{name}={value}"
        for name, value in (("data", data), ("store", store), ("labels", labels))
        if value
    ]
    resolved = recipes.read(recipe, changes=[*inputs, *(changes or [])])
    with progress_bars() as bars:
        stages.train(
            resolved,
            run,
            progress=bars("train", "epochs"),
            resume=resume,
            overwrite=overwrite,
        )
    if training.is_rank_zero():
        stderr.print(f"run {run}", highlight=False)
        if resolved.training.validates and resolved.training.select_on == "test":
            what = (
                "the epoch was selected on split test, as published: the scores on "
                "that split are optimistic"
            )
            stderr.print(f"warning: {what}", style="yellow", highlight=False)

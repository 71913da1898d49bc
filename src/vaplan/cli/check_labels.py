"""Command `vaplan check-labels`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from vaplan.cli.console import new_table, print_json
from vaplan.cli.options import (
    EMBEDDED,
    AudioOption,
    DataArgument,
    JsonOption,
    StoreOption,
    TaxonomyOption,
    VisualOption,
)

if TYPE_CHECKING:
    pass

VALOR = "valor"


def check_labels(
    data: DataArgument,
    store: StoreOption,
    labels: Annotated[Path, typer.Option("--labels", help="Table of pseudo labels.")],
    audio: AudioOption = EMBEDDED,
    visual: VisualOption = EMBEDDED,
    taxonomy: TaxonomyOption = None,
    folds: Annotated[
        int,
        typer.Option("--folds", min=2, help="Number of folds; each is held out once."),
    ] = 3,
    seed: Annotated[
        int, typer.Option("--seed", min=0, help="Seed of the folds and the trainings.")
    ] = 0,
    as_json: JsonOption = False,
) -> None:
    """Check whether pseudo labels help on your data, from tags of held-out videos only.

    Trains small parsers with and without the labels and compares them on videos that neither
    was trained on. `tags` is the precision of the video's tags in the ranking of all classes, in
    percent. `localisation` is how much worse an independent classifier recognises a tag without
    the segments that a parser gives it, in standard deviations. Prints both scores without the
    labels and the gain by them. Reads a data set, a feature store and a table of labels.

    Example: `vaplan check-labels table:annotations.csv --store store --labels labels.csv`
    """
    from vaplan import stages

    result = stages.check_labels(
        stages.read_data(data, taxonomy=taxonomy),
        store,
        labels,
        encoders=(audio, visual),
        folds=folds,
        seed=seed,
    )
    if as_json:
        return print_json(result.document())
    rows = [
        [
            name,
            f"{result.without[name]:.2f}",
            f"{gain.value:+.2f}",
            f"[{gain.low:+.2f}, {gain.high:+.2f}]",
        ]
        for name, gain in result.gain.items()
    ]
    title = f"{result.videos} videos, {result.folds} folds: the labels {result.verdict}"
    Console().print(new_table(title, ["", "without", "gain", "95 % interval"], rows))
    return None

"""Command `vaplan check-labels`."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from vaplan.cli.console import new_table, print_json
from vaplan.cli.options import (
    DataArgument,
    JsonOption,
    StoredAudioOption,
    StoredVisualOption,
    StoreOption,
    TaxonomyOption,
)
from vaplan.reading import MAX_SEED


def check_labels(
    data: DataArgument,
    store: StoreOption,
    labels: Annotated[Path, typer.Option("--labels", help="Table of pseudo labels.")],
    audio: StoredAudioOption = None,
    visual: StoredVisualOption = None,
    taxonomy: TaxonomyOption = None,
    folds: Annotated[
        int,
        typer.Option("--folds", min=2, help="Number of folds; each is held out once."),
    ] = 3,
    seed: Annotated[
        int,
        typer.Option(
            "--seed", min=0, max=MAX_SEED, help="Seed of the folds and the trainings."
        ),
    ] = 0,
    as_json: JsonOption = False,
) -> None:
    """Check whether pseudo labels help on your data, from tags of held-out videos only.

    Trains small parsers with and without the labels and compares them on videos that neither
    was trained on. Prints two scores of a parser trained without the labels, and the gain with
    them. `tags`: how precisely the parser ranks a video's tags before other classes, in percent.
    `localisation`: how much the score of a tag by another classifier falls, in standard
    deviations, when the segments in which the parser finds the tag are removed. Higher is better
    for both. Reads a data set, a feature store and a table of labels.

    Example: `vaplan check-labels table:annotations.csv --store store --labels labels.csv`
    """
    from vaplan import stages
    from vaplan.dataset import select_encoders

    encoders = select_encoders(store, (audio or (), visual or ()))
    result = stages.check_labels(
        stages.read_data(data, taxonomy=taxonomy),
        store,
        labels,
        encoders=encoders,
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

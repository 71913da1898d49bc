"""Command `vaplan demo`."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from vaplan.cli.console import (
    new_table,
    print_json,
    progress_bars,
    stderr,
)
from vaplan.cli.options import (
    JsonOption,
)


def demo(
    out: Annotated[
        Path,
        typer.Option(
            "--out", help="Folder for all files; finished steps are not repeated."
        ),
    ] = Path("demo"),
    videos: Annotated[
        int,
        typer.Option(
            "--videos",
            min=40,
            help="Number of videos to render; with fewer than 400 the parsers learn too "
            "little to compare.",
        ),
    ] = 600,
    seed: Annotated[
        int, typer.Option("--seed", min=0, max=9999, help="Seed of the synthetic data.")
    ] = 1,
    as_json: JsonOption = False,
) -> None:
    """Run all stages on a small synthetic data set.

    Renders videos, trains HAN and the steps of VAPLAN with three seeds, and writes tables and
    a report page. Needs no download and takes a few minutes. The same command continues an
    interrupted run.

    Example: `vaplan demo --out demo`
    """
    from vaplan import demo as demonstration
    from vaplan.metrics.llp import LEVELS

    with progress_bars() as bars:
        result = demonstration.demo(out, videos=videos, seed=seed, bars=bars)
    if as_json:
        return print_json(result.numbers())
    table = new_table(
        demonstration.summary(result), ["", "A", "V", "AV", "Type@AV", "Event@AV"], []
    )
    for level in LEVELS:
        table.add_section()
        table.add_row(f"[bold]{level}-level")
        for row in demonstration.method_rows(result, [level]):
            table.add_row(
                *(cell.replace(" ± ", "±") for cell in row)
            )  # fits 80 columns
    table.add_section()
    table.add_row("[bold]pseudo labels", "segment", "event")
    for row in demonstration.label_rows(result):
        table.add_row(*row)
    Console().print(table)
    stderr.print(f"Report page: {result.page}", soft_wrap=True, highlight=False)
    return None

"""Command `vaplan demo`."""

import os
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

MAX_JOBS = 4


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
    jobs: Annotated[
        int | None,
        typer.Option(
            "--jobs",
            min=1,
            help="Number of trainings at the same time, each with one thread. "
            "[default: the number of cores, at most 4]",
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Run all stages on a small synthetic data set.

    Renders videos, trains six methods with three seeds (HAN, the steps of VAPLAN, and the
    recipe `default`), and writes tables and a report page. Needs no download and takes several
    minutes. The same command continues an interrupted run.

    Example: `vaplan demo --out demo`
    """
    from vaplan.bench.demo import run_demo
    from vaplan.metrics.llp import LEVELS

    processes = jobs or min(os.cpu_count() or 1, MAX_JOBS)
    with progress_bars() as bars:
        result = run_demo(out, videos=videos, seed=seed, bars=bars, processes=processes)
    if as_json:
        return print_json(result.numbers())
    table = new_table(result.summary(), ["", "A", "V", "AV", "Type@AV", "Event@AV"], [])
    for level in LEVELS:
        table.add_section()
        table.add_row(f"[bold]{level}-level")
        for title, *scores in result.method_rows(level):
            table.add_row(title, *(score.replace(" ± ", "±") for score in scores))
    table.add_section()
    table.add_row("[bold]pseudo labels", "segment", "event")
    for title, *scores in result.label_rows():
        table.add_row(title, *(score.replace(" ± ", "±") for score in scores))
    Console().print(table)
    stderr.print(f"Report page: {result.page}", soft_wrap=True, highlight=False)
    stderr.print(
        f"Correct the examples in a browser: {result.review}",
        soft_wrap=True,
        highlight=False,
        markup=False,
    )
    return None

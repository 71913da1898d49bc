"""Command `vaplan bench`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from vaplan.cli.console import new_table, print_json, progress_bars, stderr
from vaplan.cli.log import open_log
from vaplan.cli.options import AUTO, AddressOption, EngineOption, JsonOption, LogOption
from vaplan.errors import Exit, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.table import Table as ScreenTable

    from vaplan.report import Table


MAX_SEEDS = 1000
MAX_DIGITS = 20  # of a seed


def bench(
    suite: Annotated[
        str | None,
        typer.Argument(
            metavar="SUITE",
            help="A shipped suite, or a YAML file; needed unless `--list` is given.",
        ),
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(
            "--data",
            help="The data set: `table:FILE`, `llp:DIR` …  [default: synthetic data, "
            "rendered first]",
        ),
    ] = None,
    store: Annotated[
        Path | None, typer.Option("--store", help="Feature store of the data set.")
    ] = None,
    labels: Annotated[
        Path | None,
        typer.Option("--labels", help="Table of pseudo labels, in place of PLG."),
    ] = None,
    truth: Annotated[
        Path | None,
        typer.Option(
            "--truth",
            help="Table of dense labels of the training videos, for oracle rows.",
        ),
    ] = None,
    split: Annotated[
        str,
        typer.Option(
            "--split", help="Split to score: `test`, or `val` to choose settings."
        ),
    ] = "test",
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            help="Folder of tables, figures and results.json. [default: bench/SUITE]",
        ),
    ] = None,
    work: Annotated[
        Path | None,
        typer.Option(
            "--work",
            help="Folder of runs and labels, which several suites can share. [default: OUT/work]",
        ),
    ] = None,
    seeds: Annotated[
        str,
        typer.Option(
            "--seeds",
            help="Number of seeds of every recipe (`3`), or a list of seeds (`3,4`); a comma after "
            "one seed makes it a list (`7,`).",
        ),
    ] = "3",
    rows: Annotated[
        list[str] | None,
        typer.Option(
            "--rows",
            metavar="TITLE",
            help="Title of a row to run; repeat the option for several. [default: all rows]",
        ),
    ] = None,
    jobs: Annotated[
        int,
        typer.Option(
            "--jobs",
            min=1,
            help="Number of trainings at the same time, each with one thread.",
        ),
    ] = 1,
    engine: EngineOption = AUTO,
    address: AddressOption = None,
    log: LogOption = None,
    changes: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="KEY=VALUE", help="Change a setting of every recipe."
        ),
    ] = None,
    videos: Annotated[
        int,
        typer.Option("--videos", min=40, help="Number of synthetic videos."),
    ] = 600,
    seed: Annotated[
        int,
        typer.Option("--seed", min=0, max=9999, help="Seed of the synthetic data."),
    ] = 1,
    show: Annotated[
        bool, typer.Option("--list", help="List the shipped suites.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Train and compare the methods of a suite with several seeds.

    Writes tables with standard deviations and paired intervals, figures and a report page. The
    same command continues an interrupted bench. A training that fails is listed in the
    results and does not stop the rest.

    Example: `vaplan bench components --out bench/components`
    """
    from vaplan import bench as benches
    from vaplan.workers.engines import open_engine

    if show:
        for name in benches.shipped():
            Console().print(
                f"[bold]{name}[/bold]  {benches.read(name).about}", highlight=False
            )
        return
    if suite is None:
        raise UsageError(
            "no suite", fix="name one of `vaplan bench --list`, or a YAML file"
        )
    selected_suite = benches.read(suite)
    folder = out or Path("bench") / selected_suite.name
    on = benches.Bench(
        folder,
        work or folder / "work",
        data=data or "",
        store=store,
        split=split,
        labels=labels,
        truth=truth,
        changes=tuple(changes or ()),
        videos=videos,
        synthetic_seed=seed,
    )
    with (
        open_log(log, "bench") as log_file,
        open_engine(engine, address) as workers_engine,
        progress_bars(log_file) as bars,
    ):
        results = benches.bench(
            selected_suite,
            on,
            seeds=read_seeds(seeds),
            rows=rows or (),
            processes=jobs,
            engine=workers_engine,
            bars=bars,
        )
    stderr.print(
        f"wrote {folder}/table.md, table.tex, table.csv, times.md, results.json, "
        "report.html, figures",
        soft_wrap=True,
    )
    if as_json:
        print_json(results.document())
    else:
        shown = [*benches.tables(results)[:2], benches.times(results)]
        for table in _narrow(shown):
            Console().print(table)
    if results.failures:
        nothing = not any(method.scores for method in results.methods)
        raise typer.Exit(Exit.NOTHING_DONE if nothing else Exit.SOME_FAILED)


def read_seeds(text: str) -> list[int]:
    """Read a number of seeds, or a list of seeds.

    >>> read_seeds("3"), read_seeds("3,4"), read_seeds("7,")
    ([0, 1, 2], [3, 4], [7])
    """
    parts = text.strip().removesuffix(",").split(",")
    numbers = [part.strip() for part in parts]
    if not all(n.isascii() and n.isdecimal() and len(n) < MAX_DIGITS for n in numbers):
        raise UsageError(
            f"--seeds is {text!r}, expected whole numbers",
            fix="write a number of seeds such as 3, or seeds such as 3,4",
        )
    seeds = [int(number) for number in numbers]
    if "," in text:
        if len(seeds) > len({*seeds}):
            raise UsageError(f"--seeds {text} names a seed twice", fix="keep one")
        return seeds
    if not 1 <= seeds[0] <= MAX_SEEDS:
        raise UsageError(
            f"--seeds is {text}, expected 1 to {MAX_SEEDS} seeds",
            fix=f"write `{seeds[0]},` for the one seed {seeds[0]}",
        )
    return list(range(seeds[0]))


def _narrow(tables: "Sequence[Table]") -> "Iterator[ScreenTable]":
    """Tables for a screen: one for each group of columns."""
    for table in tables:
        start = 1
        for name, span in table.groups[1:] or [("", len(table.columns) - 1)]:
            rows = [
                [str(row[0]), *(_cell(cell) for cell in row[start : start + span])]
                for row in table.rows
            ]
            title = f"{table.title}, {name}" if name else table.title
            yield new_table(title, ["", *table.columns[start : start + span]], rows)
            start += span


def _cell(cell: object) -> str:
    return "–" if cell is None else str(cell).replace(" ± ", "±")

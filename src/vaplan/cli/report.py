"""Command `vaplan report`."""

from pathlib import Path
from typing import Annotated

import typer

from vaplan.cli.console import stderr


def report(
    folders: Annotated[
        list[Path],
        typer.Argument(
            metavar="RUN", help="Run folders; the others are compared with the first."
        ),
    ],
    out: Annotated[Path, typer.Option("--out", help="The HTML file to write.")] = Path(
        "report.html"
    ),
) -> None:
    """Compare trained runs on one page: scores, differences, recipes, curves and classes.

    Reads run folders; writes one HTML file that loads nothing from a network.

    Example: `vaplan report runs/han runs/ple --out report.html`
    """
    from vaplan.bench import compare_runs

    compare_runs(folders, out)
    stderr.print(f"wrote {out}", highlight=False, markup=False)

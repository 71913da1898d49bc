"""Command `vaplan media probe`."""

import json
from pathlib import Path
from typing import Annotated

import typer

from vaplan.cli.console import print_probe, print_problem
from vaplan.cli.options import JsonOption, TimeoutOption
from vaplan.errors import Exit


def probe(
    files: Annotated[list[Path], typer.Argument(metavar="FILE…", help="Media files.")],
    as_json: JsonOption = False,
    timeout: TimeoutOption = None,
) -> None:
    """Show how vaplan reads media files.

    For each file: declared and decoded seconds, brightness and loudness of every segment, and
    warnings.

    Example: `vaplan media probe dog.mp4`
    """
    from vaplan.media import probes, time_limit

    errors = 0
    for seen in probes(files, seconds=timeout or time_limit):
        errors += seen["error"] is not None
        if as_json:
            typer.echo(json.dumps(seen, ensure_ascii=False))
        elif seen["error"] is None:
            print_probe(seen)
        if seen["error"]:
            print_problem(seen["error"])
    if errors:
        raise typer.Exit(
            Exit.NOTHING_DONE if errors == len(files) else Exit.SOME_FAILED
        )

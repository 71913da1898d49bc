"""Looking into things: feature stores and media files."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vaplan.cli.options import JsonOption
from vaplan.console import print_json, print_seen, stderr
from vaplan.errors import Exit, UsageError

if TYPE_CHECKING:
    from vaplan.store import Store


def store_info(store: Annotated[Path, typer.Argument(help="The folder of the store.")]) -> None:
    """Print what a store holds, as JSON: encoders, videos done, absent, failed and lacking."""
    print_json({name: folder.info() for name, folder in _stores(store).items()})


def store_verify(store: Annotated[Path, typer.Argument(help="The folder of the store.")]) -> None:
    """Read every byte of a store: changed rows and planned videos without a row are named, and the exit code is 5."""
    problems = [f"{name}: {problem}" for name, folder in _stores(store).items() for problem in folder.verify()]
    for problem in problems:
        stderr.print(f"error: {problem}", style="red", highlight=False)
    if problems:
        raise typer.Exit(Exit.MACHINE)
    stderr.print("whole")


def probe(
    files: Annotated[list[Path], typer.Argument(metavar="FILE…", help="Media files.")], as_json: JsonOption = False
) -> None:
    """Show what vaplan sees in a file: seconds, brightness and loudness of every segment, warnings."""
    from vaplan.media import probe as look

    errors = 0
    for path in files:
        seen = look(path)
        errors += seen["error"] is not None
        if as_json:
            typer.echo(json.dumps(seen, ensure_ascii=False))
        elif seen["error"] is None:
            print_seen(seen)
        if seen["error"]:
            stderr.print(f"error: {seen['error']}", style="red", highlight=False)
    if errors:
        raise typer.Exit(Exit.NOTHING_DONE if errors == len(files) else Exit.SOME_FAILED)


def _stores(root: Path) -> dict[str, "Store"]:
    from vaplan.store import stores

    if not (found := stores(root)):
        raise UsageError("this is no feature store", file=root, fix="give the folder that `vaplan features` filled")
    return found

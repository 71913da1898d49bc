"""Commands `vaplan store info` and `vaplan store verify`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vaplan.cli.console import print_json, stderr
from vaplan.errors import Exit, UsageError

if TYPE_CHECKING:
    from vaplan.store import Store


def store_info(
    store: Annotated[Path, typer.Argument(help="The folder of the store.")],
) -> None:
    """Print the content of a feature store as JSON.

    For each encoder: provenance, and the numbers of videos that are done, absent, failed and
    missing.

    Example: `vaplan store info store`
    """
    print_json({name: folder.info() for name, folder in _stores(store).items()})


def store_verify(
    store: Annotated[Path, typer.Argument(help="The folder of the store.")],
) -> None:
    """Verify every byte of a feature store.

    Lists changed rows and planned videos without a row; then the exit code is 5.

    Example: `vaplan store verify store`
    """
    problems = [
        f"{name}: {problem}"
        for name, folder in _stores(store).items()
        for problem in folder.verify()
    ]
    for problem in problems:
        stderr.print(f"error: {problem}", style="red", highlight=False)
    if problems:
        raise typer.Exit(Exit.MACHINE)
    stderr.print("whole")


def _stores(root: Path) -> dict[str, "Store"]:
    from vaplan.store import stores

    if not (features := stores(root)):
        raise UsageError(
            "this is no feature store",
            file=root,
            fix="give the folder that `vaplan features` filled",
        )
    return features

"""Commands `vaplan store info` and `vaplan store verify`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vaplan.cli.console import print_json, print_problem, stderr
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
    print_json({name: folder.describe() for name, folder in open_stores(store).items()})


def store_verify(
    store: Annotated[Path, typer.Argument(help="The folder of the store.")],
) -> None:
    """Verify every byte of a feature store.

    If anything has changed since the features were written, lists it and exits with 5. Planned
    videos that have no features yet are counted; they are no damage.

    Example: `vaplan store verify store`
    """
    is_damaged = False
    for name, features in open_stores(store).items():
        problems = features.verify()
        for problem in problems:
            print_problem(f"{name}: {problem}")
        is_damaged = is_damaged or bool(problems)
        lacking = 0 if problems else len(features.list_missing(features.planned))
        if lacking:
            stderr.print(
                f"{name}: {lacking} planned videos have no features yet; "
                "run `vaplan features` to continue",
                highlight=False,
                soft_wrap=True,
            )
    if is_damaged:
        raise typer.Exit(Exit.MACHINE)
    stderr.print("every byte is as it was written")


def open_stores(root: Path) -> dict[str, "Store"]:
    """Open the stores of all encoders.

    Args:
        root: Folder of all stores.

    Raises:
        UsageError: There is none.
    """
    from vaplan.store import find_stores

    if not (features := find_stores(root)):
        raise UsageError(
            "this is no feature store",
            file=root,
            fix="give the folder that `vaplan features` filled",
        )
    return features

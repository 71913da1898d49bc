"""The command line: one command a stage. Results go to standard output, everything else to standard error."""

import sys
from collections.abc import Callable
from typing import Annotated

import typer

from vaplan import __version__
from vaplan.cli import (
    comparing,
    data,
    denoising,
    labelling,
    looking,
    parsing,
    scoring,
    verbs,
)
from vaplan.console import stderr
from vaplan.errors import Exit, VaplanError

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode="markdown",
    help="Audio-visual video parsing from weak labels: tags in, a label for every second out, heard and seen apart.",
    epilog="Start with `vaplan demo`. For your own videos: `vaplan fit tags.csv --media DIR --out RUN`, then "
    "`vaplan parse FILE --run RUN --out DIR`.",
)
COMMANDS: tuple[Callable[..., None], ...] = (
    verbs.demo,
    verbs.fit,
    verbs.features,
    labelling.label,
    labelling.check_labels,
    verbs.train,
    denoising.denoise,
    verbs.exchange,
    verbs.noise,
    verbs.predict,
    scoring.evaluate,
    scoring.compare,
    comparing.bench,
    comparing.report,
    parsing.parse,
    data.import_,
)
GROUPS: dict[str, tuple[str, dict[str, Callable[..., None]]]] = {
    "data": ("Check or fetch a data set.", {"check": data.check, "fetch": data.fetch}),
    "store": (
        "Look into a feature store, or check that it is whole.",
        {"info": looking.store_info, "verify": looking.store_verify},
    ),
    "models": (
        "See which encoders are here, check one, or bring one.",
        {
            "list": looking.models_list,
            "check": looking.models_check,
            "fetch": looking.models_fetch,
        },
    ),
    "media": ("See a media file as vaplan sees it.", {"probe": looking.probe}),
}
for command in COMMANDS:
    app.command(command.__name__.rstrip("_").replace("_", "-"))(command)
for group, (about, members) in GROUPS.items():
    inside = typer.Typer(no_args_is_help=True, help=about)
    app.add_typer(inside, name=group)
    for name, member in members.items():
        inside.command(name)(member)
DEBUG = False


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", help="Say the version and leave.")
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show the traceback of an error.")
    ] = False,
) -> None:
    """Options of every command."""
    global DEBUG  # noqa: PLW0603 - read once, where a fault is told
    DEBUG = debug
    if version:
        typer.echo(f"vaplan {__version__}")
        raise typer.Exit


def main() -> None:
    """The entry point: every fault becomes one line and an exit code."""
    try:
        code = app(standalone_mode=False)
    except VaplanError as error:
        code = _fault(str(error), error.exit)
    except (KeyboardInterrupt, typer.Abort):
        code = Exit.INTERRUPTED
    except Exception as error:  # noqa: BLE001 - the last boundary: whatever is left is a bug, said in one line
        if show := getattr(
            error, "show", None
        ):  # typer's own usage errors, whose class it does not export
            show()
            code = Exit.USAGE
        else:
            code = _fault(
                f"a bug in vaplan: {type(error).__name__}: {error}. Fix: report it, with --debug",
                Exit.BUG,
            )
    if (
        code == Exit.INTERRUPTED
    ):  # typer returns it for an interruption of the keyboard, without a word
        _fault(
            "interrupted; the same command goes on where it stopped", Exit.INTERRUPTED
        )
    sys.exit(int(code or 0))


def _fault(text: str, code: Exit) -> Exit:
    if DEBUG:
        stderr.print_exception()
    print(f"error: {text}", file=sys.stderr)  # noqa: T201 - exactly one line, unwrapped
    return code

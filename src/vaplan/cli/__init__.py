"""The command line: one module a command.

Results go to standard output, everything else to standard error.
"""

import io
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from vaplan import __version__
from vaplan.cli import (
    bench,
    check_labels,
    data,
    demo,
    denoise,
    evaluate,
    export,
    features,
    fit,
    imports,
    label,
    media,
    models,
    parse,
    plain_help,
    predict,
    refine,
    report,
    review,
    search,
    status,
    store,
    suggest,
    tag_noise,
    train,
)
from vaplan.cli.console import stderr
from vaplan.errors import Exit, VaplanError

START = "Start here"
OWN_VIDEOS = "Your own videos"
STAGES = "Stages"
DATA_AND_MODELS = "Data and models"
RESEARCH = "Research"

app = typer.Typer(
    cls=plain_help.Group,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode="markdown",
    help="Audio-visual video parsing from weak labels. From videos with tags, vaplan makes "
    "labels for every second, separately for audio and visual events, and a parser for new "
    "videos.",
    epilog="Start with `vaplan demo`. For your own videos run `vaplan fit tags.csv --media "
    "DIR --run RUN --visual clip:base --audio clap:base`, then `vaplan parse FILE --run RUN "
    "--out DIR`.",
)


@dataclass(frozen=True)
class Command:
    """A command of the command line.

    Attributes:
        function: Function that runs it.
        panel: Heading that it stands under in the help.
        summary: One plain line that describes it in the list of commands.
    """

    function: Callable[..., None]
    panel: str
    summary: str


COMMANDS = {
    "demo": Command(
        demo.demo, START, "Run all stages on a small synthetic data set; no download."
    ),
    "fit": Command(
        fit.fit, OWN_VIDEOS, "Train a parser on your tagged videos in one command."
    ),
    "parse": Command(
        parse.parse, OWN_VIDEOS, "Write timelines of events in media files."
    ),
    "review": Command(
        review.review,
        OWN_VIDEOS,
        "Look at events beside the playing video, and correct them.",
    ),
    "suggest": Command(
        suggest.suggest,
        OWN_VIDEOS,
        "Name the videos whose correction is likely to help most.",
    ),
    "search": Command(
        search.search,
        OWN_VIDEOS,
        "Find segments by a sentence, or spans by a condition.",
    ),
    "export": Command(
        export.export, OWN_VIDEOS, "Write timelines in the formats of other tools."
    ),
    "import-events": Command(
        export.import_events, OWN_VIDEOS, "Read events from the files of other tools."
    ),
    "features": Command(
        features.features, STAGES, "Decode media files and encode every segment."
    ),
    "status": Command(
        status.status, STAGES, "Show the progress of the jobs that fill a store."
    ),
    "label": Command(
        label.label, STAGES, "Generate pseudo labels from features and tags (PLG)."
    ),
    "train": Command(train.train, STAGES, "Train a parser by a recipe (PLE)."),
    "denoise": Command(
        denoise.denoise, STAGES, "Flip pseudo labels with a suspicious loss (PLD)."
    ),
    "refine": Command(
        refine.refine, STAGES, "Refine pseudo labels with encoder and parsers together."
    ),
    "predict": Command(
        predict.predict, STAGES, "Predict the events of videos with stored features."
    ),
    "evaluate": Command(
        evaluate.evaluate, STAGES, "Score a table of events against dense labels."
    ),
    "compare": Command(
        evaluate.compare,
        RESEARCH,
        "Score two tables of events, and their difference with a confidence interval.",
    ),
    "check-labels": Command(
        check_labels.check_labels,
        RESEARCH,
        "Check whether pseudo labels help, without dense labels.",
    ),
    "bench": Command(bench.bench, RESEARCH, "Train and compare a suite of methods."),
    "report": Command(report.report, RESEARCH, "Compare trained runs on one page."),
    "exchange": Command(
        tag_noise.exchange, RESEARCH, "Remove tags from single modalities (MA, step 2)."
    ),
    "noise": Command(
        tag_noise.noise, RESEARCH, "Estimate noise ratios of tags (JoMoLD, step 2)."
    ),
}
GROUPS: dict[str, tuple[str, dict[str, Callable[..., None]]]] = {
    "data": (
        "Check or fetch a data set.",
        {"check": data.check, "fetch": data.fetch},
    ),
    "import": (
        "Import features: published ones, or your own vectors. (Events: import-events.)",
        {
            "han": imports.import_han,
            "valor": imports.import_valor,
            "ave": imports.import_ave,
            "vectors": imports.import_vectors,
        },
    ),
    "store": (
        "Describe or verify a feature store.",
        {"info": store.store_info, "verify": store.store_verify},
    ),
    "models": (
        "List, check or fetch encoders.",
        {
            "list": models.models_list,
            "check": models.models_check,
            "fetch": models.models_fetch,
        },
    ),
    "media": ("Show how vaplan reads a media file.", {"probe": media.probe}),
}
for command_name, command in COMMANDS.items():
    app.command(
        command_name,
        cls=plain_help.Command,
        rich_help_panel=command.panel,
        short_help=command.summary,
    )(command.function)
for group_name, (summary, members) in GROUPS.items():
    group = typer.Typer(cls=plain_help.Group, no_args_is_help=True, help=summary)
    app.add_typer(group, name=group_name, rich_help_panel=DATA_AND_MODELS)
    for member_name, function in members.items():
        group.command(member_name, cls=plain_help.Command)(function)
DEBUG = False
# What to add to a command that was interrupted, so that it continues where it stopped.
CONTINUED = {
    **dict.fromkeys(("bench", "demo", "features", "fit", "import", "review"), ""),
    "parse": " with --skip-existing",
    "train": " with --resume",
}


def _print_version(is_asked: bool) -> bool:
    if is_asked:
        typer.echo(f"vaplan {__version__}")
        raise typer.Exit
    return is_asked


@app.callback()
def options(
    version: Annotated[  # noqa: ARG001 - its callback prints the version
        bool,
        typer.Option(
            "--version",
            help="Print the version and exit.",
            is_eager=True,
            callback=_print_version,
        ),
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show the traceback of an error.")
    ] = False,
) -> None:
    """Read the options of every command."""
    global DEBUG  # noqa: PLW0603 - read where an error is printed
    DEBUG = debug


def main() -> None:
    """Run the command line; every error becomes one line and an exit code."""
    if isinstance(sys.stdout, io.TextIOWrapper):  # a file name may not be valid UTF-8
        sys.stdout.reconfigure(errors="backslashreplace")
    with _interrupted_by_sigterm() as terminations:
        try:
            code = app(standalone_mode=False, prog_name="vaplan")
        except VaplanError as error:
            code = _print_error(str(error), error.exit)
        except (KeyboardInterrupt, typer.Abort):
            code = Exit.INTERRUPTED
        except (
            SystemExit
        ):  # of typer, when the reader of the output closes it, as `head` does
            code = Exit.DONE
        except Exception as error:  # noqa: BLE001 - the last boundary
            code = _report_exception(error)
    if code == Exit.INTERRUPTED:  # typer returns it without a message
        code = Exit.TERMINATED if terminations else Exit.INTERRUPTED
        verb = "terminated" if terminations else "interrupted"
        resumed = CONTINUED.get(next(iter(sys.argv[1:]), ""))
        how = "run the same command again"
        if resumed is not None:
            how = f"the same command{resumed} continues where it stopped"
        _print_error(f"{verb}; {how}", code)
    sys.exit(int(code or 0))


@contextmanager
def _interrupted_by_sigterm() -> Iterator[list[int]]:
    """Let SIGTERM end the command as an interruption does, so that finished work is kept.

    Yields:
        The list of received signals.
    """
    received = list[int]()

    def interrupt(number: int, _frame: Any) -> None:
        received.append(number)
        raise KeyboardInterrupt

    handler = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield received
    finally:
        signal.signal(signal.SIGTERM, handler)


def _report_exception(error: Exception) -> Exit:
    """Print an error that no command expected: of the usage, of the machine, or a bug."""
    from vaplan.workers.faults import machine_fault

    show_usage_error = getattr(error, "show", None)  # of typer's own errors
    if show_usage_error:
        show_usage_error()
        return Exit.USAGE
    problem = f"{type(error).__name__}: {error}"
    if fault := machine_fault(error):
        return _print_error(
            f"{fault} ({problem}). Fix: free memory, or room where the command writes (files, "
            "standard output), and run the same command again; use fewer --workers if it has "
            "them",
            Exit.MACHINE,
        )
    return _print_error(
        f"a bug in vaplan: {problem}. Fix: report it, with the output of --debug",
        Exit.BUG,
    )


def _print_error(text: str, code: Exit) -> Exit:
    if DEBUG:
        stderr.print_exception()
    line = " ".join(f"error: {text}".split())
    try:
        print(line, file=sys.stderr, flush=True)  # noqa: T201 - one line, unwrapped
    except OSError:  # nobody can read it; the exit code remains
        sys.stderr = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - to the end
    return code

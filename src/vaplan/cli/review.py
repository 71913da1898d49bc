"""Command `vaplan review`."""

import os
import sys
import threading
import webbrowser
from pathlib import Path
from typing import Annotated

import typer

from vaplan.cli.console import print_warning, stderr
from vaplan.cli.options import AllowOutsideOption, MediaOption
from vaplan.errors import MissingExtra

LOOPBACK = "127.0.0.1"


def review(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="TABLE|DIR",
            help="Table of events (CSV or Parquet), or folder of JSON timelines of "
            "`vaplan parse`.",
        ),
    ],
    media: MediaOption,
    run: Annotated[
        Path | None,
        typer.Option(
            "--run",
            help="Run folder of a trained parser, for curves of its scores and for its "
            "pseudo labels.",
        ),
    ] = None,
    compare: Annotated[
        list[Path] | None,
        typer.Option(
            "--compare",
            metavar="TABLE|DIR",
            help="Events of another method, to be shown below; can be given several times.",
        ),
    ] = None,
    reference: Annotated[
        Path | None,
        typer.Option("--reference", help="Table of reference events, to be shown too."),
    ] = None,
    name: Annotated[
        str, typer.Option("--name", help="Your name, for the log of the changes.")
    ] = "",
    host: Annotated[
        str,
        typer.Option(
            "--host", help="Address to listen at; another one opens it to the network."
        ),
    ] = LOOPBACK,
    port: Annotated[
        int,
        typer.Option("--port", min=0, max=65535, help="Port to listen at; 0 for any."),
    ] = 0,
    no_browser: Annotated[
        bool, typer.Option("--no-browser", help="Only print the address.")
    ] = False,
    allow_outside: AllowOutsideOption = False,
) -> None:
    """Look at events beside the playing video, and correct them in the browser.

    Reads a table or a folder of timelines, and the media files. The input is never changed.
    Beside `timelines` or `timelines.csv`, corrections go to `timelines.reviewed.csv`, and every
    change to the log `timelines.reviewed.jsonl`. Waveforms, and copies of files that browsers
    cannot play, go to the folder `timelines.review-cache`, which can be deleted at any time.
    The same command continues a review. Stop it with Ctrl+C.

    Example: `vaplan review timelines --media videos --name Ada`

    With `--run` the curves of a parser's scores are shown:

        vaplan review predictions.csv --media videos --run run --reference annotations.csv

    Mark a video as done on the page when its events are right: `vaplan fit --corrections` uses
    these videos only, and `vaplan suggest` leaves them out.

    Unless `--host` is given only this machine reaches the page, and only with the token in the
    printed address. Needs `pip install 'vaplan[review]'` (in a clone `'.[review]'`).
    """
    try:
        from vaplan.review import server as servers
    except ModuleNotFoundError as error:
        raise MissingExtra(
            f"a review needs {error.name}, which is not installed",
            fix="pip install 'vaplan[review]'",
        ) from error
    from vaplan.review.desk import Sources, open_desk
    from vaplan.review.guard import is_loopback

    if not is_loopback(host):
        print_warning(
            f"at {host} other machines reach this review, without encryption; whoever has "
            "the token can change the events"
        )
    sources = Sources(source, media, run, compare or [], reference, allow_outside)
    with open_desk(sources, person=name) as desk, servers.listen(host, port) as server:
        for problem in desk.session.collection.problems:
            print_warning(problem)
        access = servers.make_access(server, host)
        address = servers.entry_address(server, access, host)
        typer.echo(address)
        sys.stdout.flush()
        count = len(desk.videos)
        stderr.print(
            f"{count} {'video' if count == 1 else 'videos'}; corrections go to "
            f"{desk.session.table}; stop with Ctrl+C",
            highlight=False,
            markup=False,
            soft_wrap=True,
        )
        if not no_browser and _has_display():
            threading.Thread(
                target=webbrowser.open, args=[address], name="browser", daemon=True
            ).start()
        desk.preparation.warm_up()
        servers.serve(servers.create_app(desk, access), server)


def _has_display() -> bool:
    """Return whether a browser with windows can be opened, not one in the terminal."""
    is_linux = sys.platform.startswith("linux")
    return not is_linux or any(map(os.environ.get, ("DISPLAY", "WAYLAND_DISPLAY")))

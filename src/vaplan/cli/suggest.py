"""Command `vaplan suggest`."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vaplan.cli.console import new_table, print_json

if TYPE_CHECKING:
    from vaplan.review.order import Suggestion


def suggest(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="TABLE|DIR",
            help="Table of events, or folder of JSON timelines of `vaplan parse`.",
        ),
    ],
    top: Annotated[
        int, typer.Option("--top", min=1, help="Number of videos to list.")
    ] = 20,
    compare: Annotated[
        Path | None,
        typer.Option(
            "--compare",
            metavar="TABLE|DIR",
            help="Events of another method, such as pseudo labels; videos where the two "
            "disagree come first.",
        ),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON document.")
    ] = False,
) -> None:
    """List the videos whose correction is likely to help most.

    Reads events, and leaves out the videos that are finished in a review
    (`timelines.reviewed.csv` beside `timelines`). A video comes early if a probability is near
    0.5 (of a trained parser; margins of `--zero-shot` do not count), if another method disagrees,
    if it has no events, or if it has a rare class. Prints the videos with the reasons; writes nothing.

    Example: `vaplan suggest predictions.csv --compare labels.csv --top 20`

    Then correct them: `vaplan review predictions.csv --media videos`
    """
    from vaplan.review.order import suggest_videos

    suggestions = suggest_videos(source, top=top, compare=compare)
    if as_json:
        print_json({"videos": [one.as_json() for one in suggestions]})
    else:
        _print(suggestions)


def _print(suggestions: Sequence["Suggestion"]) -> None:
    from rich.console import Console

    rows = [
        [one.video, f"{one.urgency.value:.2f}", "; ".join(one.urgency.reasons)]
        for one in suggestions
    ]
    Console().print(new_table("look at first", ["video", "urgency", "reasons"], rows))

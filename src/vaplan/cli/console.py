"""What the command line shows: results on standard output, everything else on standard error."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from vaplan.errors import Exit

if TYPE_CHECKING:
    from vaplan.annotations.media_files import MediaList
    from vaplan.stages import Imported, Outcome

SPEED_SECONDS = (
    300.0  # over which the rate is a mean: a slow encoder takes long for one video
)

Report = Callable[[int, int, str], None]  # a `workers.Progress`

stderr = Console(stderr=True)


@contextmanager
def progress_bars() -> Iterator[Callable[..., Report]]:
    """Show progress bars on standard error.

    Nothing is printed before the first step, so an error that comes earlier stands alone.

    Yields:
        A function of a name and a unit that makes a bar. It returns the callback of the bar,
        which takes the finished steps, all steps, and the failure of the last one.
    """
    progress = Progress(
        TextColumn("{task.description:>12}"),
        BarColumn(),
        MofNCompleteColumn(),
        _Rate(),
        TimeRemainingColumn(),
        console=stderr,
        speed_estimate_period=SPEED_SECONDS,
    )

    def add_bar(name: str, unit: str = "steps") -> Report:
        tasks = list[TaskID]()  # one, from the first step on

        def update(done: int, total: int, problem: str) -> None:
            progress.start()
            if not tasks:
                tasks.append(progress.add_task(name, unit=unit))
            progress.update(tasks[0], completed=done, total=total)
            if problem:
                progress.console.print(
                    f"error: {problem}",
                    style="red",
                    highlight=False,
                    markup=False,
                    soft_wrap=True,
                )

        return update

    try:
        yield add_bar
    finally:
        if progress.live.is_started:
            progress.stop()


class _Rate(ProgressColumn):
    """How many are done in a second, or how many seconds one takes."""

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        if not speed:
            return Text()
        unit = task.fields["unit"]
        return Text(
            f"{speed:.1f} {unit}/s"
            if speed >= 1
            else f"{1 / speed:.1f} s/{unit.rstrip('s')}"
        )


def new_table(
    title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]
) -> Table:
    table = Table(title=title, box=SIMPLE_HEAD, pad_edge=False)
    for index, column in enumerate(columns):
        table.add_column(column, justify="right" if index else "left")
    for row in rows:
        table.add_row(*row)
    return table


def print_json(value: Any) -> None:
    typer.echo(json.dumps(value, indent=1, ensure_ascii=False))


def print_seen(seen: dict[str, Any]) -> None:
    seconds = ", ".join(
        f"{name} {f'{value:.2f} s' if value else 'none'}"
        for name, value in seen["seconds"].items()
    )
    stderr.print(
        f"{seen['segments']} segments; {seconds}", highlight=False, markup=False
    )
    luma, rms = (
        (seen[track] or {}).get(key) or []
        for track, key in (("video", "luma"), ("audio", "rms"))
    )
    rows = [
        [
            str(t),
            *(
                "missing" if v is None else f"{v:.{digits}f}"
                for v, digits in zip(cells, (0, 4), strict=True)
            ),
        ]
        for t, cells in enumerate(
            zip(_filled(luma, seen), _filled(rms, seen), strict=True)
        )
    ]
    Console().print(new_table(seen["file"], ["second", "brightness", "loudness"], rows))
    for warning in seen["warnings"]:
        stderr.print(
            f"warning: {warning}",
            style="yellow",
            highlight=False,
            markup=False,
            soft_wrap=True,
        )


def _filled(values: list[float | None], seen: dict[str, Any]) -> list[float | None]:
    return values or [None] * seen["segments"]


def finish(outcome: "Outcome | Imported", verb: str) -> None:
    """Say what was done, and leave with the exit code of a batch."""
    already = f", {outcome.already} already done" if outcome.already else ""
    stderr.print(
        f"{outcome.done} {verb}{already}, {len(outcome.failed)} failed", highlight=False
    )
    if outcome.failed:
        nothing = not outcome.done and not outcome.already
        raise typer.Exit(Exit.NOTHING_DONE if nothing else Exit.SOME_FAILED)


def warn_skipped(videos: Sequence[str]) -> None:
    if videos:
        what = (
            f"warning: {len(videos)} videos have no features and were left out, the "
            f"first is {videos[0]}"
        )
        stderr.print(what, style="yellow", highlight=False, markup=False)


def warn_media(media: "MediaList") -> None:
    """Warn of links and folders that were not searched, and count the skipped files.

    Args:
        media: Result of a search for media files.
    """
    skipped = sum(tree.skipped for tree in media.trees)
    if skipped:
        stderr.print(
            f"{skipped} hidden files and files of other kinds were skipped",
            highlight=False,
        )
    problems = list[str]()
    for tree in media.trees:
        problems += [
            f"{path} leads to a folder searched already" for path in tree.loops
        ]
        problems += [f"{path}: {reason}" for path, reason in tree.unreadable]
    for problem in problems:
        stderr.print(
            f"warning: {problem}",
            style="yellow",
            highlight=False,
            markup=False,
            soft_wrap=True,
        )


def warn_embedded(encoders: Sequence[Sequence[str]]) -> None:
    if any(name == "embedded" for group in encoders for name in group):
        what = (
            "note: the embedded encoders recognise only the synthetic data of "
            "`vaplan demo`; for real videos give "
            "--visual clip:openai/clip-vit-base-patch32 --audio clap:laion/clap-htsat-unfused"
        )
        stderr.print(what, style="yellow", highlight=False, markup=False)

"""Output of the command line: results to standard output, everything else to standard error."""

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
    from vaplan.cli.log import Log
    from vaplan.cli.metrics import Metrics
    from vaplan.exports.convert import Converted
    from vaplan.stages import Imported, Outcome

BAR_NAME = 12  # characters before a bar
SPEED_SECONDS = 300.0  # the rate is a mean over this time, because encoders can be slow

Report = Callable[[int, int, str], None]  # a `workers.Progress`

stderr = Console(stderr=True)


class ProgressBars:
    """Progress bars on standard error.

    Args:
        log: Log that gets the progress and the failures too.
        metrics: Metrics that get the numbers of items too.
    """

    def __init__(
        self, log: "Log | None" = None, metrics: "Metrics | None" = None
    ) -> None:
        self._log = log
        self._metrics = metrics
        self._files = dict[str, TaskID]()
        self._progress = Progress(
            TextColumn("{task.description:>12}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            _Rate(),
            TimeRemainingColumn(),
            console=stderr,
            speed_estimate_period=SPEED_SECONDS,
        )

    def __call__(self, name: str, unit: str = "steps") -> Report:
        """Make a bar, which appears with its first step.

        Args:
            name: Text before the bar.
            unit: Unit of a step, in the plural.

        Returns:
            The callback of the bar, which takes the finished steps, all steps, and the
            failure of the last one.
        """
        tasks = list[TaskID]()  # one, from the first step on

        def update(done: int, total: int, problem: str) -> None:
            if self._log:
                self._log.report(name, done, total, problem)
            if self._metrics:
                self._metrics.report(done, total, problem)
            self._progress.start()
            if not tasks:
                tasks.append(self._progress.add_task(name, unit=unit))
            self._progress.update(tasks[0], completed=done, total=total)
            if problem:
                print_problem(problem)

        return update

    def within_file(self, file: str, done: int, total: int) -> None:
        """Show the progress within a long file; a `workers.FileProgress`.

        Args:
            file: Name of the file.
            done: Number of finished segments.
            total: Number of all segments; equal to `done` at the end of the file.
        """
        if done == total:
            if task := self._files.pop(file, None):
                self._progress.remove_task(task)
            return
        self._progress.start()
        if file not in self._files:
            name = shorten_middle(file)
            self._files[file] = self._progress.add_task(name, unit="segments")
        self._progress.update(self._files[file], completed=done, total=total)

    def stop(self) -> None:
        """Leave the bars as they are."""
        if self._progress.live.is_started:
            self._progress.stop()


def shorten_middle(text: str) -> str:
    """Shorten a text that is too long for the place before a bar.

    >>> shorten_middle("2019/beach/film.mp4")
    '2019/…lm.mp4'

    Args:
        text: Name of a file.
    """
    if len(text) <= BAR_NAME:
        return text
    half = (BAR_NAME - 1) // 2
    return f"{text[:half]}…{text[half + 1 - BAR_NAME :]}"


@contextmanager
def progress_bars(
    log: "Log | None" = None, metrics: "Metrics | None" = None
) -> Iterator[ProgressBars]:
    """Show progress bars on standard error.

    Nothing is printed before the first step, so an error that comes earlier stands alone.

    Args:
        log: Log that gets the progress and the failures too.
        metrics: Metrics that get the numbers of items too.

    Yields:
        A function of a name and a unit that makes a bar.
    """
    bars = ProgressBars(log, metrics)
    try:
        yield bars
    finally:
        bars.stop()


class _Rate(ProgressColumn):
    """Column with the number of units a second, or of seconds a unit."""

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
    """Make a table for the screen; the first column is left-aligned, all others right.

    Args:
        title: Title above the table.
        columns: Headings.
        rows: Cells of each row.
    """
    table = Table(title=title, box=SIMPLE_HEAD, pad_edge=False)
    for index, column in enumerate(columns):
        table.add_column(column, justify="right" if index else "left")
    for row in rows:
        table.add_row(*row)
    return table


def print_json(value: Any) -> None:
    """Print a JSON value to standard output.

    Args:
        value: JSON value.
    """
    typer.echo(json.dumps(value, indent=1, ensure_ascii=False))


def print_probe(document: dict[str, Any]) -> None:
    """Print the brightness and loudness of every second of a file, and its warnings.

    Args:
        document: Result of `media.probe`.
    """
    seconds = ", ".join(
        f"{name} {f'{value:.2f} s' if value else 'none'}"
        for name, value in document["seconds"].items()
    )
    stderr.print(
        f"{document['segments']} segments; {seconds}", highlight=False, markup=False
    )
    missing = [None] * document["segments"]
    luma = document["video"]["luma"] or missing
    rms = document["audio"]["rms"] or missing
    rows = list[list[str]]()
    for second, (brightness, loudness) in enumerate(zip(luma, rms, strict=True)):
        rows.append([str(second), _cell(brightness, 0), _cell(loudness, 4)])
    columns = ["second", "brightness", "loudness"]
    Console().print(new_table(document["file"], columns, rows))
    for warning in document["warnings"]:
        print_warning(warning)


def _cell(value: float | None, digits: int) -> str:
    return "missing" if value is None else f"{value:.{digits}f}"


def print_warning(text: str) -> None:
    """Print a warning to standard error.

    Args:
        text: One line.
    """
    stderr.print(
        f"warning: {text}",
        style="yellow",
        highlight=False,
        markup=False,
        soft_wrap=True,
    )


def print_problem(text: str) -> None:
    """Print the failure of one item to standard error.

    Args:
        text: One line.
    """
    stderr.print(
        f"error: {text}", style="red", highlight=False, markup=False, soft_wrap=True
    )


def finish(outcome: "Outcome | Imported | Converted", verb: str) -> None:
    """Print the numbers of videos by result, and exit with the code of a batch.

    Args:
        outcome: Result of a stage.
        verb: Verb of a finished video, such as `encoded`.

    Raises:
        typer.Exit: A video failed.
    """
    already = f", {outcome.already} already done" if outcome.already else ""
    stderr.print(
        f"{outcome.done} {verb}{already}, {len(outcome.failed)} failed", highlight=False
    )
    if outcome.failed:
        is_any_done = outcome.done or outcome.already
        raise typer.Exit(Exit.SOME_FAILED if is_any_done else Exit.NOTHING_DONE)


def warn_skipped(videos: Sequence[str]) -> None:
    """Warn of videos without features.

    Args:
        videos: Ids of the videos.
    """
    if videos:
        print_warning(
            f"{len(videos)} videos have no features and were left out, the first is "
            f"{videos[0]}"
        )


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
        print_warning(problem)


def warn_embedded(encoders: Sequence[Sequence[str]]) -> None:
    """Note that the embedded encoders recognise synthetic data only, if they are used.

    Args:
        encoders: Names of the encoders per modality.
    """
    if any(name == "embedded" for group in encoders for name in group):
        what = (
            "note: the embedded encoders recognise only the synthetic data of "
            "`vaplan demo`; for real videos give "
            "--visual clip:base --audio clap:base"
        )
        stderr.print(what, style="yellow", highlight=False, markup=False)

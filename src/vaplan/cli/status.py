"""Command `vaplan status`."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from vaplan.cli.console import new_table, print_json
from vaplan.cli.options import JsonOption
from vaplan.cli.store import open_stores

if TYPE_CHECKING:
    from vaplan.store.progress import StoreProgress

MAX_REASONS = 10
COLUMNS = ["part", "planned", "done", "failed", "missing", "videos/s", "time left"]


def status(
    store: Annotated[Path, typer.Argument(help="The folder of the store.")],
    as_json: JsonOption = False,
) -> None:
    """Show the progress of the jobs that fill a feature store.

    For each encoder: the numbers of videos that are done, failed by reason, and missing; the
    rate of the last half hour and the time left; and the parts (`vaplan features --part`) that
    are slow or have no job. Files without an audio track, or without a visual one, count as
    done; `vaplan store info` counts them apart, as absent. Jobs may run meanwhile.

    Example: `vaplan status store`
    """
    from vaplan.store.progress import read_progress

    progress = [read_progress(one) for one in open_stores(store).values()]
    if as_json:
        print_json({one.encoder: _document(one) for one in progress})
        return
    console = Console()
    for one in progress:
        console.print(new_table(one.encoder, COLUMNS, _rows(one)))
        for line in _notes(one):
            console.print(line, highlight=False, markup=False, soft_wrap=True)


def _document(progress: "StoreProgress") -> dict[str, Any]:
    parts = [
        {**asdict(part), "seconds_left": part.seconds_left} for part in progress.parts
    ]
    return {
        "missing": progress.missing,
        "rate": progress.rate,
        "seconds_left": progress.seconds_left,
        "reasons": progress.reasons,
        "slow_parts": progress.slow_parts(),
        "stopped_parts": progress.stopped_parts(),
        "parts": parts,
    }


def _rows(progress: "StoreProgress") -> list[list[str]]:
    rows = [
        [
            part.name or "store",
            str(part.planned),
            str(part.ok + part.absent),
            str(part.failed),
            str(part.missing),
            _rate(part.rate if part.is_running else None),
            _duration(part.seconds_left),
        ]
        for part in progress.parts
    ]
    if len(rows) > 1:
        sums = [sum(int(row[column]) for row in rows) for column in range(1, 5)]
        total = ["all", *map(str, sums), _rate(progress.rate)]
        rows.append([*total, _duration(progress.seconds_left)])
    return rows


def _notes(progress: "StoreProgress") -> list[str]:
    notes = list[str]()
    for reason, count in list(progress.reasons.items())[:MAX_REASONS]:
        notes.append(f"{count} failed: {reason}")
    if len(progress.reasons) > MAX_REASONS:
        others = sum(list(progress.reasons.values())[MAX_REASONS:])
        notes.append(f"{others} failed for other reasons; see `vaplan store info`")
    if slow := progress.slow_parts():
        notes.append(f"at less than half the median rate: {', '.join(slow)}")
    if stopped := [name for name in progress.stopped_parts() if name]:
        notes.append(f"videos are missing and no shard is new: {', '.join(stopped)}")
    elif progress.stopped_parts():
        notes.append(
            "no shard is new; if no job runs, the same command that filled the store continues"
        )
    return notes


def _rate(rate: float | None) -> str:
    return "–" if rate is None else f"{rate:.2f}"


def _duration(seconds: float | None) -> str:
    """Format a duration.

    >>> _duration(59.4), _duration(3720.0), _duration(2e5)
    ('59 s', '1 h 2 min', '2 d 7 h')
    """
    if seconds is None:
        return "–"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days} d {hours} h"
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"

"""Data sets: what is in them, and where they come from."""

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from vaplan.cli.console import new_table, print_json, progress_bars, stderr
from vaplan.cli.options import (
    AllowOutsideOption,
    AnnotationsOption,
    DataArgument,
    JsonOption,
    WorkersOption,
)

if TYPE_CHECKING:
    from vaplan.stages import Check

SHOWN = 8  # examples of one kind of oddity


def check(
    data: DataArgument,
    media: Annotated[
        Path | None,
        typer.Option(
            "--media", help="Folder of the media files; every file is opened."
        ),
    ] = None,
    missing: Annotated[
        Path,
        typer.Option(
            "--missing",
            help="With --media: CSV to write, with the videos without a readable file.",
        ),
    ] = Path("missing.csv"),
    annotations: AnnotationsOption = "",
    allow_outside: AllowOutsideOption = False,
    workers: WorkersOption = None,
    as_json: JsonOption = False,
) -> None:
    """Count the videos, tags and events of a data set, and list its issues by file and line.

    Issues are not errors: rows that cannot be used are left out and listed. Give the list of
    missing videos to `evaluate --without` to score the rest.

    Example: `vaplan data check table:annotations.csv --media videos`
    """
    from vaplan import stages

    with progress_bars() as bars:
        result = stages.check(
            data,
            annotations=annotations,
            media=media,
            allow_outside=allow_outside,
            workers=workers,
            progress=bars("open", "files"),
        )
    if media is not None:
        stages.write_manifest(missing, result)
        stderr.print(
            f"{len(result.media_issues())} videos without media: {missing}",
            highlight=False,
            markup=False,
        )
    summary = {"data": data} | result.summary()
    if as_json:
        return print_json(summary)
    return _show(summary, result)


def fetch(
    name: Annotated[
        str, typer.Argument(metavar="llp|ave", help="Name of the data set.")
    ],
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder to write.")],
) -> None:
    """Download the annotations of a public data set at a fixed version and verify them.

    LLP's legacy audio annotations are written to the sibling folder `DIR-legacy`. Media files
    are not published; the ids are those of YouTube videos.

    Example: `vaplan data fetch llp data/llp`
    """
    from vaplan import stages

    for path in stages.fetch(name, folder):
        stderr.print(f"{path}", highlight=False, markup=False)


def _show(summary: dict[str, Any], result: "Check") -> None:
    splits = {name or "(no split)": split for name, split in summary["splits"].items()}
    files = ", ".join(f"{name} {rows}" for name, rows in summary["files"].items())
    _say(f"{summary['data']}: {summary['videos']} videos, {summary['classes']} classes")
    _say(f"annotations: {summary['annotations']}; rows: {files}")
    if summary["columns"]:
        _say(f"columns: {_columns(summary['columns'])}")
    console = Console()
    console.print(new_table("splits", ["", *splits], _split_rows(splits)))
    console.print(
        new_table(
            "classes: tagged videos, audio events / visual events",
            ["", *splits],
            _class_rows(splits),
        )
    )
    for kind, items in summary["issues"].items():
        by_file = Counter(Path(item["file"]).name for item in items)
        parts = (
            f" ({', '.join(f'{name} {count}' for name, count in by_file.items())})"
            if len(by_file) > 1
            else ""
        )
        _say(f"{kind}: {len(items)}{parts}", style="bold")
        for item in items[:SHOWN]:
            place = Path(item["file"]).name + (
                f":{item['line']}" if item["line"] else ""
            )
            _say(f"  {place}: {item['what']}")
        if len(items) > SHOWN:
            _say(f"  … and {len(items) - SHOWN} more; --json names all")
    if not result.issues:
        _say("no issues")
    if summary["media"]:
        _say(
            "media: "
            + ", ".join(f"{count} {what}" for what, count in summary["media"].items())
        )


def _columns(meanings: dict[str, str]) -> str:
    """Say what each column means, where its name is another, and which are not used.

    >>> _columns({"filename": "video", "onset": "onset", "note": ""})
    'filename (video), onset; not used: note'
    """
    used = [
        name if name == meaning else f"{name} ({meaning})"
        for name, meaning in meanings.items()
        if meaning
    ]
    unused = [name for name, meaning in meanings.items() if not meaning]
    return ", ".join(used) + (f"; not used: {', '.join(unused)}" if unused else "")


def _say(text: str, *, style: str = "") -> None:
    Console().print(
        text, style=style, highlight=False, markup=False, emoji=False, soft_wrap=True
    )


def _split_rows(splits: dict[str, Any]) -> list[list[str]]:
    numbers = sorted(
        {
            number
            for split in splits.values()
            for number in split["videos by number of tags"]
        },
        key=int,
    )
    rows = [
        [key, *(str(split[key]) for split in splits.values())]
        for key in ("videos", "densely labelled")
    ]
    for number in numbers:
        cells = (
            split["videos by number of tags"].get(number, 0)
            for split in splits.values()
        )
        rows.append([f"with {number} tag{'s' * (number != '1')}", *map(str, cells)])
    for kind in ("audio", "visual", "audio_visual", "any"):
        cells = (
            (split["without an event"] or {}).get(kind) for split in splits.values()
        )
        rows.append(
            [
                f"without {kind.replace('_', '-')} event",
                *("–" if c is None else str(c) for c in cells),
            ]
        )
    return rows


def _class_rows(splits: dict[str, Any]) -> list[list[str]]:
    names = next(iter(splits.values()))["per_class"]
    return [
        [name, *(_class_cell(split, name) for split in splits.values())]
        for name in names
    ]


def _class_cell(split: dict[str, Any], name: str) -> str:
    videos, *events = split["per_class"][name].values()
    return (
        f"{videos}"
        if not split["densely labelled"]
        else f"{videos}, {' / '.join(map(str, events))}"
    )

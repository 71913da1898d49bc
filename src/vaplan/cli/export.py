"""Commands `vaplan export` and `vaplan import-events`."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from vaplan.cli.console import finish, progress_bars
from vaplan.cli.options import OutTable


class EventModality(StrEnum):
    """Modality of the events whose label names none."""

    audio = "audio"
    visual = "visual"
    both = "both"


FrameRateOption = Annotated[
    float | None,
    typer.Option(
        "--frame-rate",
        min=0.001,
        max=1000,
        help="Frames a second, for `label-studio`. [default: 25, or that of the file]",
    ),
]


def export(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="TABLE|DIR",
            help="Table of events, or folder of JSON timelines of `vaplan parse`.",
        ),
    ],
    format_name: Annotated[
        str,
        typer.Option(
            "--format",
            metavar="FORMAT",
            help="`json`, `csv`, `parquet`, `webvtt`, `webvtt-metadata`, `srt`, `rttm`, `elan`, "
            "`textgrid`, `audacity`, `label-studio`, `fiftyone`, `huggingface`, `activitynet` or "
            "`dcase`; see docs/formats.md.",
        ),
    ],
    out: Annotated[Path, typer.Option("--out", help="The folder for the files.")],
    media: Annotated[
        Path | None,
        typer.Option(
            "--media", help="Folder of the media files, for formats that link them."
        ),
    ] = None,
    frame_rate: FrameRateOption = None,
) -> None:
    """Write timelines in the formats of other tools.

    Reads a table or a folder; writes one file per video, or a few files of all videos.

    Example: `vaplan export timelines --format elan --media videos --out for_elan`

    The other way: `vaplan import-events`
    """
    from vaplan.exports.convert import export_timelines

    with progress_bars() as bars:
        outcome = export_timelines(
            source,
            out,
            format=format_name,
            media=media,
            frame_rate=frame_rate,
            progress=bars("export", "videos"),
        )
    finish(outcome, "exported")


def import_events(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="FILE|DIR", help="File of another tool, or folder of them."
        ),
    ],
    format_name: Annotated[
        str,
        typer.Option(
            "--format",
            metavar="FORMAT",
            help="`elan`, `textgrid`, `audacity`, `label-studio`, `webvtt`, `webvtt-metadata`, "
            "`rttm`, `activitynet`, `dcase`, `json`, `csv` or `parquet`; see docs/formats.md.",
        ),
    ],
    out: OutTable,
    modality: Annotated[
        EventModality | None,
        typer.Option(
            "--modality",
            help="Modality of events whose label names none. [default: they are errors]",
        ),
    ] = None,
    frame_rate: FrameRateOption = None,
) -> None:
    """Read events from the files of other tools, and write them as a table.

    Labels such as `audio:Dog` name their modality. If the format has no video id,
    the name of the file without its ending is the id. Use the table wherever vaplan takes one,
    as in `vaplan evaluate --estimate`.

    Example: `vaplan import-events from_elan --format elan --out corrected.csv`
    """
    from vaplan.exports.convert import import_table

    with progress_bars() as bars:
        outcome = import_table(
            source,
            out,
            format=format_name,
            modality=modality.value if modality else "",
            frame_rate=frame_rate,
            progress=bars("import", "files"),
        )
    finish(outcome, "imported")

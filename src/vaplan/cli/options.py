"""Arguments and options that several commands share."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

DATA_HELP = "The data set: `table:FILE` (CSV or Parquet), `llp:DIR` or `ave:DIR`."
DataOption = Annotated[str, typer.Option("--data", help=DATA_HELP)]
DataArgument = Annotated[str, typer.Argument(metavar="DATA", help=DATA_HELP)]
AnnotationsOption = Annotated[
    str,
    typer.Option(
        "--annotations",
        metavar="corrected|legacy|FILE",
        help="LLP's audio annotations: the corrected ones, the older ones, for example in the sibling folder "
        "`DIR-legacy`, or a file. [default: those of the folder]",
    ),
]
StoreOption = Annotated[Path, typer.Option("--store", help="The folder of the feature store.")]
RunOption = Annotated[Path, typer.Option("--run", help="The run folder.")]
MediaOption = Annotated[Path, typer.Option("--media", help="The folder with the media files.")]
OutTable = Annotated[Path, typer.Option("--out", help="The table to write, `.csv` or `.parquet`.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document to standard output.")]
WorkersOption = Annotated[int | None, typer.Option("--workers", min=1, help="Worker processes. [default: one a core]")]
AudioOption = Annotated[
    list[str], typer.Option("--audio", help="Sound encoder: `embedded`, or `clap:` and a folder or Hub id.")
]
VisualOption = Annotated[
    list[str], typer.Option("--visual", help="Picture encoder: `embedded`, or `clip:` and a folder or Hub id.")
]
EMBEDDED = ["embedded"]


class Modality(StrEnum):
    """Which track."""

    audio = "audio"
    visual = "visual"

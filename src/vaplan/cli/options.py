"""Arguments and options that several commands share."""

import math
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from vaplan.errors import UsageError


def table_name(path: Path | None) -> Path | None:
    """Before any work begins, the table's name must say its format."""
    from vaplan.annotations.table import check_suffix

    return path and check_suffix(path)


def apart(**paths: Path | None) -> None:
    """Refuse two options that name one file, of which one would be written over."""
    places = dict[Path, str]()
    for name, path in paths.items():
        if path and (other := places.setdefault(path.resolve(), name)) != name:
            raise UsageError(
                f"--{other} and --{name} name one file",
                file=path,
                fix="give each a file of its own",
            )


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
StoreOption = Annotated[
    Path, typer.Option("--store", help="The folder of the feature store.")
]
RunOption = Annotated[Path, typer.Option("--run", help="The run folder.")]
MediaOption = Annotated[
    Path, typer.Option("--media", help="The folder with the media files.")
]
OutTable = Annotated[
    Path,
    typer.Option(
        "--out", help="The table to write, `.csv` or `.parquet`.", callback=table_name
    ),
]
JsonOption = Annotated[
    bool, typer.Option("--json", help="Print one JSON document to standard output.")
]
WorkersOption = Annotated[
    int | None,
    typer.Option("--workers", min=1, help="Worker processes. [default: one a core]"),
]
AudioOption = Annotated[
    list[str],
    typer.Option(
        "--audio", help="Sound encoder: `embedded`, or `clap:` and a folder or Hub id."
    ),
]
VisualOption = Annotated[
    list[str],
    typer.Option(
        "--visual",
        help="Picture encoder: `embedded`, or `clip:` and a folder or Hub id.",
    ),
]
TaxonomyOption = Annotated[
    Path | None,
    typer.Option(
        "--taxonomy",
        help="A YAML or CSV file with the classes, and sentences for them if you like: `classes: [Dog, Rain]`.",
    ),
]
DeviceOption = Annotated[
    str,
    typer.Option(
        "--device",
        help="Where encoders run: `cpu`, `openvino` (the CPU, faster), `cuda`, `cuda:1`, `mps`, or `auto`: "
        "a GPU if it is there, else `cpu`.",
    ),
]
PrecisionOption = Annotated[
    str,
    typer.Option(
        "--precision",
        help="Of the encoders: `fp32`, `bf16`, `fp16` (GPU), or `auto`: as the store was begun or the parser trained, "
        "else bf16 where the device multiplies in it. The embedded ones are fp32 unless you say otherwise.",
    ),
]
SamplingOption = Annotated[
    str,
    typer.Option(
        "--sampling",
        help="When pictures are taken: `centre` of each second, or `han` or `valor`: as the published features, ten "
        "groups spread over the whole video.",
    ),
]
EMBEDDED, AUTO, CENTRE = ["embedded"], "auto", "centre"


class Modality(StrEnum):
    """Which track."""

    audio = "audio"
    visual = "visual"


def thresholds(
    given: Sequence[str], *, example: str = "audio=0.05 or visual=0.06"
) -> dict[str, float] | None:
    """What `--threshold audio=0.05 --threshold visual=0.06` says; None if it was not given."""
    spec = {}
    for text in given:
        modality, _, value = text.partition("=")
        try:
            spec[Modality(modality).value] = float(value)
        except ValueError:
            raise UsageError(f"threshold {text!r}", fix=f"write {example}") from None
        if not math.isfinite(spec[modality]):
            raise UsageError(
                f"threshold {text!r} is no finite number", fix=f"write {example}"
            )
    return spec or None

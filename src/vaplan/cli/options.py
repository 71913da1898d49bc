"""Arguments and options that several commands share."""

import math
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from vaplan.errors import UsageError
from vaplan.modalities import MODALITIES
from vaplan.reading import plain_number


def table_name(path: Path | None) -> Path | None:
    """Check the ending of a table before any work begins."""
    from vaplan.annotations.table import check_suffix

    return path and check_suffix(path)


def apart(**paths: Path | None) -> None:
    """Raise UsageError if two options name one file, which would be overwritten."""
    option_of = dict[Path, str]()
    for name, path in paths.items():
        if path is None:
            continue
        option = name.replace("_", "-")
        first = option_of.setdefault(path.resolve(), option)
        if first != option:
            raise UsageError(
                f"--{first} and --{option} name one file",
                file=path,
                fix="give each a different file",
            )


DATA_HELP = (
    "The data set: `table:FILE` (CSV or Parquet), `llp:DIR`, `ave:DIR`, or another KIND:PATH "
    "(dcase, audioset, vggsound, vggsounder, activitynet, ovave). docs/data.md has the columns and "
    "files."
)
DataOption = Annotated[str, typer.Option("--data", help=DATA_HELP)]
DataArgument = Annotated[str, typer.Argument(metavar="DATA", help=DATA_HELP)]
AnnotationsOption = Annotated[
    str,
    typer.Option(
        "--annotations",
        metavar="VERSION",
        help="Version of the dense labels. `llp:` has two versions of the audio labels, "
        "`corrected` and `legacy` (for example in the sibling folder `DIR-legacy`), or takes a "
        "file. `activitynet:` takes the modality of its events: `audio`, `visual` or `both`. "
        "[default: the version in the folder]",
    ),
]
StoreOption = Annotated[
    Path, typer.Option("--store", help="The folder of the feature store.")
]
RunOption = Annotated[Path, typer.Option("--run", help="The run folder.")]
RunArgument = Annotated[
    Path, typer.Argument(metavar="RUN", help="Run folder of a trained parser.")
]
LabelsOption = Annotated[Path, typer.Option("--labels", help="Table of pseudo labels.")]
MediaOption = Annotated[
    Path, typer.Option("--media", help="The folder with the media files.")
]
AllowOutsideOption = Annotated[
    bool,
    typer.Option(
        "--allow-outside",
        help="Accept paths in the table that lead out of the media folder.",
    ),
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
TimeoutOption = Annotated[
    float | None,
    typer.Option(
        "--timeout",
        min=0.001,
        help="Seconds without progress after which a file is given up. [default: 600 s, and 1 s "
        "per MB]",
    ),
]
GateOption = Annotated[
    float | None,
    typer.Option(
        "--gate",
        min=0,
        max=1,
        help="Threshold of the gate: segments of a class are marked only if the probability of "
        "the class in the video (or in the modality, as the decision rule of the run says) is at "
        "least this; lower marks more. The rules of localisation (AVE) use only this threshold. "
        "[default: that of the run]",
    ),
]
WorkersOption = Annotated[
    int | None,
    typer.Option("--workers", min=1, help="Worker processes. [default: one per core]"),
]
EngineOption = Annotated[
    str,
    typer.Option(
        "--engine",
        metavar="auto|local|ray",
        help="Where the workers run: `local` processes, or a `ray` cluster (of this machine, "
        "if there is no address). `auto` is `ray` if --address or RAY_ADDRESS is given.",
    ),
]
AddressOption = Annotated[
    str | None,
    typer.Option(
        "--address", metavar="HOST:PORT", help="The running Ray cluster to join."
    ),
]
LogOption = Annotated[
    Path | None,
    typer.Option(
        "--log",
        metavar="FILE.jsonl",
        help="Append progress and failures to this file, one JSON document per line.",
    ),
]
MetricsOption = Annotated[
    Path | None,
    typer.Option(
        "--metrics",
        metavar="FILE.prom",
        help="Write progress, failures by reason, rate and time left to this file every few "
        "seconds, for Prometheus.",
    ),
]
AUDIO_HELP = (
    "Audio encoder: `clap:` and a short name (`vaplan models list`), a Hub id or a folder; "
    "`embedded` recognises only the classes of the synthetic data. Repeat the option for several "
    "encoders."
)
VISUAL_HELP = (
    "Visual encoder: `clip:` and a short name (`vaplan models list`), a Hub id or a folder; "
    "`embedded` recognises only the classes of the synthetic data. Repeat the option for several "
    "encoders."
)
AudioOption = Annotated[
    list[str], typer.Option("--audio", metavar="ENCODER", help=AUDIO_HELP)
]
VisualOption = Annotated[
    list[str], typer.Option("--visual", metavar="ENCODER", help=VISUAL_HELP)
]
STORED = "named as in `vaplan store info`, such as `clip:base` or `own:NAME`."
StoredAudioOption = Annotated[
    list[str] | None,
    typer.Option(
        "--audio",
        metavar="ENCODER",
        help=f"Audio encoder of the store, {STORED} [default: the encoders of the store]",
    ),
]
StoredVisualOption = Annotated[
    list[str] | None,
    typer.Option(
        "--visual",
        metavar="ENCODER",
        help=f"Visual encoder of the store, {STORED} [default: the encoders of the store]",
    ),
]
TaxonomyOption = Annotated[
    Path | None,
    typer.Option(
        "--taxonomy",
        metavar="FILE",
        help="YAML or CSV file with the classes, such as `classes: [Dog, Rain]`, and prompts for "
        "some of them, such as `prompts: {Rain: {audio: a downpour}}`.",
    ),
]
DeviceOption = Annotated[
    str,
    typer.Option(
        "--device",
        help="Where encoders run: `cpu`, `openvino` (the CPU, faster), `cuda`, "
        "`cuda:1`, `mps`, several GPUs as `cuda:0,cuda:1`, or `auto`: "
        "a GPU if it is there, else `cpu`.",
    ),
]
PipelineOption = Annotated[
    bool | None,
    typer.Option(
        "--pipeline/--no-pipeline",
        help="Encode in one process for each device, while the workers only decode. [default: "
        "on GPUs, except with Ray]",
    ),
]
PrecisionOption = Annotated[
    str,
    typer.Option(
        "--precision",
        help="Precision of the encoders: `fp32`, `bf16`, `fp16` (GPU), or `auto`: that of the "
        "store or of the parser's training, else bf16 if the device supports it, else fp32. For "
        "the embedded encoders `auto` is fp32.",
    ),
]
SamplingOption = Annotated[
    str,
    typer.Option(
        "--sampling",
        help="Times of the frames: `centre` of each segment, or `han` or `valor` as for the "
        "published features: ten groups spread over the whole video.",
    ),
]
EMBEDDED, AUTO, CENTRE = ["embedded"], "auto", "centre"


class Modality(StrEnum):
    """Names of the modalities."""

    audio = "audio"
    visual = "visual"


def thresholds(
    options: Sequence[str], *, example: str = "audio=0.05 or visual=0.06"
) -> dict[str, float] | None:
    """Read `--threshold audio=0.05 --threshold visual=0.06`.

    Args:
        options: Values of the option.
        example: Example for errors.

    Returns:
        Thresholds by modality; None without any.

    Raises:
        UsageError: A value is not valid.
    """
    spec = {}
    for text in options:
        modality, _, value = text.partition("=")
        number = plain_number(value)
        if number is None or modality not in MODALITIES:
            raise UsageError(f"threshold {text!r}", fix=f"write {example}")
        if not math.isfinite(number):
            raise UsageError(
                f"threshold {text!r} is not a finite number", fix=f"write {example}"
            )
        spec[modality] = number
    return spec or None

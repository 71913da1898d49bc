"""Command `vaplan parse`."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vaplan.cli.console import (
    finish,
    print_warning,
    progress_bars,
    warn_embedded,
    warn_media,
)
from vaplan.cli.log import open_log
from vaplan.cli.metrics import open_metrics
from vaplan.cli.options import (
    AUDIO_HELP,
    AUTO,
    EMBEDDED,
    VISUAL_HELP,
    AddressOption,
    DeviceOption,
    EngineOption,
    GateOption,
    LogOption,
    MetricsOption,
    PipelineOption,
    PrecisionOption,
    TaxonomyOption,
    TimeoutOption,
    WorkersOption,
    thresholds,
)
from vaplan.errors import UsageError

if TYPE_CHECKING:
    from vaplan.encoders.compute import Compute
    from vaplan.parser import Parser
    from vaplan.taxonomy import Taxonomy
    from vaplan.zero_shot import ZeroShotClassifier

    Load = Callable[[], Parser | ZeroShotClassifier]

Names = Sequence[Sequence[str]]
NO_PARSER = "a parser is needed: a trained run, or the encoders with a list of classes"
GIVE_ONE = "give --run RUN, or --zero-shot --taxonomy FILE"


def parse(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(metavar="PATH", help="Media files, or folders of them."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="The folder for the timelines.")
    ] = None,
    beside: Annotated[
        bool,
        typer.Option("--beside", help="Write each timeline beside its media file."),
    ] = False,
    run: Annotated[
        Path | None, typer.Option("--run", help="The run folder of a trained parser.")
    ] = None,
    store: Annotated[
        Path | None,
        typer.Option(
            "--store",
            help="Parse the videos of this feature store instead of media files, with "
            "`--run`.",
        ),
    ] = None,
    zero_shot: Annotated[
        bool,
        typer.Option(
            "--zero-shot",
            help="Compare segments with the classes of `--taxonomy`, without training.",
        ),
    ] = False,
    taxonomy: TaxonomyOption = None,
    audio: Annotated[
        list[str],
        typer.Option(
            "--audio", metavar="ENCODER", help=f"With --zero-shot. {AUDIO_HELP}"
        ),
    ] = EMBEDDED,
    visual: Annotated[
        list[str],
        typer.Option(
            "--visual", metavar="ENCODER", help=f"With --zero-shot. {VISUAL_HELP}"
        ),
    ] = EMBEDDED,
    threshold: Annotated[
        list[str] | None,
        typer.Option(
            "--threshold",
            metavar="MODALITY=NUMBER",
            help="Segment threshold of a modality; higher marks less. With `--run` a "
            "probability, `audio=0.3`; with `--zero-shot` a margin, `audio=4`, or with "
            "`--background` a deviation, `audio=3`. [default: those of the run, 5, or 3] Repeat "
            "the option for the other modality.",
        ),
    ] = None,
    background: Annotated[
        Path | None,
        typer.Option(
            "--background",
            metavar="STORE",
            help="With --zero-shot: a store with features of the same encoders, made of files "
            "like these. Margins are then in standard deviations from those of its segments, "
            "so that a threshold means the same for every encoder.",
        ),
    ] = None,
    gate: GateOption = None,
    tags: Annotated[
        Path | None,
        typer.Option(
            "--tags",
            help="CSV with `path,tags` or `video,tags`: only these classes are marked in these "
            "videos. Other videos may contain any class.",
        ),
    ] = None,
    formats: Annotated[
        str,
        typer.Option(
            "--format",
            metavar="FORMATS",
            help="One or several formats, such as `json,csv`: those of `vaplan export`, and "
            "`sed-scores`.",
        ),
    ] = "json",
    scores: Annotated[
        bool,
        typer.Option(
            "--scores",
            help="Also write `NAME.scores.csv`: the score of every class in every segment.",
        ),
    ] = False,
    skip_existing: Annotated[
        bool,
        typer.Option(
            "--skip-existing",
            help="Skip files that exist already, for each format separately. [default: overwrite]",
        ),
    ] = False,
    workers: WorkersOption = None,
    engine: EngineOption = AUTO,
    address: AddressOption = None,
    log: LogOption = None,
    metrics: MetricsOption = None,
    timeout: TimeoutOption = None,
    device: DeviceOption = AUTO,
    precision: PrecisionOption = AUTO,
    pipeline: PipelineOption = None,
) -> None:
    """Write timelines of the audio and visual events in media files.

    With `--run` a parser of `vaplan fit` or `vaplan train` is used, with the encoders of the
    run. Videos may have any length: those longer than the window of the recipe (10 seconds in
    all shipped recipes) are parsed in half-overlapping windows. Writes one file per video into
    `--out`, or beside the media with `--beside`; folders are searched with their sub-folders,
    which the timelines mirror.

    Example: `vaplan parse new.mp4 --run run --out timelines`

    With `--store` neither media files nor encoders are needed, for example for vectors
    of `vaplan import vectors`:

        vaplan parse --store store --run run --out timelines

    With `--zero-shot` there is no training and no tag, for any classes, even a single one:

        vaplan parse videos --zero-shot --taxonomy classes.yaml --out timelines \\
            --visual clip:base --audio clap:base

    A class is marked in a segment if it fits better than background prompts (the classes of
    LLP and AVE) do on average, by 5 units of the encoder's score; this margin is the score of an
    event. 5 suits the embedded encoders. For others give `--background STORE`, with a store that
    `vaplan features` made of such files: a class is then marked 3 standard deviations above the
    background. Look at a few timelines, then raise `--threshold` if too much is marked and lower
    it if too little is. With tags, `vaplan fit` gives better results.

    After an interruption repeat the command with `--skip-existing`. While a long film is parsed,
    `NAME.partial.json` has the timeline of its first part, and the parsing continues there.
    """
    from vaplan import stages
    from vaplan.annotations.media_files import list_media_files
    from vaplan.annotations.tags import find_tags, read_known_tags
    from vaplan.encoders.compute import Compute
    from vaplan.workers.engines import open_engine

    _check_places(paths, store, out, beside=beside)
    names = [name.strip() for name in formats.split(",")]
    if store is not None:
        _parse_store(
            store,
            run,
            out,
            tags=tags,
            formats=names,
            scores=scores,
            gate=gate,
            margins=thresholds(threshold or [], example=_example(zero_shot=False)),
            has_other_options=zero_shot
            or skip_existing
            or any(
                option is not None
                for option in (
                    taxonomy,
                    background,
                    workers,
                    address,
                    log,
                    metrics,
                    timeout,
                    pipeline,
                )
            )
            or (engine, device, precision) != (AUTO, AUTO, AUTO)
            or (audio, visual) != (EMBEDDED, EMBEDDED),
        )
        return
    compute = Compute(device, precision)
    margins = thresholds(threshold or [], example=_example(zero_shot=zero_shot))
    if zero_shot and taxonomy and not run:
        load, classes = _zero_shot(
            taxonomy, (audio, visual), margins, compute, background
        )
    elif run and (
        zero_shot or taxonomy or background or audio != EMBEDDED or visual != EMBEDDED
    ):
        raise UsageError(
            "a trained parser has its own classes and encoders",
            fix="give --run RUN alone, or --zero-shot --taxonomy FILE without it",
        )
    elif run:
        load, classes = _trained(run, gate, margins, compute)
    else:
        raise UsageError(NO_PARSER, fix=GIVE_ONE)
    tags_of = read_known_tags(tags, classes) if tags else None
    media = list_media_files(paths or [])
    warn_media(media)
    if tags_of is not None:
        with_tags = find_tags(media.files, tags_of)
        _warn_untagged([f.path for f in media.files if f.path not in with_tags])
    with (
        open_log(log, "parse") as log_file,
        open_metrics(metrics, "parse") as metrics_file,
        open_engine(engine, address) as workers_engine,
        progress_bars(log_file, metrics_file) as bars,
    ):
        outcome = stages.parse(
            media,
            out,
            load=load,
            tags=tags_of,
            formats=names,
            scores=scores,
            skip_existing=skip_existing,
            workers=workers,
            engine=workers_engine,
            timeout=timeout,
            progress=bars("parse", "files"),
            file_progress=bars.within_file,
            compute=compute,
            pipeline=pipeline,
        )
    finish(outcome, "parsed")


def _check_places(
    paths: Sequence[Path] | None, store: Path | None, out: Path | None, *, beside: bool
) -> None:
    """Check that there is one source of videos and one place for the timelines."""
    if (store is None) == (not paths):
        raise UsageError(
            "one source of videos is needed",
            fix="give media files or folders, or --store STORE without them",
        )
    if beside == (out is not None):
        raise UsageError(
            "timelines need one place", fix="give --out DIR, or --beside without it"
        )


def _parse_store(
    store: Path,
    run: Path | None,
    out: Path | None,
    *,
    tags: Path | None,
    formats: Sequence[str],
    scores: bool,
    gate: float | None,
    margins: Mapping[str, float] | None,
    has_other_options: bool,
) -> None:
    """Parse the videos of a feature store."""
    from vaplan import runs, stages
    from vaplan.annotations.tags import read_known_tags

    if run is None or out is None or has_other_options:
        raise UsageError(
            "--store parses stored videos with a trained run",
            fix="give --run RUN and --out DIR; only --tags, --format, --scores, --gate and "
            "--threshold go with them",
        )
    tags_of = read_known_tags(tags, runs.load(run).taxonomy) if tags else None
    with progress_bars() as bars:
        outcome = stages.parse_features(
            run,
            store,
            out,
            tags=tags_of,
            formats=formats,
            scores=scores,
            gate=gate,
            thresholds=margins,
            progress=bars("parse", "videos"),
        )
    finish(outcome, "parsed")


def _example(*, zero_shot: bool) -> str:
    return "audio=4 or visual=6" if zero_shot else "audio=0.3 or visual=0.3"


def _trained(
    run: Path,
    gate: float | None,
    margins: Mapping[str, float] | None,
    compute: "Compute",
) -> "tuple[Load, Taxonomy]":
    from vaplan import runs
    from vaplan.parser import Parser

    loaded = runs.load(run).with_decision(gate=gate, segments=margins)
    warn_embedded(loaded.recipe.encoders)
    load = partial(Parser.load, run, gate=gate, thresholds=margins, compute=compute)
    return load, loaded.taxonomy


def _zero_shot(
    file: Path,
    names: Names,
    margins: Mapping[str, float] | None,
    compute: "Compute",
    store: Path | None,
) -> "tuple[Load, Taxonomy]":
    from vaplan.stages.label import fit_store_background
    from vaplan.taxonomy import read_taxonomy
    from vaplan.zero_shot import ZeroShotClassifier

    taxonomy = read_taxonomy(file)
    if any(len(group) > 1 for group in names):
        raise UsageError(
            "--zero-shot takes one audio encoder and one visual encoder",
            fix="omit the others",
        )
    warn_embedded(names)
    audio, visual = (group[0] for group in names)
    background = None
    if store is not None:
        background = fit_store_background(taxonomy, store, (audio, visual))
    return partial(
        ZeroShotClassifier.load,
        taxonomy,
        (audio, visual),
        thresholds=margins,
        compute=compute,
        background=background,
    ), taxonomy


def _warn_untagged(paths: Sequence[Path]) -> None:
    if paths:
        print_warning(
            f"{len(paths)} files have no tags and may contain any class; the first is {paths[0]}"
        )

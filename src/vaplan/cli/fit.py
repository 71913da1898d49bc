"""Command `vaplan fit`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vaplan.cli.console import progress_bars, stderr, warn_embedded
from vaplan.cli.log import open_log
from vaplan.cli.options import (
    AUDIO_HELP,
    AUTO,
    CENTRE,
    VISUAL_HELP,
    AddressOption,
    AllowOutsideOption,
    DeviceOption,
    EngineOption,
    LogOption,
    PipelineOption,
    PrecisionOption,
    RunOption,
    SamplingOption,
    TaxonomyOption,
    WorkersOption,
)
from vaplan.errors import Exit

if TYPE_CHECKING:
    from vaplan.annotations.corrections import Corrections


def fit(
    tags: Annotated[
        Path,
        typer.Argument(
            help="Table with the columns `path,tags` or `video,tags`, tags separated by `;`. "
            "With --tags-from-folders the folder of the videos."
        ),
    ],
    run: RunOption,
    media: Annotated[
        Path | None,
        typer.Option(
            "--media",
            help="The folder with the media files. [default with --tags-from-folders: "
            "the folder of the videos]",
        ),
    ] = None,
    tags_from_folders: Annotated[
        bool,
        typer.Option(
            "--tags-from-folders",
            help="A video's tag is the first folder it lies in, as in "
            "`videos/Dog/a.mp4`; copies of one file in two folders are one video "
            "with two tags.",
        ),
    ] = False,
    audio: Annotated[
        list[str] | None,
        typer.Option(
            "--audio",
            metavar="ENCODER",
            help=f"{AUDIO_HELP} [default: those of the run, else embedded]",
        ),
    ] = None,
    visual: Annotated[
        list[str] | None,
        typer.Option(
            "--visual",
            metavar="ENCODER",
            help=f"{VISUAL_HELP} [default: those of the run, else embedded]",
        ),
    ] = None,
    taxonomy: TaxonomyOption = None,
    workers: WorkersOption = None,
    engine: EngineOption = AUTO,
    address: AddressOption = None,
    log: LogOption = None,
    device: DeviceOption = AUTO,
    precision: PrecisionOption = AUTO,
    pipeline: PipelineOption = None,
    sampling: SamplingOption = CENTRE,
    allow_outside: AllowOutsideOption = False,
    add: Annotated[
        bool,
        typer.Option(
            "--add",
            help="Add these videos to those of the run and train again; only new videos are "
            "encoded.",
        ),
    ] = False,
    overwrite: Annotated[
        bool,
        typer.Option(
            "--overwrite",
            help="Replace a finished run that was trained on other tags.",
        ),
    ] = False,
    corrections: Annotated[
        Path | None,
        typer.Option(
            "--corrections",
            metavar="TABLE",
            help="Table that `vaplan review` wrote: the videos marked as done there are taken as "
            "densely labelled, and the run is trained again in its place. Of another table, such "
            "as that of `vaplan import-events`, all videos are taken.",
        ),
    ] = None,
    test_share: Annotated[
        float,
        typer.Option(
            "--test-share",
            min=0,
            max=1,
            help="With --corrections: share of these videos that is not trained on; F is "
            "measured on it.",
        ),
    ] = 0.3,
) -> None:
    """Train a parser on your own tagged videos in one command.

    Runs features, label, train, refine and train. Reads a table of tags and a folder of media
    files, or folders of media files that are named by tags. Videos may have any length. Writes a
    run folder RUN with the parser; RUN/store is the feature store, RUN/labels.csv the pseudo
    labels. The same command continues where an interrupted one stopped. With fewer than about
    100 videos compare the parser with `vaplan parse --zero-shot`.

    For real videos give real encoders:

        vaplan fit tags.csv --media videos --run run \\
            --visual clip:base --audio clap:base

    Without a table:

        vaplan fit videos --tags-from-folders --run run \\
            --visual clip:base --audio clap:base

    Classes whose name is not enough for a prompt get prompts from a file: `--taxonomy classes.yaml`

    More videos later, with the encoders and prompts of the run: `vaplan fit more.csv --media
    videos --run run --add`

    After `vaplan review timelines`, labels are refined with the corrected videos, and F is
    measured on a share of them:

        vaplan fit tags.csv --media videos --run run \\
            --corrections timelines.reviewed.csv
    """
    from vaplan import stages
    from vaplan.encoders.compute import Compute
    from vaplan.stages.fit import encoders_of_run
    from vaplan.workers.engines import open_engine

    def print_message(text: str) -> None:
        stderr.print(text, highlight=False, markup=False)

    audio_before, visual_before = encoders_of_run(run)
    encoders = (audio or audio_before, visual or visual_before)
    warn_embedded(encoders)
    with (
        open_log(log, "fit") as log_file,
        open_engine(engine, address) as workers_engine,
        progress_bars(log_file) as bars,
    ):
        trained, failed = stages.fit(
            tags,
            media,
            run,
            encoders=encoders,
            taxonomy=taxonomy,
            tags_from_folders=tags_from_folders,
            workers=workers,
            engine=workers_engine,
            compute=Compute(device, precision),
            sampling=sampling,
            allow_outside=allow_outside,
            add=add,
            overwrite=overwrite,
            corrections=_read_corrections(corrections) if corrections else None,
            test_share=test_share,
            message=print_message,
            bars=bars,
            file_progress=bars.within_file,
            pipeline=pipeline,
        )
    print_message(
        f"run {trained.folder}: try `vaplan parse FILE --run {trained.folder} --out DIR`"
    )
    if failed:
        raise typer.Exit(Exit.SOME_FAILED)


def _read_corrections(table: Path) -> "Corrections":
    from vaplan.annotations.corrections import read_corrections
    from vaplan.review.session import finished_videos

    return read_corrections(table, finished_videos(table))

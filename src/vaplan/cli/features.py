"""Command `vaplan features`."""

from typing import Annotated

import typer

from vaplan.cli.console import (
    finish,
    progress_bars,
)
from vaplan.cli.log import open_log
from vaplan.cli.metrics import open_metrics
from vaplan.cli.options import (
    AUTO,
    CENTRE,
    EMBEDDED,
    AddressOption,
    AllowOutsideOption,
    AudioOption,
    DataArgument,
    DeviceOption,
    EngineOption,
    LogOption,
    MediaOption,
    MetricsOption,
    PipelineOption,
    PrecisionOption,
    SamplingOption,
    StoreOption,
    TimeoutOption,
    VisualOption,
    WorkersOption,
)


def features(
    data: DataArgument,
    media: MediaOption,
    store: StoreOption,
    audio: AudioOption = EMBEDDED,
    visual: VisualOption = EMBEDDED,
    workers: WorkersOption = None,
    engine: EngineOption = AUTO,
    address: AddressOption = None,
    log: LogOption = None,
    metrics: MetricsOption = None,
    timeout: TimeoutOption = None,
    retry: Annotated[
        str | None,
        typer.Option(
            "--retry",
            help="Decode again those failed files whose recorded reason contains this text. Files "
            "that were not found are tried again without it.",
        ),
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option("--limit", min=0, help="Number of files to decode at most."),
    ] = None,
    part: Annotated[
        str | None,
        typer.Option(
            "--part",
            metavar="NUMBER/COUNT",
            help="Encode one part of the videos, such as 3/16 (1/16 to 16/16). Jobs for all "
            "parts may run at the same time and fill one store.",
        ),
    ] = None,
    device: DeviceOption = AUTO,
    precision: PrecisionOption = AUTO,
    pipeline: PipelineOption = None,
    sampling: SamplingOption = CENTRE,
    allow_outside: AllowOutsideOption = False,
) -> None:
    """Decode media files and encode every segment.

    Reads a data set and a folder of media files; writes a feature store. The file of a video is
    its `path` in the table, else `<id>.*` in the media folder or a sub-folder. Unreadable files
    are recorded with the reason and do not stop the rest. The same command continues an
    interrupted job.

    Example: `vaplan features table:annotations.csv --media videos --store store`
    """
    from vaplan import stages
    from vaplan.encoders.compute import Compute
    from vaplan.store import Part
    from vaplan.workers.engines import open_engine

    compute = Compute(device, precision)
    with (
        open_log(log, "features") as log_file,
        open_metrics(metrics, "features") as metrics_file,
        open_engine(engine, address) as workers_engine,
        progress_bars(log_file, metrics_file) as bars,
    ):
        outcome = stages.features(
            stages.read_data(data),
            media,
            store,
            encoders=(audio, visual),
            workers=workers,
            engine=workers_engine,
            timeout=timeout,
            retry=retry,
            limit=limit,
            compute=compute,
            sampling=sampling,
            allow_outside=allow_outside,
            part=Part.parse(part) if part else None,
            pipeline=pipeline,
            progress=bars("features", "videos"),
            file_progress=bars.within_file,
        )
    finish(outcome, "encoded")

"""The path itself: one command a stage, and the two that run all of it."""

from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from vaplan.cli.options import (
    AUTO,
    CENTRE,
    EMBEDDED,
    AudioOption,
    DataArgument,
    DataOption,
    DeviceOption,
    JsonOption,
    MediaOption,
    OutTable,
    PrecisionOption,
    RunOption,
    SamplingOption,
    StoreOption,
    VisualOption,
    WorkersOption,
)
from vaplan.console import (
    finish,
    new_table,
    print_json,
    progress_bars,
    stderr,
    warn_embedded,
    warn_skipped,
)
from vaplan.errors import Exit


def demo(
    out: Annotated[
        Path,
        typer.Option(
            "--out", help="Where everything goes; what is there already is kept."
        ),
    ] = Path("demo"),
    videos: Annotated[
        int,
        typer.Option(
            "--videos",
            min=40,
            help="How many videos to render; below 400 the parsers learn too little to compare.",
        ),
    ] = 600,
    seed: Annotated[
        int, typer.Option("--seed", min=0, max=9999, help="Which world.")
    ] = 1,
    as_json: JsonOption = False,
) -> None:
    """Run the whole path on a small rendered world: no download, a few minutes, numbers and a report page."""
    from vaplan import demo as demonstration
    from vaplan.metrics.llp import LEVELS

    with progress_bars() as bars:
        result = demonstration.demo(out, videos=videos, seed=seed, bars=bars)
    if as_json:
        return print_json(result.numbers())
    table = new_table(
        demonstration.summary(result), ["", "A", "V", "AV", "Type@AV", "Event@AV"], []
    )
    for level in LEVELS:
        table.add_section()
        table.add_row(f"[bold]{level}-level")
        for row in demonstration.method_rows(result, [level]):
            table.add_row(
                *(cell.replace(" ± ", "±") for cell in row)
            )  # fits 80 columns
    table.add_section()
    table.add_row("[bold]pseudo labels", "segment", "event")
    for row in demonstration.label_rows(result):
        table.add_row(*row)
    Console().print(table)
    stderr.print(
        f"The page with everything: {result.page}", soft_wrap=True, highlight=False
    )
    return None


def features(
    data: DataArgument,
    media: MediaOption,
    store: StoreOption,
    audio: AudioOption = EMBEDDED,
    visual: VisualOption = EMBEDDED,
    workers: WorkersOption = None,
    retry: Annotated[
        str | None,
        typer.Option(
            "--retry", help="Try files again whose failure contains this text."
        ),
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option("--limit", min=0, help="Decode at most so many files now."),
    ] = None,
    device: DeviceOption = AUTO,
    precision: PrecisionOption = AUTO,
    sampling: SamplingOption = CENTRE,
) -> None:
    """Decode media files and encode every second of them; stop it and start it again as you like.

    A video's file is its `path` in the table, else `<id>.*` in the media folder. Files that cannot be read are
    recorded with the reason and do not stop the rest.
    """
    from vaplan import stages
    from vaplan.encoders.compute import Compute

    compute = Compute(device, precision)
    with progress_bars() as bars:
        progress = bars("features", "videos")
        outcome = stages.features(
            stages.read_data(data),
            media,
            store,
            names=(audio, visual),
            workers=workers,
            retry=retry,
            limit=limit,
            compute=compute,
            sampling=sampling,
            progress=progress,
        )
    finish(outcome, "encoded")


def train(
    recipe: Annotated[
        str,
        typer.Argument(
            help="A recipe file, or a shipped one's name, such as han, plg, ple, vaplan, default, ma, jomold, valor."
        ),
    ],
    run: RunOption,
    data: Annotated[
        str | None, typer.Option("--data", help="The data set, as for `vaplan label`.")
    ] = None,
    store: Annotated[
        str | None, typer.Option("--store", help="The feature store.")
    ] = None,
    labels: Annotated[
        str | None, typer.Option("--labels", help="Pseudo labels to train on.")
    ] = None,
    changes: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="KEY=VALUE", help="Change a setting: `training.epochs=40`."
        ),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on where a killed training stopped.")
    ] = False,
    overwrite: Annotated[
        bool,
        typer.Option("--overwrite", help="Replace another finished training in RUN."),
    ] = False,
) -> None:
    """PLE: train a parser on split `train`; the run folder gets weights, resolved recipe, versions and a log."""
    from vaplan import recipe as recipes
    from vaplan import stages, training

    given = [
        f"{name}={value}"
        for name, value in (("data", data), ("store", store), ("labels", labels))
        if value
    ]
    resolved = recipes.read(recipe, changes=[*given, *(changes or [])])
    with progress_bars() as bars:
        tell, epochs = bars("train", "epochs"), resolved.training.epochs
        how = partial(stages.train, resume=resume, overwrite=overwrite)
        how(resolved, run, on_epoch=lambda epoch: tell(int(epoch["epoch"]), epochs, ""))
    if training.leads():
        stderr.print(f"run {run}", highlight=False)
        if resolved.training.validates and resolved.training.select_on == "test":
            what = "the epoch was chosen on split test, as published: its numbers on that split are too good"
            stderr.print(f"warning: {what}", style="yellow", highlight=False)


def exchange(
    run: Annotated[Path, typer.Argument(help="A run of `ma_base`.")],
    out: OutTable,
    seed: Annotated[
        int, typer.Option("--seed", min=0, help="Draws every video's partner.")
    ] = 2,
) -> None:
    """MA's step 2: find tags that are only heard or only seen by exchanging tracks; then `vaplan train ma --labels`."""
    from vaplan import stages

    stages.exchange(run, out, seed=seed)
    stderr.print(f"wrote {out}", highlight=False, markup=False)


def noise(
    run: Annotated[Path, typer.Argument(help="A run of `jomold_estimator`.")],
    out: Annotated[Path, typer.Option("--out", help="The JSON file to write.")],
) -> None:
    """JoMoLD's step 2: estimate how many tags are noise; then `vaplan train jomold --set removal.ratios=FILE`."""
    from vaplan import stages

    stages.noise_ratios(run, out)
    stderr.print(f"wrote {out}", highlight=False, markup=False)


def predict(
    run: Annotated[Path, typer.Argument(help="A run folder.")],
    data: DataOption,
    store: StoreOption,
    out: OutTable,
    split: Annotated[
        str, typer.Option("--split", help="Only this split. [default: all videos]")
    ] = "",
    scores: Annotated[
        Path | None,
        typer.Option(
            "--scores",
            help="A folder for every segment's probabilities, in the form of `sed_scores_eval`.",
        ),
    ] = None,
) -> None:
    """Write what a run says of the stored features of a data set, as a table of events."""
    from vaplan import stages

    warn_skipped(
        stages.predict(
            run, stages.read_data(data), store, out, split=split, scores=scores
        )
    )
    stderr.print(f"wrote {out}", highlight=False, markup=False)


def fit(
    tags: Annotated[
        Path,
        typer.Argument(
            help="A CSV with `path,tags` or `video,tags`; tags apart by `;`."
        ),
    ],
    media: MediaOption,
    out: Annotated[Path, typer.Option("--out", help="The run folder to make.")],
    audio: AudioOption = EMBEDDED,
    visual: VisualOption = EMBEDDED,
    workers: WorkersOption = None,
    device: DeviceOption = AUTO,
    precision: PrecisionOption = AUTO,
    sampling: SamplingOption = CENTRE,
) -> None:
    """Make a parser from your own tagged videos in one go: features, label, train, denoise, train.

    For real videos give real encoders, for example
    `--visual clip:openai/clip-vit-base-patch32 --audio clap:laion/clap-htsat-unfused`.
    """
    from vaplan import stages
    from vaplan.encoders.compute import Compute

    warn_embedded((audio, visual))
    names, compute = (audio, visual), Compute(device, precision)
    with progress_bars() as bars:
        say = lambda text: stderr.print(text, highlight=False)  # noqa: E731 - a name for one line
        run, failed = stages.fit(
            tags,
            media,
            out,
            names=names,
            workers=workers,
            compute=compute,
            sampling=sampling,
            say=say,
            bars=bars,
        )
    stderr.print(
        f"run {run.folder}: try `vaplan parse FILE --run {run.folder} --out DIR`",
        highlight=False,
    )
    if failed:
        raise typer.Exit(Exit.SOME_FAILED)

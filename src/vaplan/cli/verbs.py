"""The path itself: one command a stage, and the two that run all of it."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from vaplan.cli.options import (
    EMBEDDED,
    AudioOption,
    DataArgument,
    DataOption,
    JsonOption,
    MediaOption,
    Modality,
    OutTable,
    RunOption,
    StoreOption,
    VisualOption,
    WorkersOption,
)
from vaplan.console import finish, new_table, print_json, progress_bars, stderr, warn_embedded, warn_skipped
from vaplan.errors import Exit, UsageError


def demo(
    out: Annotated[Path, typer.Option("--out", help="Where everything goes; what is there already is kept.")] = Path(
        "demo"
    ),
    videos: Annotated[
        int,
        typer.Option(
            "--videos", min=40, help="How many videos to render; below 400 the parsers learn too little to compare."
        ),
    ] = 600,
    seed: Annotated[int, typer.Option("--seed", min=0, max=9999, help="Which world.")] = 1,
    as_json: JsonOption = False,
) -> None:
    """Run the whole path on a small rendered world: no download, a few minutes, numbers and a report page."""
    from vaplan import demo as demonstration
    from vaplan.metrics.llp import LEVELS

    with progress_bars() as bars:
        result = demonstration.demo(out, videos=videos, seed=seed, bars=bars)
    if as_json:
        return print_json(result.numbers())
    table = new_table(demonstration.summary(result), ["", "A", "V", "AV", "Type@AV", "Event@AV"], [])
    for level in LEVELS:
        table.add_section()
        table.add_row(f"[bold]{level}-level")
        for row in demonstration.method_rows(result, [level]):
            table.add_row(*(cell.replace(" ± ", "±") for cell in row))  # fits 80 columns
    table.add_section()
    table.add_row("[bold]pseudo labels", "segment", "event")
    for row in demonstration.label_rows(result):
        table.add_row(*row)
    Console().print(table)
    stderr.print(f"The page with everything: {result.page}", soft_wrap=True, highlight=False)
    return None


def features(
    data: DataArgument,
    media: MediaOption,
    store: StoreOption,
    audio: AudioOption = EMBEDDED,
    visual: VisualOption = EMBEDDED,
    workers: WorkersOption = None,
    retry: Annotated[
        str | None, typer.Option("--retry", help="Try files again whose failure contains this text.")
    ] = None,
    limit: Annotated[int | None, typer.Option("--limit", min=0, help="Decode at most so many files now.")] = None,
) -> None:
    """Decode media files and encode every second of them; stop it and start it again as you like.

    A video's file is its `path` in the table, else `<id>.*` in the media folder. Files that cannot be read are
    recorded with the reason and do not stop the rest.
    """
    from vaplan import stages

    with progress_bars() as bars:
        progress = bars("features")
        outcome = stages.features(
            stages.read_data(data),
            media,
            store,
            names=(audio, visual),
            workers=workers,
            retry=retry,
            limit=limit,
            progress=progress,
        )
    finish(outcome, "encoded")


def label(
    data: DataArgument,
    store: StoreOption,
    out: OutTable,
    audio: AudioOption = EMBEDDED,
    visual: VisualOption = EMBEDDED,
    threshold: Annotated[
        list[str] | None,
        typer.Option("--threshold", help="`audio=0.05` or `visual=0.06`. [default: fitted on split val, else on tags]"),
    ] = None,
    prompts: Annotated[
        Path | None,
        typer.Option("--prompts", help="A taxonomy file (YAML or CSV) that says the classes in other words."),
    ] = None,
) -> None:
    """PLG: make pseudo labels for every second from features, class names and tags."""
    from vaplan import stages
    from vaplan.taxonomy import with_prompts

    data_set, given = stages.read_data(data), _thresholds(threshold or [])
    if prompts:
        data_set = replace(data_set, taxonomy=with_prompts(data_set.taxonomy, prompts))
    made = stages.label(data_set, store, out, names=(audio, visual), thresholds=given)
    for modality, value in made.thresholds.items():
        stderr.print(f"{modality} threshold {value}, {made.chosen}", highlight=False)
    for split, by_modality in made.f.items():
        for modality, scores in by_modality.items():
            spoken = ", ".join(f"{level} F {value:.1f}" for level, value in scores.items())
            stderr.print(f"{split}, {modality}: {spoken}", highlight=False)
    warn_skipped(made.skipped)


def train(
    recipe: Annotated[
        str,
        typer.Argument(
            help="A recipe file, or the name of a shipped one, such as han, plg, ple, vaplan, ma, jomold, valor."
        ),
    ],
    run: RunOption,
    data: Annotated[str | None, typer.Option("--data", help="The data set: `table:FILE`.")] = None,
    store: Annotated[str | None, typer.Option("--store", help="The feature store.")] = None,
    labels: Annotated[str | None, typer.Option("--labels", help="Pseudo labels to train on.")] = None,
    changes: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change a setting: `training.epochs=40`.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on where a killed training stopped.")] = False,
) -> None:
    """PLE: train a parser on split `train`; the run folder gets weights, resolved recipe, versions and a log."""
    from vaplan import recipe as recipes
    from vaplan import stages

    given = [f"{name}={value}" for name, value in (("data", data), ("store", store), ("labels", labels)) if value]
    resolved = recipes.read(recipe, changes=[*given, *(changes or [])])
    with progress_bars() as bars:
        tell, epochs = bars("train"), resolved.training.epochs
        stages.train(resolved, run, resume=resume, on_epoch=lambda epoch: tell(int(epoch["epoch"]), epochs, ""))
    stderr.print(f"run {run}", highlight=False)


def denoise(
    run: Annotated[Path, typer.Argument(help="A run that was trained on the labels.")],
    labels: Annotated[Path, typer.Option("--labels", help="The pseudo labels to denoise.")],
    out: OutTable,
    keep: Annotated[int, typer.Option("--keep", min=1, help="K: segments that make an event's baseline.")] = 5,
    ratio: Annotated[
        float, typer.Option("--ratio", min=1.0, help="α: how many times the baseline is suspicious.")
    ] = 10,
    floor: Annotated[bool, typer.Option(help="Flip only where the parser says the opposite.")] = True,
    given_tags: Annotated[bool, typer.Option(help="Judge segments given that the video holds its tags.")] = True,
    keep_presence: Annotated[
        bool, typer.Option(help="Move onsets and offsets, never add or remove a whole class.")
    ] = True,
    modality: Annotated[list[Modality], typer.Option("--modality", help="Whose labels.")] = [Modality.visual],  # noqa: B006 - typer copies it
) -> None:
    """PLD: flip the pseudo labels whose forward loss stands out along the timeline; then train again on them."""
    from vaplan import stages
    from vaplan.pseudo_labels import Denoising

    switches = {"floor": floor, "given_tags": given_tags, "keep_presence": keep_presence}
    settings = Denoising(keep=keep, ratio=ratio, modalities=tuple(m.value for m in modality), **switches)
    made = stages.denoise(run, labels, out, settings=settings)
    for name, classes in made.flips.items():
        flips = {kind: sum(counts[kind] for counts in classes.values()) for kind in ("set", "taken")}
        stderr.print(f"{name}: {flips['set']} labels set, {flips['taken']} taken away", highlight=False)


def exchange(
    run: Annotated[Path, typer.Argument(help="A run of `ma_base`.")],
    out: OutTable,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Draws every video's partner.")] = 2,
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
    split: Annotated[str, typer.Option("--split", help="Only this split. [default: all videos]")] = "",
) -> None:
    """Write what a run says of the stored features of a data set, as a table of events."""
    from vaplan import stages

    warn_skipped(stages.predict(run, stages.read_data(data), store, out, split=split))
    stderr.print(f"wrote {out}", highlight=False, markup=False)


def parse(
    paths: Annotated[list[Path], typer.Argument(metavar="PATH…", help="Media files, or folders of them.")],
    run: RunOption,
    out: Annotated[Path, typer.Option("--out", help="The folder for the timelines.")],
    formats: Annotated[str, typer.Option("--format", help="`json`, `csv`, or both: `json,csv`.")] = "json",
    skip_existing: Annotated[
        bool, typer.Option("--skip-existing", help="Leave files alone that have a timeline.")
    ] = False,
    workers: WorkersOption = None,
) -> None:
    """Say what is heard and what is seen in media files, and when.

    Longer videos than those of the training are parsed in half-overlapping windows.
    """
    from vaplan import runs, stages

    warn_embedded(runs.load(run).recipe.encoders)
    with progress_bars() as bars:
        progress, names = bars("parse"), [name.strip() for name in formats.split(",")]
        outcome = stages.parse(
            paths, out, run=run, formats=names, skip_existing=skip_existing, workers=workers, progress=progress
        )
    finish(outcome, "parsed")


def fit(
    tags: Annotated[Path, typer.Argument(help="A CSV with the columns `path,tags`; tags apart by `;`.")],
    media: MediaOption,
    out: Annotated[Path, typer.Option("--out", help="The run folder to make.")],
    audio: AudioOption = EMBEDDED,
    visual: VisualOption = EMBEDDED,
    workers: WorkersOption = None,
) -> None:
    """Make a parser from your own tagged videos in one go: features, label, train, denoise, train.

    For real videos give real encoders, for example
    `--visual clip:openai/clip-vit-base-patch32 --audio clap:laion/clap-htsat-unfused`.
    """
    from vaplan import stages

    warn_embedded((audio, visual))
    with progress_bars() as bars:
        say = lambda text: stderr.print(text, highlight=False)  # noqa: E731 - a name for one line
        run, failed = stages.fit(
            tags, media, out, names=(audio, visual), workers=workers, say=say, progress=bars("features")
        )
    stderr.print(f"run {run.folder}: try `vaplan parse FILE --run {run.folder} --out DIR`", highlight=False)
    if failed:
        raise typer.Exit(Exit.SOME_FAILED)


def _thresholds(given: Sequence[str]) -> dict[str, float] | None:
    spec = {}
    for text in given:
        modality, _, value = text.partition("=")
        try:
            spec[Modality(modality).value] = float(value)
        except ValueError:
            raise UsageError(f"threshold {text!r}", fix="write audio=0.05 or visual=0.06") from None
    return spec or None

"""The command line: one command a stage. Results go to standard output, everything else to standard error."""

import json
import sys
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from vaplan import __version__
from vaplan.console import finish, new_table, print_json, print_seen, progress_bars, stderr, warn_embedded, warn_skipped
from vaplan.errors import Exit, UsageError, VaplanError

if TYPE_CHECKING:
    from vaplan.store import Store

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode="markdown",
    help="Audio-visual video parsing from weak labels: tags in, a label for every second out, heard and seen apart.",
    epilog="Start with `vaplan demo`. For your own videos: `vaplan fit tags.csv --media DIR --out RUN`, then "
    "`vaplan parse FILE --run RUN --out DIR`.",
)
store_app = typer.Typer(no_args_is_help=True, help="Look into a feature store, or check that it is whole.")
media_app = typer.Typer(no_args_is_help=True, help="See a media file as vaplan sees it.")
app.add_typer(store_app, name="store")
app.add_typer(media_app, name="media")

DataOption = Annotated[str, typer.Option("--data", help="The data set: `table:FILE` (CSV or Parquet).")]
DataArgument = Annotated[str, typer.Argument(metavar="DATA", help="The data set: `table:FILE` (CSV or Parquet).")]
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
DEBUG = False


class Modality(StrEnum):
    """Which track."""

    audio = "audio"
    visual = "visual"


@app.callback()
def options(
    version: Annotated[bool, typer.Option("--version", help="Say the version and leave.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    """Options of every command."""
    global DEBUG  # noqa: PLW0603 - read once, where a fault is told
    DEBUG = debug
    if version:
        typer.echo(f"vaplan {__version__}")
        raise typer.Exit


@app.command()
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


@app.command()
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
) -> None:
    """Decode media files and encode every second of them; stop it and start it again as you like.

    A video's file is its `path` in the table, else `<id>.*` in the media folder. Files that cannot be read are
    recorded with the reason and do not stop the rest.
    """
    from vaplan import stages

    with progress_bars() as bars:
        progress = bars("features")
        outcome = stages.features(
            stages.read_data(data), media, store, names=(audio, visual), workers=workers, retry=retry, progress=progress
        )
    finish(outcome, "encoded")


@app.command()
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
) -> None:
    """PLG: make pseudo labels for every second from features, class names and tags."""
    from vaplan import stages

    data_set, given = stages.read_data(data), _thresholds(threshold or [])
    made = stages.label(data_set, store, out, names=(audio, visual), thresholds=given)
    for modality, value in made.thresholds.items():
        stderr.print(f"{modality} threshold {value}, {made.chosen}", highlight=False)
    for split, by_modality in made.f.items():
        for modality, scores in by_modality.items():
            spoken = ", ".join(f"{level} F {value:.1f}" for level, value in scores.items())
            stderr.print(f"{split}, {modality}: {spoken}", highlight=False)
    warn_skipped(made.skipped)


@app.command()
def train(
    recipe: Annotated[str, typer.Argument(help="A recipe file, or a shipped one: han, plg, segment_bce, ple.")],
    run: RunOption,
    data: Annotated[str | None, typer.Option("--data", help="The data set: `table:FILE`.")] = None,
    store: Annotated[str | None, typer.Option("--store", help="The feature store.")] = None,
    labels: Annotated[str | None, typer.Option("--labels", help="Pseudo labels to train on.")] = None,
    changes: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change a setting: `training.epochs=40`.")
    ] = None,
) -> None:
    """PLE: train a parser on split `train`; the run folder gets weights, resolved recipe, versions and a log."""
    from vaplan import recipe as recipes
    from vaplan import stages

    given = [f"{name}={value}" for name, value in (("data", data), ("store", store), ("labels", labels)) if value]
    resolved = recipes.read(recipe, changes=[*given, *(changes or [])])
    with progress_bars() as bars:
        tell, epochs = bars("train"), resolved.training.epochs
        stages.train(resolved, run, on_epoch=lambda epoch: tell(int(epoch["epoch"]), epochs, ""))
    stderr.print(f"run {run}", highlight=False)


@app.command()
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


@app.command()
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


@app.command()
def evaluate(
    data: DataOption,
    estimate: Annotated[Path, typer.Option("--estimate", help="The table to score.")],
    split: Annotated[str, typer.Option("--split", help="Which densely labelled split. [default: all]")] = "test",
    as_json: JsonOption = False,
) -> None:
    """Score a table of events against the dense labels: the ten numbers of LLP, in percent."""
    from vaplan import stages
    from vaplan.annotations import read_table
    from vaplan.evaluation import evaluate as score

    reference = stages.read_data(data)
    result = score(reference, read_table(estimate, taxonomy=reference.taxonomy), split=split)
    numbers = result.scores.percent()
    counted = {"videos": len(result.scores), "missing": len(result.missing), "ignored": len(result.ignored)}
    if result.missing:
        stderr.print(f"warning: nothing said about {len(result.missing)} labelled videos, left out", style="yellow")
    if as_json:
        return print_json(numbers | counted)
    rows = [[level, *(f"{value:.2f}" for value in kinds.values())] for level, kinds in numbers.items()]
    Console().print(new_table(f"{split or 'all'}: {counted['videos']} videos", ["F", *numbers["segment"]], rows))
    return None


@app.command()
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


@app.command()
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


@store_app.command("info")
def store_info(store: Annotated[Path, typer.Argument(help="The folder of the store.")]) -> None:
    """Print what a store holds, as JSON: encoders, videos done, absent, failed and lacking."""
    print_json({name: folder.info() for name, folder in _stores(store).items()})


@store_app.command("verify")
def store_verify(store: Annotated[Path, typer.Argument(help="The folder of the store.")]) -> None:
    """Read every byte of a store: changed rows and planned videos without a row are named, and the exit code is 5."""
    problems = [f"{name}: {problem}" for name, folder in _stores(store).items() for problem in folder.verify()]
    for problem in problems:
        stderr.print(f"error: {problem}", style="red", highlight=False)
    if problems:
        raise typer.Exit(Exit.MACHINE)
    stderr.print("whole")


@media_app.command("probe")
def probe(
    files: Annotated[list[Path], typer.Argument(metavar="FILE…", help="Media files.")], as_json: JsonOption = False
) -> None:
    """Show what vaplan sees in a file: seconds, brightness and loudness of every segment, warnings."""
    from vaplan.media import probe as look

    errors = 0
    for path in files:
        seen = look(path)
        errors += seen["error"] is not None
        if as_json:
            typer.echo(json.dumps(seen, ensure_ascii=False))
        elif seen["error"] is None:
            print_seen(seen)
        if seen["error"]:
            stderr.print(f"error: {seen['error']}", style="red", highlight=False)
    if errors:
        raise typer.Exit(Exit.NOTHING_DONE if errors == len(files) else Exit.SOME_FAILED)


def main() -> None:
    """The entry point: every fault becomes one line and an exit code."""
    try:
        code = app(standalone_mode=False)
    except VaplanError as error:
        code = _fault(str(error), error.exit)
    except (KeyboardInterrupt, typer.Abort):
        code = Exit.INTERRUPTED
    except Exception as error:  # noqa: BLE001 - the last boundary: whatever is left is a bug, said in one line
        if show := getattr(error, "show", None):  # typer's own usage errors, whose class it does not export
            show()
            code = Exit.USAGE
        else:
            code = _fault(f"a bug in vaplan: {type(error).__name__}: {error}. Fix: report it, with --debug", Exit.BUG)
    if code == Exit.INTERRUPTED:  # typer returns it for an interruption of the keyboard, without a word
        _fault("interrupted; the same command goes on where it stopped", Exit.INTERRUPTED)
    sys.exit(int(code or 0))


def _fault(text: str, code: Exit) -> Exit:
    if DEBUG:
        stderr.print_exception()
    print(f"error: {text}", file=sys.stderr)  # noqa: T201 - exactly one line, unwrapped
    return code


def _stores(root: Path) -> dict[str, "Store"]:
    from vaplan.store import stores

    if not (found := stores(root)):
        raise UsageError("this is no feature store", file=root, fix="give the folder that `vaplan features` filled")
    return found


def _thresholds(given: Sequence[str]) -> dict[str, float] | None:
    spec = {}
    for text in given:
        modality, _, value = text.partition("=")
        try:
            spec[Modality(modality).value] = float(value)
        except ValueError:
            raise UsageError(f"threshold {text!r}", fix="write audio=0.05 or visual=0.06") from None
    return spec or None

"""Looking into things: feature stores, media files and encoders."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from vaplan.cli.options import JsonOption
from vaplan.console import new_table, print_json, print_seen, stderr
from vaplan.errors import Exit, UsageError

if TYPE_CHECKING:
    from vaplan.store import Store


def store_info(
    store: Annotated[Path, typer.Argument(help="The folder of the store.")],
) -> None:
    """Print what a store holds, as JSON: encoders, videos done, absent, failed and lacking."""
    print_json({name: folder.info() for name, folder in _stores(store).items()})


def store_verify(
    store: Annotated[Path, typer.Argument(help="The folder of the store.")],
) -> None:
    """Read every byte of a store: changed rows and planned videos without a row are named, and the exit code is 5."""
    problems = [
        f"{name}: {problem}"
        for name, folder in _stores(store).items()
        for problem in folder.verify()
    ]
    for problem in problems:
        stderr.print(f"error: {problem}", style="red", highlight=False)
    if problems:
        raise typer.Exit(Exit.MACHINE)
    stderr.print("whole")


def probe(
    files: Annotated[list[Path], typer.Argument(metavar="FILE…", help="Media files.")],
    as_json: JsonOption = False,
) -> None:
    """Show what vaplan sees in a file: seconds, brightness and loudness of every segment, warnings."""
    from vaplan.media import probes

    errors = 0
    for seen in probes(files):
        errors += seen["error"] is not None
        if as_json:
            typer.echo(json.dumps(seen, ensure_ascii=False))
        elif seen["error"] is None:
            print_seen(seen)
        if seen["error"]:
            stderr.print(
                f"error: {seen['error']}",
                style="red",
                highlight=False,
                markup=False,
                soft_wrap=True,
            )
    if errors:
        raise typer.Exit(
            Exit.NOTHING_DONE if errors == len(files) else Exit.SOME_FAILED
        )


EncoderArgument = Annotated[
    str,
    typer.Argument(
        metavar="ENC",
        help="`clip:` or `clap:` and a Hub id or a folder, or `embedded`.",
    ),
]


def models_list(as_json: JsonOption = False) -> None:
    """List the encoders that are here: the embedded ones, and the CLIP and CLAP models in the Hub's cache.

    A folder of your own is not listed; name it as `clip:FOLDER` or `clap:FOLDER` wherever an encoder is asked for.
    """
    from vaplan.encoders import inventory

    found = list(inventory.here())
    if as_json:
        said = [
            {
                "name": m.name,
                "modalities": m.modalities,
                "folder": str(m.folder),
                "fault": m.fault,
            }
            for m in found
        ]
        return print_json({"models": said})
    rows = [
        [model.name, ", ".join(model.modalities), model.fault or "here"]
        for model in found
    ]
    Console().print(new_table("encoders", ["name", "modality", "state"], rows))
    stderr.print(
        "To bring a model: vaplan models fetch clip:openai/clip-vit-base-patch32",
        highlight=False,
    )
    stderr.print(
        "or name any folder with its files: clip:FOLDER, siglip too, or clap:FOLDER",
        highlight=False,
    )
    return None


def models_fetch(
    encoder: EncoderArgument,
    to: Annotated[
        Path | None,
        typer.Option(
            "--to", help="A folder to put it in. [default: the cache of the Hub]"
        ),
    ] = None,
) -> None:
    """Bring a model from the Hugging Face Hub: its safetensors, settings and tokenizer, and no other file.

    A revision may stand behind the id: `clip:openai/clip-vit-base-patch32@refs/pr/66`. Without a network the exit code
    is 5, and the error says how to bring a folder by hand.
    """
    from vaplan.encoders import folders, hub, inventory

    place = inventory.source(encoder)
    if to is None and (found := folders.find(place)):
        stderr.print(f"it is here already: {found}", highlight=False, soft_wrap=True)
    else:
        found = hub.fetch(place, to=to)
    name = f"{encoder.partition(':')[0]}:{found}" if to else encoder
    inventory.check(name)
    typer.echo(name)


def models_check(encoder: EncoderArgument, as_json: JsonOption = False) -> None:
    """Load an encoder and say whether it is whole; if it is not, the file is named and the exit code is 2."""
    from vaplan.encoders import inventory

    checked = inventory.check(encoder)
    if as_json:
        return print_json({"whole": True, "encoders": checked})
    for said in checked:
        what = f"{said['name']}: whole, a {said['model_type']} model for {said['modality']}, {said['dimension']} numbers"
        stderr.print(what, highlight=False, markup=False, soft_wrap=True)
    return None


def _stores(root: Path) -> dict[str, "Store"]:
    from vaplan.store import stores

    if not (found := stores(root)):
        raise UsageError(
            "this is no feature store",
            file=root,
            fix="give the folder that `vaplan features` filled",
        )
    return found

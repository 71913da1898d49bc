"""Commands `vaplan models list`, `fetch` and `check`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from vaplan.cli.console import new_table, print_json, stderr
from vaplan.cli.options import JsonOption

if TYPE_CHECKING:
    pass


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

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
    """List the available encoders: embedded, and CLIP and CLAP models in the Hub's cache.

    Folders of your own are not listed; give them as `clip:FOLDER` or `clap:FOLDER`.

    Example: `vaplan models list`
    """
    from vaplan.encoders import inventory

    models = list(inventory.list_models())
    if as_json:
        documents = [
            {
                "name": m.name,
                "modalities": m.modalities,
                "folder": str(m.folder),
                "fault": m.fault,
            }
            for m in models
        ]
        return print_json({"models": documents})
    rows = [
        [model.name, ", ".join(model.modalities), model.fault or "available"]
        for model in models
    ]
    Console().print(new_table("encoders", ["name", "modality", "state"], rows))
    stderr.print(
        "To fetch a model: vaplan models fetch clip:openai/clip-vit-base-patch32",
        highlight=False,
    )
    stderr.print(
        "or give a folder with its files: clip:FOLDER (CLIP and SigLIP) or clap:FOLDER",
        highlight=False,
    )
    return None


def models_fetch(
    encoder: EncoderArgument,
    to: Annotated[
        Path | None,
        typer.Option("--to", help="Folder to write. [default: the cache of the Hub]"),
    ] = None,
) -> None:
    """Fetch an encoder from the Hugging Face Hub: safetensors, settings and tokenizer only.

    Without a network the exit code is 5, and the error explains how to copy a folder by hand.

    Example: `vaplan models fetch clip:openai/clip-vit-base-patch32@refs/pr/66` (the part after
    `@` is a revision)
    """
    from vaplan.encoders import folders, hub, inventory

    kind = encoder.partition(":")[0]
    source = inventory.source(encoder)
    if to is None and (folder := folders.find(source)):
        stderr.print(f"already available: {folder}", highlight=False, soft_wrap=True)
    else:
        folder = hub.fetch(source, kind, to=to)
    name = f"{kind}:{folder}" if to else encoder
    inventory.check(name)
    typer.echo(name)


def models_check(encoder: EncoderArgument, as_json: JsonOption = False) -> None:
    """Load an encoder and check that it is complete.

    If it is not, the error names the file and the exit code is 2.

    Example: `vaplan models check embedded`
    """
    from vaplan.encoders import inventory

    checked = inventory.check(encoder)
    if as_json:
        return print_json({"whole": True, "encoders": checked})
    for encoder_info in checked:
        name, model_type = encoder_info["name"], encoder_info["model_type"]
        modality, dimension = encoder_info["modality"], encoder_info["dimension"]
        stderr.print(
            f"{name}: complete, a {model_type} model for {modality}, "
            f"{dimension} numbers a segment",
            highlight=False,
            markup=False,
            soft_wrap=True,
        )
    return None

"""Commands `vaplan models list`, `fetch` and `check`."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from vaplan.cli.console import new_table, print_json, stderr
from vaplan.cli.options import JsonOption

EncoderArgument = Annotated[
    str,
    typer.Argument(
        metavar="ENC",
        help="`clip:` or `clap:` and a short name (`vaplan models list`), a Hub id or a folder, or "
        "`embedded`.",
    ),
]


def models_list(as_json: JsonOption = False) -> None:
    """List the available encoders, and the short names of those that can be fetched.

    Available are the embedded encoders, and CLIP and CLAP models in the Hub's cache. Folders of
    your own are not listed; give them as `clip:FOLDER` or `clap:FOLDER`.

    Example: `vaplan models list`
    """
    from vaplan.encoders import inventory
    from vaplan.encoders.catalogue import CATALOGUE

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
        entries = {name: asdict(entry) for name, entry in CATALOGUE.items()}
        return print_json({"models": documents, "short_names": entries})
    rows = [
        [model.name, ", ".join(model.modalities), model.fault or "available"]
        for model in models
    ]
    Console().print(new_table("encoders", ["name", "modality", "state"], rows))
    names = [
        [name, entry.hub_id, entry.commit[:7] or "not pinned", entry.licence or "?"]
        for name, entry in CATALOGUE.items()
    ]
    columns = ["short name", "model of the Hub", "commit", "licence"]
    Console().print(new_table("short names", columns, names))
    stderr.print(
        "To fetch a model: vaplan models fetch clip:base",
        highlight=False,
    )
    stderr.print(
        "or give a folder with its files: clip:FOLDER (CLIP and SigLIP) or clap:FOLDER",
        highlight=False,
    )
    return None


def models_fetch(
    encoder: Annotated[
        str,
        typer.Argument(
            metavar="ENC",
            help="`clip:` or `clap:` and a short name (`vaplan models list`) or a Hub id.",
        ),
    ],
    to: Annotated[
        Path | None,
        typer.Option("--to", help="Folder to write. [default: the cache of the Hub]"),
    ] = None,
) -> None:
    """Fetch an encoder from the Hugging Face Hub: safetensors, settings and tokenizer only.

    Without a network the exit code is 5, and the error explains how to copy a folder by hand.

    If a model has pickled weights only, the Hub's own conversion is fetched. A revision follows
    after `@`, as in `clip:owner/name@refs/pr/1`.

    Example: `vaplan models fetch clip:base`
    """
    from vaplan.encoders import folders, hub, inventory

    kind = encoder.partition(":")[0]
    source = inventory.source(encoder)
    if to is None and (folder := folders.find(source)):
        stderr.print(f"already available: {folder}", highlight=False, soft_wrap=True)
    else:
        folder = hub.fetch(source, kind, to=to)
    name = f"{kind}:{folder}" if to else encoder
    (description,) = inventory.check(name)
    stderr.print(
        f"commit {description.get('hub_commit', 'not recorded')}, "
        f"SHA-256 of the weights {description['weights_sha256']}",
        highlight=False,
        soft_wrap=True,
    )
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

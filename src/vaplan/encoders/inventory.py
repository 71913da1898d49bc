"""Inventory of the encoders on this machine; nothing here makes a request."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vaplan import encoders
from vaplan.arrays import AUDIO, MODALITIES, VISUAL
from vaplan.encoders import catalogue, clap, folders, hub
from vaplan.encoders.compute import PLAIN
from vaplan.encoders.embedded import WEIGHTS
from vaplan.errors import EncoderError, UsageError, unknown

MODALITIES_OF: Mapping[str, tuple[int, ...]] = {
    "clap": (AUDIO,),
    "clip": (VISUAL,),
    "embedded": (AUDIO, VISUAL),
}


@dataclass(frozen=True)
class Model:
    """An encoder on this machine.

    Attributes:
        name: Name of the encoder.
        folder: Folder of its files.
        fault: Missing or damaged files; empty if it is complete.
    """

    name: str
    folder: Path
    fault: str

    @property
    def modalities(self) -> list[str]:
        """Return the names of the modalities that it embeds."""
        return [MODALITIES[m] for m in MODALITIES_OF[self.name.partition(":")[0]]]


def list_models() -> Iterator[Model]:
    """List the embedded encoders and those in the Hub's cache, without loading them."""
    yield Model("embedded", WEIGHTS, "")
    for name, folder in hub.cached():
        yield Model(name, folder, _fault(folder))


def check(name: str) -> list[dict[str, Any]]:
    """Load an encoder and describe it, once for each modality.

    Args:
        name: Name of the encoder.

    Raises:
        EncoderError: A file is missing or damaged; the error names it.
    """
    kind = name.partition(":")[0]
    if kind in hub.KINDS:
        model = source(name)
        if folders.find(model) is None:
            raise EncoderError(
                f"{model!r} is no folder and is not in the Hub's cache",
                fix=f"with a network run `vaplan models fetch {kind}:{model}`; without "
                f"one, {folders.BRING_A_FOLDER}",
            )
    return [
        _describe(encoders.load(name, modality, compute=PLAIN))
        for modality in MODALITIES_OF.get(kind, (VISUAL,))
    ]


def source(name: str) -> str:
    """Return the folder or Hub id in an encoder's name.

    Args:
        name: Name of the encoder.

    Raises:
        UsageError: The encoder is unknown, or its name contains no folder or Hub id.
    """
    kind, _, rest = name.partition(":")
    if kind not in encoders.ENCODERS:
        raise UsageError(
            unknown("encoder", kind, encoders.ENCODERS), fix="use clip:… or clap:…"
        )
    if kind not in hub.KINDS or not rest:
        raise UsageError(
            f"{name!r} names no model",
            fix="name a model of the Hub, for example clip:base or clap:base",
        )
    model = clap.split_options(rest)[0] if kind == "clap" else rest
    return catalogue.hub_source(f"{kind}:{model}")


def _fault(folder: Path) -> str:
    try:
        folders.weight_files(folder)
        folders.read_preprocessing(folder)
    except EncoderError as error:
        return str(error)
    return ""


def _describe(encoder: encoders.Encoder) -> dict[str, Any]:
    provenance = encoder.provenance
    keys = ("model_type", "weights_sha256", "hub_commit")
    summary = {key: provenance[key] for key in keys if key in provenance}
    return {
        "name": encoder.name,
        "modality": MODALITIES[encoder.modality],
        "dimension": encoder.dimension,
        **summary,
    }

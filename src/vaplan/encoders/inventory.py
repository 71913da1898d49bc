"""Which encoders are here, and whether one is whole; nothing here makes a request."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vaplan import encoders
from vaplan.arrays import AUDIO, MODALITIES, VISUAL
from vaplan.encoders import clap, folders, hub
from vaplan.encoders.compute import PLAIN
from vaplan.encoders.embedded import WEIGHTS
from vaplan.errors import EncoderError, UsageError, unknown

SENSES: Mapping[str, tuple[int, ...]] = {
    "clap": (AUDIO,),
    "clip": (VISUAL,),
    "embedded": (AUDIO, VISUAL),
}


@dataclass(frozen=True)
class Model:
    """An available encoder; `fault` describes missing files."""

    name: str
    folder: Path
    fault: str

    @property
    def modalities(self) -> list[str]:
        """Modalities that the encoder embeds."""
        return [MODALITIES[m] for m in SENSES[self.name.partition(":")[0]]]


def here() -> Iterator[Model]:
    """List the embedded encoders and those in the Hub's cache, without loading them."""
    yield Model("embedded", WEIGHTS, "")
    for name, folder in hub.cached():
        yield Model(name, folder, _fault(folder))


def check(name: str) -> list[dict[str, Any]]:
    """Load an encoder and describe it, once for each modality.

    Raises: EncoderError naming the file that is missing or broken.
    """
    kind = name.partition(":")[0]
    if kind in hub.KINDS and folders.find(place := source(name)) is None:
        fix = (
            f"with a network run `vaplan models fetch {kind}:{place}`; without one, "
            f"{folders.BRING_A_FOLDER}"
        )
        raise EncoderError(
            f"{place!r} is no folder here and is not in the hub's cache", fix=fix
        )
    return [
        _about(encoders.load(name, m, compute=PLAIN))
        for m in SENSES.get(kind, (VISUAL,))
    ]


def source(name: str) -> str:
    """The folder or hub id in an encoder's name, or UsageError if a kind has none."""
    kind, _, rest = name.partition(":")
    if kind not in encoders.ENCODERS:
        raise UsageError(
            unknown("encoder", kind, encoders.ENCODERS), fix="say clip:… or clap:…"
        )
    if kind not in hub.KINDS or not rest:
        fix = (
            "name a model of the hub, for example clip:openai/clip-vit-base-patch32 or "
            "clap:laion/clap-htsat-unfused"
        )
        raise UsageError(f"{name!r} names no model", fix=fix)
    return clap.split_options(rest)[0] if kind == "clap" else rest


def _fault(folder: Path) -> str:
    try:
        folders.weight_files(folder)
        folders.read_preprocessing(folder)
    except EncoderError as error:
        return str(error)
    return ""


def _about(encoder: encoders.Encoder) -> dict[str, Any]:
    provenance = encoder.provenance
    summary = {key: provenance[key] for key in ("model_type", "weights_sha256")}
    return {
        "name": encoder.name,
        "modality": MODALITIES[encoder.modality],
        "dimension": encoder.dimension,
        **summary,
    }

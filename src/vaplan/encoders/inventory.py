"""List the available encoders and check that they are complete, without network requests."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vaplan import encoders
from vaplan.arrays import AUDIO, MODALITIES, VISUAL
from vaplan.encoders import clap, folders, hub
from vaplan.encoders.compute import CPU_FP32
from vaplan.encoders.embedded import WEIGHTS
from vaplan.errors import EncoderError, UsageError, unknown

MODALITIES_OF_KIND: Mapping[str, tuple[int, ...]] = {
    "clap": (AUDIO,),
    "clip": (VISUAL,),
    "embedded": (AUDIO, VISUAL),
}


@dataclass(frozen=True)
class AvailableEncoder:
    """An encoder on this machine.

    Attributes:
        name: Name by which it is loaded.
        folder: Folder of its files.
        fault: Description of missing or damaged files; empty if the encoder is complete.
    """

    name: str
    folder: Path
    fault: str

    @property
    def modalities(self) -> list[str]:
        """Modalities that the encoder embeds."""
        kind = self.name.partition(":")[0]
        return [MODALITIES[modality] for modality in MODALITIES_OF_KIND[kind]]


def list_encoders() -> Iterator[AvailableEncoder]:
    """Yield the embedded encoders and those in the Hub's cache, without loading them."""
    yield AvailableEncoder("embedded", WEIGHTS, "")
    for name, folder in hub.list_cached():
        yield AvailableEncoder(name, folder, _describe_fault(folder))


def check(name: str) -> list[dict[str, Any]]:
    """Load an encoder and describe it, once for each modality.

    Raises:
        EncoderError: A file of the encoder is missing or damaged; the message names it.
    """
    kind = name.partition(":")[0]
    if kind in hub.KINDS:
        _check_is_local(name, kind)
    modalities = MODALITIES_OF_KIND.get(kind, (VISUAL,))
    loaded_encoders = [
        encoders.load(name, modality, compute=CPU_FP32) for modality in modalities
    ]
    return [_describe(encoder) for encoder in loaded_encoders]


def model_source(name: str) -> str:
    """Return the folder or Hub id in an encoder's name.

    Raises:
        UsageError: The kind of encoder is unknown, or the name has no folder or Hub id.
    """
    kind, _, rest = name.partition(":")
    if kind not in encoders.ENCODERS:
        raise UsageError(
            unknown("encoder", kind, encoders.ENCODERS),
            fix="write clip:… or clap:…",
        )
    if kind not in hub.KINDS or not rest:
        raise UsageError(
            f"{name!r} names no model",
            fix="name a model of the Hub, for example clip:openai/clip-vit-base-patch32 "
            "or clap:laion/clap-htsat-unfused",
        )
    if kind == "clap":
        source, _ = clap.split_options(rest)
        return source
    return rest


def _check_is_local(name: str, kind: str) -> None:
    """Raise an error if a model is neither a folder nor in the Hub's cache."""
    source = model_source(name)
    if folders.find_folder(source) is None:
        raise EncoderError(
            f"{source!r} is not a folder and is not in the Hub's cache",
            fix=f"with a network run `vaplan models fetch {kind}:{source}`; "
            f"without one, {folders.BRING_A_FOLDER}",
        )


def _describe_fault(folder: Path) -> str:
    try:
        folders.list_weight_files(folder)
        folders.read_preprocessing(folder)
    except EncoderError as error:
        return str(error)
    return ""


def _describe(encoder: encoders.Encoder) -> dict[str, Any]:
    provenance = encoder.provenance
    return {
        "name": encoder.name,
        "modality": MODALITIES[encoder.modality],
        "dimension": encoder.dimension,
        "model_type": provenance["model_type"],
        "weights_sha256": provenance["weights_sha256"],
    }

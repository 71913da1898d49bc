"""Encoders of the Hub with short names, such as `clip:base`.

A commit is pinned where a public source names it: a name then means the same weights on every
machine. Where none is pinned, the first fetch takes the head of the main branch, or the Hub's
conversion of it, and `vaplan models fetch` prints the commit and hash to pin. Licences are those
of the model cards; they are left empty where no source was at hand.
"""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Entry:
    """An encoder of the Hub.

    Attributes:
        hub_id: Name on the Hub.
        purpose: When to choose it.
        commit: Commit of the weights; empty if none is pinned.
        sha256: Hash of model.safetensors; empty if none is pinned.
        size: Bytes of model.safetensors; 0 if no source names them.
        licence: Licence of the weights; empty if it is not known here.
    """

    hub_id: str
    purpose: str
    commit: str = ""
    sha256: str = ""
    size: int = 0
    licence: str = ""

    @property
    def source(self) -> str:
        """Return the Hub id with the pinned commit."""
        return f"{self.hub_id}@{self.commit}" if self.commit else self.hub_id


# Sources: commits and hashes as pinned by independent public programs, read in November 2026.
CATALOGUE: Mapping[str, Entry] = {
    "clip:base": Entry(
        "openai/clip-vit-base-patch32",
        "the usual small CLIP; published results often use it",
    ),
    "clip:base16": Entry(
        "openai/clip-vit-base-patch16",
        "finer patches than clip:base, about 4 times its work",
    ),
    "clip:large": Entry(
        "openai/clip-vit-large-patch14",
        "the visual encoder of VALOR and VAPLAN",
        commit="32bd64288804d66eefd0ccbe215aa642df71cc41",
    ),
    "clip:laion": Entry(
        "laion/CLIP-ViT-B-32-laion2B-s34B-b79K",
        "clip:base trained on LAION-2B; safetensors on its main branch",
        commit="1a25a446712ba5ee05982a381eed697ef9b435cf",
        licence="MIT",
    ),
    "clip:siglip": Entry(
        "google/siglip-base-patch16-224",
        "SigLIP, trained with one decision a pair",
        commit="7fd15f0689c79d79e38b1c2e2e2370a7bf2761ed",
        sha256="2c63cb7d1f2e95ba501893cbb8faeb4ea9a3af295498d35097126228659c2af8",
        size=812_672_320,
        licence="Apache-2.0",
    ),
    "clip:siglip2": Entry(
        "google/siglip2-base-patch16-224",
        "SigLIP 2, prompts in many languages",
        commit="75de2d55ec2d0b4efc50b3e9ad70dba96a7b2fa2",
        licence="Apache-2.0",
    ),
    "clip:metaclip2": Entry(
        "facebook/metaclip-2-worldwide-b16",
        "MetaCLIP 2, trained on texts in 300 languages",
    ),
    "clap:base": Entry(
        "laion/clap-htsat-unfused",
        "the usual CLAP; published results often use it",
        licence="Apache-2.0",
    ),
    "clap:fused": Entry(
        "laion/clap-htsat-fused",
        "CLAP for audio longer than 10 s",
    ),
    "clap:general": Entry(
        "laion/larger_clap_general",
        "a larger CLAP for sounds, music and speech",
    ),
}


def hub_source(name: str) -> str:
    """Return the folder or Hub id of an encoder's name, without its kind.

    >>> hub_source("clip:laion")
    'laion/CLIP-ViT-B-32-laion2B-s34B-b79K@1a25a446712ba5ee05982a381eed697ef9b435cf'
    >>> hub_source("clip:./laion")
    './laion'

    Args:
        name: Kind and short name, folder or Hub id, without options.
    """
    if entry := CATALOGUE.get(name):
        return entry.source
    return name.partition(":")[2]

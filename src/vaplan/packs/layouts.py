"""The published packs as values: where their files lie, the shape of one video, and how it
becomes segments."""

import hashlib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

from vaplan.arrays import AUDIO, VISUAL
from vaplan.errors import UsageError
from vaplan.taxonomy import LLP

SEGMENTS = 10  # of every clip of these data sets
WHOLE = "side by side"  # the pooling that loses nothing


@dataclass(frozen=True)
class Pack:
    """The features of one encoder.

    Attributes:
        encoder: The name they get in a store, without the modality.
        places: Where they may lie below the pack's folder, likeliest first: a folder of `.npy`,
            or an `.h5` file.
        shape: That of one video's array on disk.
        pooling: A name of `POOLINGS`, how that becomes one vector a segment.
        whole_suffix: What the encoder's name gets where nothing is averaged; empty where that
            changes nothing, or cannot be.
        background: As `places`, of the clips that hold background alone.
        about: What made the numbers.
    """

    encoder: str
    modality: int
    places: tuple[str, ...]
    shape: tuple[int, ...]
    about: str
    pooling: str = WHOLE
    whole_suffix: str = ""
    background: tuple[str, ...] = ()
    segments: int = SEGMENTS

    def kept_whole(self) -> "Pack":
        """The same pack with nothing averaged; raises UsageError where that has no meaning."""
        if self.pooling != WHOLE and not self.whole_suffix:
            what = (
                f"{self.encoder} cannot be kept whole: its vectors do not belong to "
                "one second each"
            )
            raise UsageError(what, fix="import it without keeping it whole")
        return replace(self, encoder=self.encoder + self.whole_suffix, pooling=WHOLE)

    @property
    def dimension(self) -> int:
        """How many numbers a segment has in the store."""
        return (
            math.prod(self.shape) // self.segments
            if self.pooling == WHOLE
            else self.shape[-1]
        )

    def provenance(self) -> dict[str, Any]:
        """What the store's features are; there are no weights here, so a digest of this stands
        for them."""
        provenance = {
            key: asdict(self)[key]
            for key in ("encoder", "about", "shape", "pooling", "segments")
        }
        if self.whole_suffix:
            frames, *map_shape = self.shape
            provenance |= {
                "frames_per_segment": frames // self.segments,
                "map_shape": map_shape,
            }
        digest = hashlib.sha256(
            json.dumps(provenance, sort_keys=True).encode()
        ).hexdigest()
        return {**provenance, "dimension": self.dimension, "weights_sha256": digest}


@dataclass(frozen=True)
class LabelPack:
    """The segment pseudo labels of one modality: a `.npy` of zeros and ones a video, classes in
    LLP's order."""

    modality: int
    places: tuple[str, ...]
    shape: tuple[int, ...] = (SEGMENTS, len(LLP))


@dataclass(frozen=True)
class Layout:
    """Packs that were published together."""

    packs: tuple[Pack, ...]
    labels: tuple[LabelPack, ...] = ()


def find(folder: Path, places: Sequence[str]) -> Path | None:
    """The first of the places that exists below `folder`, or that `folder` itself is, or is a
    part of the way to."""
    return next(
        (
            path
            for place in places
            for path in _candidates(folder, place)
            if path.exists()
        ),
        None,
    )


def _candidates(folder: Path, pattern: str) -> Iterator[Path]:
    parts, folder_parts = PurePosixPath(pattern).parts, folder.absolute().parts
    for taken in range(len(parts) + 1):
        if folder_parts[len(folder_parts) - taken :] == parts[:taken]:
            yield folder.joinpath(*parts[taken:])


def _places(*paths: str) -> tuple[str, ...]:
    """The published repositories keep everything in a folder `data`."""
    return (*paths, *(f"data/{path}" for path in paths))


_R2PLUS1D = Pack(
    "legacy:r2plus1d_18",
    VISUAL,
    _places("feats/r2plus1d_18", "r2plus1d_18"),
    (SEGMENTS, 512),
    "R(2+1)D-18 trained on Kinetics-400, 8 frames a segment; LLP's published features",
)

LAYOUTS: Mapping[str, Layout] = {
    "han": Layout(  # Tian et al., ECCV 2020, arXiv 2007.10558
        (
            Pack(
                "legacy:vggish",
                AUDIO,
                _places("feats/vggish", "vggish"),
                (SEGMENTS, 128),
                "VGGish, one second of sound a segment; LLP's published features",
            ),
            Pack(
                "legacy:res152",
                VISUAL,
                _places("feats/res152", "res152"),
                (80, 2048),
                "ResNet-152 trained on ImageNet, 8 frames a second; LLP's published features",
                pooling="mean",
                whole_suffix="-frames",
            ),
            _R2PLUS1D,
        )
    ),
    "valor": Layout(  # Lai et al., NeurIPS 2023, arXiv 2305.17343
        (
            Pack(
                "legacy:clap",
                AUDIO,
                _places("CLAP/features"),
                (64, 768),
                "CLAP HTSAT-tiny 630k-fusion-best, last hidden tokens of the whole "
                "clip; VALOR's published features",
                pooling="mean of tokens",
            ),
            Pack(
                "legacy:clip",
                VISUAL,
                _places("CLIP/features"),
                (SEGMENTS, 768),
                "CLIP ViT-L/14, one frame a segment, unit length; VALOR's published features",
            ),
            _R2PLUS1D,
        ),
        labels=(
            LabelPack(AUDIO, _places("CLAP/segment_pseudo_labels")),
            LabelPack(VISUAL, _places("CLIP/segment_pseudo_labels")),
        ),
    ),
    "ave": Layout(  # Tian et al., ECCV 2018, arXiv 1803.08842
        (
            Pack(
                "legacy:ave-vggish",
                AUDIO,
                _places("audio_feature.h5"),
                (SEGMENTS, 128),
                "VGGish, one second of sound a segment; AVE's published features",
                background=_places("audio_feature_noisy.h5"),
            ),
            Pack(
                "legacy:ave-vgg19",
                VISUAL,
                _places("visual_feature.h5"),
                (SEGMENTS, 7, 7, 512),
                "VGG-19 trained on ImageNet, last pooling layer, mean of 16 "
                "frames; AVE's published features",
                pooling="mean",
                whole_suffix="-maps",
                background=_places("visual_feature_noisy.h5"),
            ),
        )
    ),
}

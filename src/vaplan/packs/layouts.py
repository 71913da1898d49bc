"""The published packs as values: paths of their files, shape of one video, and pooling."""

import hashlib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

from vaplan.arrays import AUDIO, VISUAL
from vaplan.errors import UsageError
from vaplan.taxonomy import LLP

SEGMENTS = 10  # of every clip of these data sets
CONCATENATION = "side by side"  # the pooling that keeps all numbers


@dataclass(frozen=True)
class Pack:
    """The published features of one encoder.

    Attributes:
        encoder: Name of the features in a store, without the modality.
        modality: AUDIO or VISUAL.
        paths: Possible paths below the pack's folder, the most likely first: a folder of
            `.npy` files, or an `.h5` file.
        shape: Shape of one video's array on disk.
        description: Network and input of the features.
        pooling: Name in `POOLINGS` of the conversion to one vector for each segment.
        unpooled_suffix: Suffix of the encoder's name if nothing is averaged; empty if the
            pooling averages nothing, or must average.
        background: Like `paths`, for the clips with background only.
        segments: Number of segments of a video.
    """

    encoder: str
    modality: int
    paths: tuple[str, ...]
    shape: tuple[int, ...]
    description: str
    pooling: str = CONCATENATION
    unpooled_suffix: str = ""
    background: tuple[str, ...] = ()
    segments: int = SEGMENTS

    def without_pooling(self) -> "Pack":
        """Return the same pack with nothing averaged.

        Raises:
            UsageError: The vectors do not belong to single segments.
        """
        if self.pooling != CONCATENATION and not self.unpooled_suffix:
            raise UsageError(
                f"{self.encoder} cannot be kept whole: its vectors do not belong to "
                "one second each",
                fix="import it without keeping it whole",
            )
        encoder = self.encoder + self.unpooled_suffix
        return replace(self, encoder=encoder, pooling=CONCATENATION)

    @property
    def dimension(self) -> int:
        """The dimension of a segment's vector in the store."""
        if self.pooling == CONCATENATION:
            return math.prod(self.shape) // self.segments
        return self.shape[-1]

    def provenance(self) -> dict[str, Any]:
        """Return the provenance of the features, as JSON values.

        There are no weights here: a hash of the other values takes their place.
        """
        provenance: dict[str, Any] = {
            "encoder": self.encoder,
            "about": self.description,
            "shape": self.shape,
            "pooling": self.pooling,
            "segments": self.segments,
        }
        if self.unpooled_suffix:
            frames, *map_shape = self.shape
            provenance["frames_per_segment"] = frames // self.segments
            provenance["map_shape"] = map_shape
        content = json.dumps(provenance, sort_keys=True).encode()
        digest = hashlib.sha256(content).hexdigest()
        return {**provenance, "dimension": self.dimension, "weights_sha256": digest}


@dataclass(frozen=True)
class LabelPack:
    """The published segment pseudo labels of one modality.

    Each video has a `.npy` file of zeros and ones, with the classes in the order of LLP.

    Attributes:
        modality: AUDIO or VISUAL.
        paths: Possible paths below the pack's folder, the most likely first.
        shape: Shape of one video's array.
    """

    modality: int
    paths: tuple[str, ...]
    shape: tuple[int, ...] = (SEGMENTS, len(LLP))


@dataclass(frozen=True)
class Layout:
    """Packs that were published together.

    Attributes:
        packs: Features.
        labels: Pseudo labels.
    """

    packs: tuple[Pack, ...]
    labels: tuple[LabelPack, ...] = ()


def find_path(folder: Path, paths: Sequence[str]) -> Path | None:
    """Find the first of some paths that exists.

    Args:
        folder: Folder of the pack. It may also be one of the paths, or a folder on the way to
            one.
        paths: Possible paths below the folder.
    """
    for path in paths:
        for candidate in _candidates(folder, path):
            if candidate.exists():
                return candidate
    return None


def _candidates(folder: Path, path: str) -> Iterator[Path]:
    """Yield the path below the folder, without the first parts that end the folder's path."""
    parts = PurePosixPath(path).parts
    folder_parts = folder.absolute().parts
    for count in range(len(parts) + 1):
        last_parts = folder_parts[len(folder_parts) - count :]
        if last_parts == parts[:count]:
            yield folder.joinpath(*parts[count:])


def _with_data_folder(*paths: str) -> tuple[str, ...]:
    """Add the same paths below `data`, the folder of all files in the published repositories."""
    return (*paths, *(f"data/{path}" for path in paths))


_R2PLUS1D = Pack(
    "legacy:r2plus1d_18",
    VISUAL,
    _with_data_folder("feats/r2plus1d_18", "r2plus1d_18"),
    (SEGMENTS, 512),
    "R(2+1)D-18 trained on Kinetics-400, 8 frames a segment; LLP's published features",
)

LAYOUTS: Mapping[str, Layout] = {
    "han": Layout(  # Tian et al., ECCV 2020, arXiv 2007.10558
        (
            Pack(
                "legacy:vggish",
                AUDIO,
                _with_data_folder("feats/vggish", "vggish"),
                (SEGMENTS, 128),
                "VGGish, one second of sound a segment; LLP's published features",
            ),
            Pack(
                "legacy:res152",
                VISUAL,
                _with_data_folder("feats/res152", "res152"),
                (80, 2048),
                "ResNet-152 trained on ImageNet, 8 frames a second; LLP's published features",
                pooling="mean",
                unpooled_suffix="-frames",
            ),
            _R2PLUS1D,
        )
    ),
    "valor": Layout(  # Lai et al., NeurIPS 2023, arXiv 2305.17343
        (
            Pack(
                "legacy:clap",
                AUDIO,
                _with_data_folder("CLAP/features"),
                (64, 768),
                "CLAP HTSAT-tiny 630k-fusion-best, last hidden tokens of the whole "
                "clip; VALOR's published features",
                pooling="mean of tokens",
            ),
            Pack(
                "legacy:clip",
                VISUAL,
                _with_data_folder("CLIP/features"),
                (SEGMENTS, 768),
                "CLIP ViT-L/14, one frame a segment, unit length; VALOR's published features",
            ),
            _R2PLUS1D,
        ),
        labels=(
            LabelPack(AUDIO, _with_data_folder("CLAP/segment_pseudo_labels")),
            LabelPack(VISUAL, _with_data_folder("CLIP/segment_pseudo_labels")),
        ),
    ),
    "ave": Layout(  # Tian et al., ECCV 2018, arXiv 1803.08842
        (
            Pack(
                "legacy:ave-vggish",
                AUDIO,
                _with_data_folder("audio_feature.h5"),
                (SEGMENTS, 128),
                "VGGish, one second of sound a segment; AVE's published features",
                background=_with_data_folder("audio_feature_noisy.h5"),
            ),
            Pack(
                "legacy:ave-vgg19",
                VISUAL,
                _with_data_folder("visual_feature.h5"),
                (SEGMENTS, 7, 7, 512),
                "VGG-19 trained on ImageNet, last pooling layer, mean of 16 "
                "frames; AVE's published features",
                pooling="mean",
                unpooled_suffix="-maps",
                background=_with_data_folder("visual_feature_noisy.h5"),
            ),
        )
    ),
}

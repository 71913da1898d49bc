"""The published packs: folders of their files, the shape of a video's array, and its pooling."""

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
WHOLE = "side by side"  # the pooling that keeps all numbers


@dataclass(frozen=True)
class Pack:
    """The features of one encoder.

    Attributes:
        encoder: Name of the encoder in a store, without the modality.
        modality: Modality of the features.
        places: Possible paths below the pack's folder, the most likely first: a folder of
            `.npy` files, or an `.h5` file.
        shape: Shape of the array of one video.
        about: Description of the encoder.
        pooling: Name of the pooling to one vector a segment, one of `POOLINGS`.
        whole_suffix: Suffix of the encoder's name if all numbers are kept; empty if nothing
            is averaged anyway, or if an average is the only possibility.
        background: Like `places`, for clips with background only.
        segments: Number of segments.
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
        """Return the pack without averages.

        Raises:
            UsageError: Its vectors do not belong to single segments.
        """
        if self.pooling != WHOLE and not self.whole_suffix:
            raise UsageError(
                f"{self.encoder} cannot be imported whole: its vectors do not belong to "
                "single seconds",
                fix="omit --whole",
            )
        return replace(self, encoder=self.encoder + self.whole_suffix, pooling=WHOLE)

    @property
    def dimension(self) -> int:
        """Return the size of a segment's vector in the store."""
        if self.pooling == WHOLE:
            return math.prod(self.shape) // self.segments
        return self.shape[-1]

    def provenance(self) -> dict[str, Any]:
        """Return the provenance of the features.

        There are no weights, so a hash of the description replaces their hash.
        """
        keys = ("encoder", "about", "shape", "pooling", "segments")
        fields = asdict(self)
        provenance = {key: fields[key] for key in keys}
        if self.whole_suffix:
            frames, *map_shape = self.shape
            provenance |= {
                "frames_per_segment": frames // self.segments,
                "map_shape": map_shape,
            }

        text = json.dumps(provenance, sort_keys=True)
        digest = hashlib.sha256(text.encode()).hexdigest()
        return {**provenance, "dimension": self.dimension, "weights_sha256": digest}


@dataclass(frozen=True)
class LabelPack:
    """Published pseudo labels of the segments of one modality.

    There is one `.npy` file of zeros and ones a video, with the classes in LLP's order.

    Attributes:
        modality: Modality of the labels.
        places: Possible folders below the pack's folder.
        shape: Shape of the array of one video.
    """

    modality: int
    places: tuple[str, ...]
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


def find(folder: Path, places: Sequence[str]) -> Path | None:
    """Return the first existing path of a pack.

    Args:
        folder: Folder of the pack, or one of the folders on the way to its files.
        places: Possible paths below the pack's folder.

    Returns:
        The path; None if none exists.
    """
    for place in places:
        for path in _candidates(folder, place):
            if path.exists():
                return path
    return None


def _candidates(folder: Path, pattern: str) -> Iterator[Path]:
    """Yield a path below a folder that may end with the first parts of the path."""
    parts = PurePosixPath(pattern).parts
    folder_parts = folder.absolute().parts
    for shared in range(len(parts) + 1):
        if folder_parts[len(folder_parts) - shared :] == parts[:shared]:
            yield folder.joinpath(*parts[shared:])


def _places(*paths: str) -> tuple[str, ...]:
    """Add the folder `data`, which contains the files in the published repositories."""
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

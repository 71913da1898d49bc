"""Any CLIPModel: frames and sentences to vectors (Radford et al. 2021, arXiv 2103.00020)."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32, UInt8
from torch import Tensor
from torch.nn import functional

from vaplan.arrays import VISUAL
from vaplan.encoders import pretrained
from vaplan.encoders.compute import AUTOMATIC, Compute
from vaplan.encoders.pretrained import Pretrained
from vaplan.errors import EncoderError
from vaplan.media import Segments

FILTERS = {
    2: "bilinear",
    3: "bicubic",
}  # by the number Pillow gives them in preprocessor_config.json
CLIP_MEAN = (
    0.48145466,
    0.4578275,
    0.40821073,
)  # of red, green and blue in the pictures CLIP was trained on
CLIP_DEVIATION = (0.26862954, 0.26130258, 0.27577711)
BATCH_SIZE = 10


@dataclass(frozen=True)
class ImagePreprocessing:
    """How a frame becomes the model's input: resize, crop the centre, scale to [0, 1],
    normalise."""

    size: int | tuple[int, int]  # of the shorter edge, or height and width
    crop: tuple[int, int]  # height and width
    filter: str
    scale: float
    mean: tuple[float, ...]
    deviation: tuple[float, ...]

    @classmethod
    def from_config(
        cls, config: Mapping[str, Any], *, crops: bool = True
    ) -> "ImagePreprocessing":
        """Read the library's settings; missing values get the library's CLIP defaults.

        Args:
            crops: Whether pictures are cropped where that is not said; the library's processor of
                SigLIP does not.
        """
        size, resample = (
            _edge_or_sides(config.get("size", 224)),
            config.get("resample", 3),
        )
        smallest = (size, size) if isinstance(size, int) else size
        cropped = config.get("do_center_crop", crops)
        crop = _sides(config.get("crop_size", 224)) if cropped else smallest
        is_cropped = (
            isinstance(size, int) and not cropped
        )  # then pictures of several shapes would come out
        too_large = any(
            wanted > there for wanted, there in zip(crop, smallest, strict=True)
        )
        if (
            resample not in FILTERS
            or is_cropped
            or too_large
            or not config.get("do_resize", True)
        ):
            raise EncoderError(
                f"preprocessing with resample={resample}, size={size}, crop={crop} "
                "is not supported",
                fix="name a model whose images are resized (bilinear or bicubic), then cropped",
            )
        normalised = config.get("do_normalize", True)
        return cls(
            size=size,
            crop=crop,
            filter=FILTERS[resample],
            scale=float(config.get("rescale_factor", 1 / 255))
            if config.get("do_rescale", True)
            else 1.0,
            mean=tuple(map(float, config.get("image_mean", CLIP_MEAN)))
            if normalised
            else (0.0,) * 3,
            deviation=tuple(map(float, config.get("image_std", CLIP_DEVIATION)))
            if normalised
            else (1.0,) * 3,
        )


def preprocess(
    frames: UInt8[np.ndarray, "frame height width channel"],
    settings: ImagePreprocessing,
) -> Float32[Tensor, "frame channel cropped_height cropped_width"]:
    """Resize and normalise frames like the library's processor, to within one grey level."""
    pixels = torch.from_numpy(np.ascontiguousarray(frames)).permute(0, 3, 1, 2)
    resized = _resized(pixels, settings)
    height, width = settings.crop
    top, left = (resized.shape[2] - height) // 2, (resized.shape[3] - width) // 2
    cropped = resized[:, :, top : top + height, left : left + width]
    mean, deviation = (
        torch.tensor(value)[:, None, None]
        for value in (settings.mean, settings.deviation)
    )
    return (cropped * settings.scale - mean) / deviation


def _resized(pixels: Tensor, settings: ImagePreprocessing) -> Tensor:
    sides = height, _ = resized_sides(pixels.shape[2:], settings.size)
    resize = partial(functional.interpolate, mode=settings.filter, antialias=True)
    before, width = pixels.shape[2:]
    if before > max(
        2 * width, height
    ):  # a tall picture's height is shrunk first, as Pillow does: rounding differs
        pixels = resize(pixels, size=(height, width))
    return resize(pixels, size=sides)


def resized_sides(sides: Sequence[int], size: int | tuple[int, int]) -> tuple[int, int]:
    """Height and width after resizing; the longer edge is cut to whole pixels, not rounded, as
    the library does.

    >>> resized_sides((241, 321), 224)
    (224, 298)
    """
    if not isinstance(size, int):
        return size
    height, width = sides
    longer = int(size * max(sides) / min(sides))
    return (longer, size) if height > width else (size, longer)


@dataclass(frozen=True, eq=False)
class ClipEncoder:
    """A CLIPModel that looks at the frames of each segment."""

    name: str
    pretrained: Pretrained
    preprocessing: ImagePreprocessing
    frames_per_segment: int = 1
    batch_size: int = BATCH_SIZE
    modality: int = VISUAL
    rate_hz: None = None

    @property
    def dimension(self) -> int:
        """How many numbers a vector has."""
        return self.pretrained.dimension

    @property
    def logit_scale(self) -> float:
        """The factor the model was trained to multiply a cosine with."""
        return float(self.pretrained.model.logit_scale.exp())

    @property
    def provenance(self) -> dict[str, Any]:
        """Everything an embedding depends on."""
        return self.pretrained.provenance(
            name=self.name,
            frames_per_segment=self.frames_per_segment,
            batch_size=self.batch_size,
        )

    def embed(self, segments: Segments) -> Float32[np.ndarray, "time feature"]:
        """Embed each segment as a unit vector; zeros where frames are missing.

        Each frame is encoded by itself; the unit vectors of a segment's frames are averaged and
        made unit again.
        """
        present = np.flatnonzero(segments.mask[:, VISUAL])
        rows = np.zeros((len(segments), self.dimension), np.float32)
        if len(present):
            owner = np.concatenate(
                [np.full(len(_frames(segments, t)), t) for t in present.tolist()]
            )
            inputs = self._inputs(segments, present)
            np.add.at(
                rows,
                owner,
                self.pretrained.vectors(self._look, inputs, batch_size=self.batch_size),
            )
        return pretrained.unit_rows(rows)

    def text(self, prompts: Sequence[str]) -> Float32[np.ndarray, "prompt feature"]:
        """One unit vector a sentence."""
        return self.pretrained.text(prompts, batch_size=self.batch_size)

    def _inputs(self, segments: Segments, present: np.ndarray) -> Iterator[Tensor]:
        for t in present.tolist():
            yield from preprocess(_frames(segments, t), self.preprocessing)

    def _look(self, batch: Tensor) -> Tensor:
        return pretrained.pooled(
            self.pretrained.model.get_image_features(pixel_values=batch)
        )


def load(
    source: str,
    modality: int,
    *,
    frames_per_segment: int = 1,
    compute: Compute = AUTOMATIC,
    name: str = "",
) -> ClipEncoder:
    """A CLIPModel from a folder or by its hub id."""
    if modality != VISUAL:
        raise EncoderError(
            "a CLIP encoder sees and does not hear",
            fix="name a clap: encoder for the sound",
        )
    loaded = pretrained.load(source, "clip", compute=compute)
    return ClipEncoder(
        name=name or f"clip:{source}",
        pretrained=loaded,
        preprocessing=ImagePreprocessing.from_config(
            loaded.preprocessing, crops=loaded.model_type == "clip"
        ),
        frames_per_segment=frames_per_segment,
    )


def _frames(
    segments: Segments, t: int
) -> UInt8[np.ndarray, "frame height width channel"]:
    frames = segments.frames[t]
    if frames is None:
        raise ValueError(f"segment {t} is marked as seen and has no frames")
    return frames


def _edge_or_sides(size: Any) -> int | tuple[int, int]:
    if isinstance(size, Mapping) and "shortest_edge" in size:
        return int(size["shortest_edge"])
    return int(size) if isinstance(size, int) else _sides(size)


def _sides(size: Any) -> tuple[int, int]:
    return (
        (int(size["height"]), int(size["width"]))
        if isinstance(size, Mapping)
        else (int(size), int(size))
    )

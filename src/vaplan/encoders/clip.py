"""CLIP, MetaCLIP 2 and SigLIP models: frames and prompts to vectors.

Source: Radford et al. 2021, arXiv 2103.00020; Zhai et al. 2023, arXiv 2303.15343; Chuang et al.
2025, arXiv 2507.22062.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32, UInt8
from torch import Tensor
from torch.nn import functional

from vaplan.arrays import VISUAL
from vaplan.encoders import pretrained
from vaplan.encoders.compute import AUTOMATIC, Compute
from vaplan.encoders.folders import COPY_AGAIN, errors_of
from vaplan.encoders.pretrained import Pretrained
from vaplan.errors import EncoderError
from vaplan.media import Segments

# Pillow's numbers of the filters, which are in preprocessor_config.json.
FILTERS = {2: "bilinear", 3: "bicubic"}
# Of red, green and blue in the training images of CLIP.
CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_DEVIATION = (0.26862954, 0.26130258, 0.27577711)
BATCH_SIZE = 10
MAX_SIDE = 4_096  # pixels of a frame that a model reads


@dataclass(frozen=True)
class ImagePreprocessing:
    """Preprocessing of a frame: resize, crop the centre, scale to [0, 1], normalise.

    Attributes:
        size: Length of the shorter edge, or height and width, after resizing.
        crop: Height and width of the crop.
        filter: Interpolation, `bilinear` or `bicubic`.
        scale: Factor of the pixel values.
        mean: Mean that is subtracted from each channel.
        deviation: Standard deviation by which each channel is divided.
    """

    size: int | tuple[int, int]
    crop: tuple[int, int]
    filter: str
    scale: float
    mean: tuple[float, ...]
    deviation: tuple[float, ...]

    @classmethod
    def from_config(
        cls, config: Mapping[str, Any], *, crops: bool = True
    ) -> "ImagePreprocessing":
        """Read the settings of the library; missing values are the library's CLIP defaults.

        Args:
            config: Content of preprocessor_config.json.
            crops: Whether frames are cropped if the settings do not say so; the library's
                processor of SigLIP does not crop.

        Raises:
            EncoderError: The settings are not supported.
        """
        size = _edge_or_sides(config.get("size", 224))
        resample = config.get("resample", 3)
        smallest = (size, size) if isinstance(size, int) else size
        has_crop = config.get("do_center_crop", crops)
        crop = _sides(config.get("crop_size", 224)) if has_crop else smallest
        has_many_shapes = isinstance(size, int) and not has_crop
        is_crop_too_large = crop[0] > smallest[0] or crop[1] > smallest[1]
        if (
            resample not in FILTERS
            or not 1 <= min(crop) <= max(smallest) <= MAX_SIDE
            or has_many_shapes
            or is_crop_too_large
            or not config.get("do_resize", True)
        ):
            raise EncoderError(
                f"preprocessing with resample={resample}, size={size}, crop={crop} "
                "is not supported",
                fix="name a model whose images are resized (bilinear or bicubic), then cropped",
            )
        scale = 1.0
        if config.get("do_rescale", True):
            scale = float(config.get("rescale_factor", 1 / 255))
        mean: tuple[float, ...] = (0.0, 0.0, 0.0)
        deviation: tuple[float, ...] = (1.0, 1.0, 1.0)
        if config.get("do_normalize", True):
            mean = tuple(map(float, config.get("image_mean", CLIP_MEAN)))
            deviation = tuple(map(float, config.get("image_std", CLIP_DEVIATION)))
        numbers = [scale, *mean, *deviation]
        if not (len(mean) == len(deviation) == 3 and all(map(math.isfinite, numbers))):
            raise EncoderError(
                f"image_mean is {mean} and image_std {deviation}, expected three finite "
                "numbers each",
                fix=COPY_AGAIN,
            )
        return cls(
            size=size,
            crop=crop,
            filter=FILTERS[resample],
            scale=scale,
            mean=mean,
            deviation=deviation,
        )


def preprocess(
    frames: UInt8[np.ndarray, "frame height width channel"],
    settings: ImagePreprocessing,
) -> Float32[Tensor, "frame channel cropped_height cropped_width"]:
    """Resize and normalise frames like the library's processor, to within one grey level.

    Args:
        frames: RGB frames.
        settings: Settings of the preprocessing.
    """
    return preprocess_pixels(torch.from_numpy(np.ascontiguousarray(frames)), settings)


def preprocess_pixels(
    frames: UInt8[Tensor, "frame height width channel"],
    settings: ImagePreprocessing,
) -> Float32[Tensor, "frame channel cropped_height cropped_width"]:
    """Resize and normalise frames on the device that they are on.

    Args:
        frames: RGB frames.
        settings: Settings of the preprocessing.
    """
    resized = _resized(frames.permute(0, 3, 1, 2), settings)
    height, width = settings.crop
    top = (resized.shape[2] - height) // 2
    left = (resized.shape[3] - width) // 2
    cropped = resized[:, :, top : top + height, left : left + width]
    mean = resized.new_tensor(settings.mean, dtype=torch.float32)[:, None, None]
    deviation = resized.new_tensor(settings.deviation, dtype=torch.float32)
    deviation = deviation[:, None, None]
    return (cropped * settings.scale - mean) / deviation


def _resized(pixels: Tensor, settings: ImagePreprocessing) -> Tensor:
    old_height, old_width = pixels.shape[2:]
    new_height, new_width = resized_sides((old_height, old_width), settings.size)
    on_cpu = pixels.device.type == "cpu"
    function = functional.interpolate if on_cpu else interpolate_floats
    resize = partial(function, mode=settings.filter, antialias=True)
    if old_height > max(2 * old_width, new_height):
        # Pillow resizes the height of a tall image first, and rounds in between.
        pixels = resize(pixels, size=(new_height, old_width))
    return resize(pixels, size=(new_height, new_width))


def interpolate_floats(
    pixels: UInt8[Tensor, "frame channel height width"], **settings: Any
) -> Float32[Tensor, "frame channel new_height new_width"]:
    """Resize whole numbers by way of floating-point ones, the only ones that a GPU resizes.

    Args:
        pixels: Grey levels.
        settings: Arguments of `torch.nn.functional.interpolate`.
    """
    resized = functional.interpolate(pixels.float(), **settings)
    return resized.round().clamp(0, 255)


def resized_sides(sides: Sequence[int], size: int | tuple[int, int]) -> tuple[int, int]:
    """Return the height and width after resizing.

    Like in the library, the longer edge is rounded down.

    >>> resized_sides((241, 321), 224)
    (224, 298)

    Args:
        sides: Height and width of a frame.
        size: Length of the shorter edge, or height and width.
    """
    if not isinstance(size, int):
        return size
    height, width = sides
    longer = int(size * max(sides) / min(sides))
    return (longer, size) if height > width else (size, longer)


@dataclass(frozen=True, eq=False)
class ClipEncoder:
    """A CLIP or SigLIP model that embeds the frames of each segment; see `Encoder`."""

    name: str
    pretrained: Pretrained
    preprocessing: ImagePreprocessing
    frames_per_segment: int = 1
    batch_size: int = BATCH_SIZE
    modality: int = VISUAL
    rate_hz: None = None

    @property
    def dimension(self) -> int:
        """Return the size of a vector."""
        return self.pretrained.dimension

    @property
    def logit_scale(self) -> float:
        """Return the factor of cosines in the model's training."""
        return float(self.pretrained.model.logit_scale.exp())

    @property
    def provenance(self) -> dict[str, Any]:
        """Return the weights, preprocessing and versions that an embedding depends on."""
        return self.pretrained.provenance(
            name=self.name,
            frames_per_segment=self.frames_per_segment,
            batch_size=self.batch_size,
        )

    def embed(self, segments: Segments) -> Float32[np.ndarray, "time feature"]:
        """Embed each segment as a unit vector; zeros where frames are missing.

        Each frame is encoded separately. The unit vectors of a segment's frames are averaged and
        normalised.

        Args:
            segments: Segments of one video.
        """
        if not segments.mask[:, VISUAL].any():
            return np.zeros((len(segments), self.dimension), np.float32)
        vectors = self.pretrained.vectors(
            self._encode_images, self._inputs(segments), batch_size=self.batch_size
        )
        return self.combine(segments, vectors)

    def inputs(
        self, segments: Segments
    ) -> Float32[Tensor, "frame channel height width"]:
        """Preprocess the frames of all segments; see `Stackable`."""
        upload = self.pretrained.compute.upload
        frames = [
            upload(torch.from_numpy(np.ascontiguousarray(_frames(segments, t))))
            for t in _present(segments)
        ]
        of_one_size = groupby(frames, key=lambda group: group.shape[1:])
        return torch.cat(
            [
                preprocess_pixels(torch.cat([*group]), self.preprocessing)
                for _, group in of_one_size
            ]
        )

    def encode(self, batch: Tensor) -> Tensor:
        """Encode preprocessed frames; see `Stackable`."""
        return self.pretrained.run_on_device(self._encode_images, batch)

    def combine(
        self, segments: Segments, vectors: Float32[np.ndarray, "frame feature"]
    ) -> Float32[np.ndarray, "time feature"]:
        """Average the vectors of the frames of each segment; see `Stackable`."""
        present = _present(segments)
        counts = [len(_frames(segments, t)) for t in present]
        rows = np.zeros((len(segments), self.dimension), np.float32)
        np.add.at(rows, np.repeat(present, counts), vectors)
        return pretrained.unit_rows(rows)

    def text(self, prompts: Sequence[str]) -> Float32[np.ndarray, "prompt feature"]:
        """Embed each prompt as a unit vector.

        Args:
            prompts: Sentences.
        """
        return self.pretrained.text(prompts, batch_size=self.batch_size)

    def _inputs(self, segments: Segments) -> Iterator[Tensor]:
        for t in _present(segments):
            yield from preprocess(_frames(segments, t), self.preprocessing)

    def _encode_images(self, batch: Tensor) -> Tensor:
        return pretrained.projected_vectors(
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
    """Load a CLIP, MetaCLIP 2 or SigLIP model; see `Loader`.

    Args:
        source: Folder or Hugging Face id.
        modality: VISUAL.
        frames_per_segment: Number of frames of a segment whose vectors are averaged.
        compute: Device and precision.
        name: Name of the encoder, if it is not `clip:` and the source.

    Raises:
        EncoderError: The model cannot be loaded.
    """
    if modality != VISUAL:
        raise EncoderError(
            "a CLIP encoder embeds frames, not audio",
            fix="name a clap: encoder for the audio",
        )
    loaded = pretrained.load(source, "clip", compute=compute)
    with errors_of(loaded.folder):
        preprocessing = ImagePreprocessing.from_config(
            loaded.preprocessing, crops=loaded.model_type != "siglip"
        )
    return ClipEncoder(
        name=name or f"clip:{source}",
        pretrained=loaded,
        preprocessing=preprocessing,
        frames_per_segment=frames_per_segment,
    )


def _frames(
    segments: Segments, t: int
) -> UInt8[np.ndarray, "frame height width channel"]:
    frames = segments.frames[t]
    if frames is None:
        raise ValueError(f"segment {t} is marked as present and has no frames")
    return frames


def _present(segments: Segments) -> list[int]:
    """Return the indices of the segments that have video."""
    present: list[int] = np.flatnonzero(segments.mask[:, VISUAL]).tolist()
    return present


def _edge_or_sides(size: Any) -> int | tuple[int, int]:
    if isinstance(size, Mapping) and "shortest_edge" in size:
        return int(size["shortest_edge"])
    return int(size) if isinstance(size, int) else _sides(size)


def _sides(size: Any) -> tuple[int, int]:
    if isinstance(size, Mapping):
        return int(size["height"]), int(size["width"])
    return int(size), int(size)

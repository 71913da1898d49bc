"""CLIP models: vectors of frames and prompts (Radford et al. 2021, arXiv 2103.00020).

Any CLIPModel or SiglipModel of the transformers library can be loaded.
"""

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
from vaplan.encoders.compute import AUTO_COMPUTE, Compute
from vaplan.encoders.pretrained import Pretrained
from vaplan.errors import EncoderError
from vaplan.media import Segments

FILTERS = {2: "bilinear", 3: "bicubic"}  # by Pillow's number in the settings
# of red, green and blue in CLIP's training images
CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_DEVIATION = (0.26862954, 0.26130258, 0.27577711)
BATCH_SIZE = 10


@dataclass(frozen=True)
class ImagePreprocessing:
    """Settings of the conversion of a frame to the model's input.

    A frame is resized, cropped to its centre, scaled to [0, 1] and normalised.

    Attributes:
        size: Size after resizing: of the shorter edge, or height and width; in pixels.
        crop: Height and width of the centre that is cut out, in pixels.
        filter: Interpolation, `bilinear` or `bicubic`.
        scale: Factor of the pixel values.
        mean: Mean of each channel, subtracted after scaling.
        deviation: Standard deviation of each channel, the divisor.
    """

    size: int | tuple[int, int]
    crop: tuple[int, int]
    filter: str
    scale: float
    mean: tuple[float, ...]
    deviation: tuple[float, ...]

    @classmethod
    def from_config(
        cls, config: Mapping[str, Any], *, default_crop: bool = True
    ) -> "ImagePreprocessing":
        """Read the library's settings; missing values are the library's for CLIP.

        Args:
            config: Settings of the library's image processor.
            default_crop: Whether frames are cropped where the settings are silent; the
                library's processor of SigLIP does not.

        Raises:
            EncoderError: A setting is not supported.
        """
        size = _parse_size(config.get("size", 224))
        resample = config.get("resample", 3)
        smallest = (size, size) if isinstance(size, int) else size
        has_crop = config.get("do_center_crop", default_crop)
        crop = _parse_sides(config.get("crop_size", 224)) if has_crop else smallest
        # resized by the shorter edge alone, frames of several shapes would result
        has_one_shape = has_crop or not isinstance(size, int)
        crop_fits = crop[0] <= smallest[0] and crop[1] <= smallest[1]
        has_resize = config.get("do_resize", True)
        is_supported = resample in FILTERS and has_one_shape and crop_fits
        if not is_supported or not has_resize:
            raise EncoderError(
                f"preprocessing with resample={resample}, size={size}, crop={crop} "
                "is not supported",
                fix="name a model whose images are resized (bilinear or bicubic), "
                "then cropped",
            )
        scale = 1.0
        if config.get("do_rescale", True):
            scale = float(config.get("rescale_factor", 1 / 255))
        mean: tuple[float, ...] = (0.0,) * 3
        deviation: tuple[float, ...] = (1.0,) * 3
        if config.get("do_normalize", True):
            mean = tuple(map(float, config.get("image_mean", CLIP_MEAN)))
            deviation = tuple(map(float, config.get("image_std", CLIP_DEVIATION)))
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
    """Resize and normalise frames as the library's processor does, to within one grey level.

    Args:
        frames: Frames of one size, RGB.
        settings: Settings of the conversion.
    """
    pixels = torch.from_numpy(np.ascontiguousarray(frames)).permute(0, 3, 1, 2)
    resized = _resize(pixels, settings)
    height, width = settings.crop
    top = (resized.shape[2] - height) // 2
    left = (resized.shape[3] - width) // 2
    cropped = resized[:, :, top : top + height, left : left + width]
    mean = torch.tensor(settings.mean)[:, None, None]
    deviation = torch.tensor(settings.deviation)[:, None, None]
    return (cropped * settings.scale - mean) / deviation


def scale_sides(sides: Sequence[int], size: int | tuple[int, int]) -> tuple[int, int]:
    """Return the height and width of an image after resizing.

    The longer edge is cut to whole pixels as in the library, not rounded.

    >>> scale_sides((241, 321), 224)
    (224, 298)

    Args:
        sides: Height and width, in pixels.
        size: As in `ImagePreprocessing`.
    """
    if not isinstance(size, int):
        return size
    height, width = sides
    longer = int(size * max(sides) / min(sides))
    return (longer, size) if height > width else (size, longer)


def _resize(pixels: Tensor, settings: ImagePreprocessing) -> Tensor:
    height, width = pixels.shape[2:]
    new_height, new_width = scale_sides((height, width), settings.size)
    resize = partial(functional.interpolate, mode=settings.filter, antialias=True)
    is_tall = height > max(2 * width, new_height)
    if is_tall:
        # Pillow shrinks the height of a tall image first, and rounds in between
        pixels = resize(pixels, size=(new_height, width))
    return resize(pixels, size=(new_height, new_width))


@dataclass(frozen=True, eq=False)
class ClipEncoder:
    """A CLIPModel or SiglipModel that embeds the frames of each segment.

    Attributes:
        name: Name by which it was loaded.
        pretrained: The model.
        preprocessing: Conversion of frames to the model's input.
        frames_per_segment: Number of frames of a segment that are averaged.
        batch_size: Number of frames, or prompts, of a batch.
        modality: VISUAL.
        rate_hz: None, as it embeds no audio.
    """

    name: str
    pretrained: Pretrained
    preprocessing: ImagePreprocessing
    frames_per_segment: int = 1
    batch_size: int = BATCH_SIZE
    modality: int = VISUAL
    rate_hz: None = None

    @property
    def dimension(self) -> int:
        """The dimension of a vector."""
        return self.pretrained.dimension

    @property
    def logit_scale(self) -> float:
        """The factor of a cosine in the training of the model."""
        scale = self.pretrained.model.logit_scale.exp()
        return float(scale)

    @property
    def provenance(self) -> dict[str, Any]:
        """All that an embedding depends on."""
        return self.pretrained.provenance(
            name=self.name,
            frames_per_segment=self.frames_per_segment,
            batch_size=self.batch_size,
        )

    def embed(self, segments: Segments) -> Float32[np.ndarray, "time feature"]:
        """Embed each segment as a unit vector; zeros where frames are missing.

        Each frame is encoded alone; the unit vectors of a segment's frames are averaged and
        scaled to length one.
        """
        present = np.flatnonzero(segments.mask[:, VISUAL]).tolist()
        rows = np.zeros((len(segments), self.dimension), np.float32)
        if present:
            frame_counts = [len(_get_frames(segments, t)) for t in present]
            segment_of_frame = np.repeat(present, frame_counts)
            vectors = self.pretrained.embed_rows(
                self._embed_batch,
                self._preprocess_frames(segments, present),
                batch_size=self.batch_size,
            )
            np.add.at(rows, segment_of_frame, vectors)
        return pretrained.normalise_rows(rows)

    def embed_text(
        self, prompts: Sequence[str]
    ) -> Float32[np.ndarray, "prompt feature"]:
        """Embed each prompt as a unit vector."""
        return self.pretrained.embed_text(prompts, batch_size=self.batch_size)

    def _preprocess_frames(
        self, segments: Segments, present: Sequence[int]
    ) -> Iterator[Tensor]:
        for t in present:
            yield from preprocess(_get_frames(segments, t), self.preprocessing)

    def _embed_batch(self, batch: Tensor) -> Tensor:
        output = self.pretrained.model.get_image_features(pixel_values=batch)
        return pretrained.unwrap_features(output)


def load(
    source: str,
    modality: int,
    *,
    frames_per_segment: int = 1,
    compute: Compute = AUTO_COMPUTE,
    name: str = "",
) -> ClipEncoder:
    """Load a CLIPModel or SiglipModel.

    Args:
        source: Folder or Hub id.
        modality: VISUAL.
        frames_per_segment: Number of frames of a segment that are averaged.
        compute: Device and precision.
        name: Name of the encoder; by default `clip:` and the source.

    Raises:
        EncoderError: The modality is audio, or the model cannot be loaded.
    """
    if modality != VISUAL:
        raise EncoderError(
            "a CLIP encoder embeds frames and no audio",
            fix="name a clap: encoder for the audio",
        )
    model = pretrained.load(source, "clip", compute=compute)
    preprocessing = ImagePreprocessing.from_config(
        model.preprocessing, default_crop=model.model_type == "clip"
    )
    return ClipEncoder(
        name=name or f"clip:{source}",
        pretrained=model,
        preprocessing=preprocessing,
        frames_per_segment=frames_per_segment,
    )


def _get_frames(
    segments: Segments, t: int
) -> UInt8[np.ndarray, "frame height width channel"]:
    frames = segments.frames[t]
    if frames is None:
        raise ValueError(f"the mask of segment {t} is true, but it has no frames")
    return frames


def _parse_size(size: Any) -> int | tuple[int, int]:
    """Read the size of the shorter edge, or height and width."""
    if isinstance(size, int):
        return int(size)
    if isinstance(size, Mapping) and "shortest_edge" in size:
        return int(size["shortest_edge"])
    return _parse_sides(size)


def _parse_sides(size: Any) -> tuple[int, int]:
    if isinstance(size, Mapping):
        return int(size["height"]), int(size["width"])
    return int(size), int(size)

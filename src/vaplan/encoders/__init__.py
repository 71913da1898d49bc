"""Encoders embed the segments of a video, and text prompts, as vectors of one space.

To add an encoder, write a file beside these with a function
`load(source, modality, *, frames_per_segment, compute)`, and add a line to `ENCODERS`.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32
from torch import Tensor
from torch.nn import functional

from vaplan.arrays import MODALITIES
from vaplan.encoders import clap, clip, embedded, legacy
from vaplan.encoders.compute import CPU_FP32, Compute
from vaplan.errors import EncoderError, unknown
from vaplan.media import CENTRE, Cut, Media, Segments, stream

DEFAULT_RATE_HZ = 8_000  # without an encoder of audio: a low rate, which is fast


@runtime_checkable
class Encoder(Protocol):
    """A frozen encoder of one modality that embeds segments and text prompts."""

    @property
    def name(self) -> str:
        """The name by which it was loaded: `embedded`, `clip:…`, `clap:…`."""

    @property
    def modality(self) -> int:
        """AUDIO or VISUAL."""

    @property
    def dimension(self) -> int:
        """The dimension of a vector."""

    @property
    def rate_hz(self) -> int | None:
        """The sample rate that segments must have; None if it embeds no audio."""

    @property
    def frames_per_segment(self) -> int:
        """The number of frames that it embeds of a segment."""

    @property
    def logit_scale(self) -> float:
        """The factor of a cosine in the training of the model."""

    @property
    def provenance(self) -> dict[str, Any]:
        """All that an embedding depends on: weights, preprocessing, versions."""

    def embed(self, segments: Segments) -> Float32[np.ndarray, "time feature"]:
        """Embed each segment as a unit vector; zeros where the modality is missing."""

    def embed_text(
        self, prompts: Sequence[str]
    ) -> Float32[np.ndarray, "prompt feature"]:
        """Embed each prompt as a unit vector."""


@runtime_checkable
class Loader(Protocol):
    """A function that loads an encoder."""

    def __call__(
        self, source: str, modality: int, *, frames_per_segment: int, compute: Compute
    ) -> Encoder:
        """Load an encoder.

        Args:
            source: Part of the encoder's name after the colon; empty without one.
            modality: AUDIO or VISUAL.
            frames_per_segment: Number of frames of a segment that are averaged.
            compute: Device and precision.

        Raises:
            EncoderError: The encoder cannot be loaded.
        """


ENCODERS: Mapping[str, Loader] = {
    "clap": clap.load,
    "clip": clip.load,
    "embedded": embedded.load,
    "legacy": legacy.load,
}


def load(
    name: str,
    modality: int,
    *,
    frames_per_segment: int = 1,
    compute: Compute = CPU_FP32,
) -> Encoder:
    """Load an encoder by its name.

    Args:
        name: `embedded`, or `clip:` or `clap:` and a folder or a Hugging Face Hub id. The
            docstring of `vaplan.encoders.clap` lists the options that may follow.
        modality: AUDIO or VISUAL.
        frames_per_segment: Number of frames of a segment that are averaged; encoders of
            audio ignore it.
        compute: Device and precision; both are in the provenance. For the embedded encoders
            `auto` is the CPU and fp32.

    Raises:
        EncoderError: The kind of encoder is unknown, or the encoder cannot be loaded.
    """
    kind, _, source = name.partition(":")
    if kind not in ENCODERS:
        raise EncoderError(
            unknown("encoder", kind, ENCODERS),
            fix="write embedded, clip:FOLDER or clap:FOLDER",
        )
    load_kind = ENCODERS[kind]
    return load_kind(
        source, modality, frames_per_segment=frames_per_segment, compute=compute
    )


def store_name(name: str, modality: int) -> str:
    """Return the name of an encoder's features in a store, such as `audio:embedded`.

    Args:
        name: Name of the encoder; one name may load an encoder of each modality.
        modality: AUDIO or VISUAL.
    """
    return f"{MODALITIES[modality]}:{name}"


def embed_classes(
    encoder: Encoder, prompts: Sequence[Sequence[str]]
) -> Float[Tensor, "class feature"]:
    """Compute one unit vector for each class: the mean of its prompts' vectors.

    Args:
        encoder: Encoder of the prompts.
        prompts: Prompts of each class, at least one.
    """
    all_prompts = [prompt for group in prompts for prompt in group]
    group_sizes = [len(group) for group in prompts]
    vectors = torch.from_numpy(encoder.embed_text(all_prompts))
    groups = torch.split(vectors, group_sizes)
    means = [group.mean(dim=0) for group in groups]
    return functional.normalize(torch.stack(means), dim=-1)


@dataclass(frozen=True)
class EncodedVideo:
    """Features of one media file.

    Attributes:
        vectors: Vectors of the segments by each encoder; zeros where a modality is missing.
        mask: Whether a segment has the modality.
        warnings: Problems of the decoder.
    """

    vectors: tuple[Float32[np.ndarray, "time _"], ...]
    mask: Bool[np.ndarray, "time modality"]
    warnings: tuple[str, ...]


def encode(
    media: Media, encoders: Sequence[Encoder], *, sampling: str = CENTRE
) -> EncodedVideo:
    """Decode a media file once and encode it with every encoder.

    The file is decoded in chunks, so that the memory does not depend on its length.

    Args:
        media: Media file, or arrays in memory.
        encoders: Encoders of the segments.
        sampling: Name of the frame sampling.
    """
    chunks = decode(media, encoders, sampling=sampling)
    return encode_segments(chunks, encoders)


def decode(
    media: Media, encoders: Sequence[Encoder], *, sampling: str = CENTRE
) -> Iterator[Segments]:
    """Yield the segments of a media file in chunks, sampled as the encoders need them.

    Frames that no encoder needs are not decoded where this does not change other frames;
    damage in them is not reported.

    Args:
        media: Media file, or arrays in memory.
        encoders: Encoders of the segments.
        sampling: Name of the frame sampling.
    """
    cut = _make_cut(encoders, sampling)
    return stream(media, cut)


def encode_segments(
    chunks: Iterable[Segments], encoders: Sequence[Encoder]
) -> EncodedVideo:
    """Encode the segments of one video with every encoder.

    Args:
        chunks: All segments in order, in chunks of any length.
        encoders: Encoders of the segments.
    """
    masks = list[np.ndarray]()
    vectors = [list[np.ndarray]() for _ in encoders]
    warnings = list[str]()
    for chunk in chunks:
        masks.append(chunk.mask)
        warnings += chunk.warnings
        for encoder, encoder_vectors in zip(encoders, vectors, strict=True):
            encoder_vectors.append(_embed_chunk(encoder, chunk))
    return EncodedVideo(
        vectors=tuple(np.concatenate(chunk_vectors) for chunk_vectors in vectors),
        mask=np.concatenate(masks),
        warnings=tuple(warnings),
    )


def _embed_chunk(
    encoder: Encoder, chunk: Segments
) -> Float32[np.ndarray, "time feature"]:
    if chunk.mask[:, encoder.modality].any():
        return encoder.embed(chunk)
    return np.zeros((len(chunk), encoder.dimension), np.float32)


def _make_cut(encoders: Sequence[Encoder], sampling: str) -> Cut:
    rates = sorted({encoder.rate_hz for encoder in encoders if encoder.rate_hz})
    if len(rates) > 1:
        raise EncoderError(
            f"the encoders need audio at {rates} Hz", fix="choose encoders of one rate"
        )
    rate_hz = rates[0] if rates else DEFAULT_RATE_HZ
    frame_counts = [encoder.frames_per_segment for encoder in encoders]
    cut = Cut(rate_hz, max(frame_counts, default=1), sampling=sampling)
    return replace(cut, every_frame=False)

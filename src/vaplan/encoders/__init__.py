"""Encoders turn the segments of a video, and sentences, into vectors of one space.

To add one: a file with a `load(source, modality, *, frames_per_segment, compute)` beside these,
and a line in `ENCODERS`.
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
from vaplan.encoders.compute import PLAIN, Compute
from vaplan.errors import EncoderError, unknown
from vaplan.media import CENTRE, Media, Sampling, Segments, stream

UNHEARD_RATE_HZ = 8_000  # the cheapest usual rate, where no encoder listens


@runtime_checkable
class Encoder(Protocol):
    """A frozen encoder of one modality that embeds segments and text prompts."""

    @property
    def name(self) -> str:
        """The name it was loaded by: `embedded`, `clip:…`, `clap:…`."""

    @property
    def modality(self) -> int:
        """AUDIO or VISUAL."""

    @property
    def dimension(self) -> int:
        """How many numbers a vector has."""

    @property
    def rate_hz(self) -> int | None:
        """The sample rate its segments must have; None if it does not listen."""

    @property
    def frames_per_segment(self) -> int:
        """How many frames of a segment it looks at."""

    @property
    def logit_scale(self) -> float:
        """The factor the model was trained to multiply a cosine with."""

    @property
    def provenance(self) -> dict[str, Any]:
        """Everything an embedding depends on: weights, preprocessing, versions."""

    def embed(self, segments: Segments) -> Float32[np.ndarray, "time feature"]:
        """Embed each segment as a unit vector; zeros where the modality is missing."""

    def text(self, prompts: Sequence[str]) -> Float32[np.ndarray, "prompt feature"]:
        """One unit vector a sentence."""


@runtime_checkable
class Loader(Protocol):
    """A function that loads an encoder; `source` is the part of its name after the colon."""

    def __call__(
        self, source: str, modality: int, *, frames_per_segment: int, compute: Compute
    ) -> Encoder:
        """Load it, or raise EncoderError."""


ENCODERS: Mapping[str, Loader] = {
    "clap": clap.load,
    "clip": clip.load,
    "embedded": embedded.load,
    "legacy": legacy.load,
}


def load(
    name: str, modality: int, *, frames_per_segment: int = 1, compute: Compute = PLAIN
) -> Encoder:
    """The encoder of this name, for AUDIO or VISUAL.

    Args:
        name: `embedded`, or `clip:` or `clap:` and a folder or a Hugging Face id; what may follow
            it is in the file of that kind.
        frames_per_segment: How many frames of a segment are averaged; sound takes no notice.
        compute: Device and precision; they are in the provenance. The embedded encoders take
            `auto` as plain.
    """
    kind, _, source = name.partition(":")
    if kind not in ENCODERS:
        raise EncoderError(
            unknown("encoder", kind, ENCODERS),
            fix="say embedded, clip:FOLDER or clap:FOLDER",
        )
    return ENCODERS[kind](
        source, modality, frames_per_segment=frames_per_segment, compute=compute
    )


def store_name(name: str, modality: int) -> str:
    """An encoder's name with its modality, as one name may serve both: `audio:embedded`."""
    return f"{MODALITIES[modality]}:{name}"


def class_vectors(
    encoder: Encoder, prompts: Sequence[Sequence[str]]
) -> Float[Tensor, "class feature"]:
    """One unit vector a class: the mean of its prompts' vectors."""
    vectors = torch.from_numpy(
        encoder.text([prompt for group in prompts for prompt in group])
    )
    means = [
        group.mean(dim=0)
        for group in torch.split(vectors, [len(group) for group in prompts])
    ]
    return functional.normalize(torch.stack(means), dim=-1)


@dataclass(frozen=True)
class Encoded:
    """Features of one media file by several encoders; zeros where a modality is missing."""

    vectors: tuple[Float32[np.ndarray, "time _"], ...]
    mask: Bool[np.ndarray, "time modality"]
    warnings: tuple[str, ...]


def encode(
    media: Media, listeners: Sequence[Encoder], *, sampling: str = CENTRE
) -> Encoded:
    """Decode a media file once and encode it with all these encoders, chunk by chunk: any length
    in flat memory.

    Pictures that nobody asks for are left out where that changes no other; damage in them stays
    unknown.
    """
    return encode_segments(decode(media, listeners, sampling=sampling), listeners)


def decode(
    media: Media, listeners: Sequence[Encoder], *, sampling: str = CENTRE
) -> Iterator[Segments]:
    """Yield the segments of a media file in chunks, sampled as the encoders need them.

    Args:
        media: Media file, or arrays in memory.
        listeners: Encoders of the segments.
        sampling: Name of the frame sampling.
    """
    media_sampling = replace(_sampling(listeners, sampling), every_frame=False)
    return stream(media, media_sampling)


def encode_segments(
    chunks: Iterable[Segments], listeners: Sequence[Encoder]
) -> Encoded:
    """Encode the segments of one video with every encoder.

    Args:
        chunks: All segments in order, in chunks of any length.
        listeners: Encoders.
    """
    masks = list[np.ndarray]()
    rows = [list[np.ndarray]() for _ in listeners]
    warnings = list[str]()
    for chunk in chunks:
        masks.append(chunk.mask)
        warnings += chunk.warnings
        for encoder, vectors in zip(listeners, rows, strict=True):
            exists = chunk.mask[:, encoder.modality].any()
            vectors.append(
                encoder.embed(chunk)
                if exists
                else np.zeros((len(chunk), encoder.dimension), np.float32)
            )
    return Encoded(
        tuple(np.concatenate(vectors) for vectors in rows),
        np.concatenate(masks),
        tuple(warnings),
    )


def _sampling(listeners: Sequence[Encoder], sampling: str) -> Sampling:
    rates = sorted({encoder.rate_hz for encoder in listeners if encoder.rate_hz})
    if len(rates) > 1:
        raise EncoderError(
            f"the encoders want sound at {rates} Hz", fix="choose encoders of one rate"
        )
    frames = max((encoder.frames_per_segment for encoder in listeners), default=1)
    return Sampling(rates[0] if rates else UNHEARD_RATE_HZ, frames, rule=sampling)

"""Encoders: segments of a video, and text prompts, to vectors of one space.

To add an encoder, write a module with `load(source, modality, *, frames_per_segment, compute)`
and add a line to `ENCODERS`.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, Float32
from torch import Tensor
from torch.nn import functional

from vaplan.arrays import MODALITIES
from vaplan.encoders import clap, clip, embedded, legacy, own, remote
from vaplan.encoders.checkpoints import Checkpoint
from vaplan.encoders.compute import PLAIN, Compute
from vaplan.encoders.encoded import Encoded, join
from vaplan.encoders.remote import Model, RemoteEncoder
from vaplan.errors import EncoderError, unknown
from vaplan.media import CENTRE, Media, Sampling, Segments, stream
from vaplan.workers.read_ahead import read_ahead

DEFAULT_RATE_HZ = (
    8_000  # of the waveform if no encoder reads it; the cheapest usual rate
)
# Loading any model imports these, which takes seconds.
LATE_IMPORTS = (
    "transformers.modeling_utils",
    "transformers.models.clap.modeling_clap",
    "transformers.models.clip.modeling_clip",
)
Advance = Callable[[int, int], None]  # takes the segments that are done, and all


@runtime_checkable
class Encoder(Protocol):
    """A frozen encoder of one modality that embeds segments and text prompts."""

    @property
    def name(self) -> str:
        """Return the name it was loaded by: `embedded`, `clip:…`, `clap:…`."""

    @property
    def modality(self) -> int:
        """Return AUDIO or VISUAL."""

    @property
    def dimension(self) -> int:
        """Return the size of a vector."""

    @property
    def rate_hz(self) -> int | None:
        """Return the sample rate that it requires; None if it reads no audio."""

    @property
    def frames_per_segment(self) -> int:
        """Return the number of frames that it reads of a segment."""

    @property
    def logit_scale(self) -> float:
        """Return the factor of cosines in the model's training."""

    @property
    def provenance(self) -> dict[str, Any]:
        """Return the weights, preprocessing and versions that an embedding depends on."""

    def embed(self, segments: Segments) -> Float32[np.ndarray, "time feature"]:
        """Embed each segment as a unit vector; zeros where the modality is missing.

        Args:
            segments: Segments of one video.
        """

    def text(self, prompts: Sequence[str]) -> Float32[np.ndarray, "prompt feature"]:
        """Embed each prompt as a unit vector.

        Args:
            prompts: Sentences.
        """


@runtime_checkable
class Loader(Protocol):
    """A function that loads an encoder."""

    def __call__(
        self, source: str, modality: int, *, frames_per_segment: int, compute: Compute
    ) -> Encoder:
        """Load an encoder.

        Args:
            source: Part of the encoder's name after the colon.
            modality: AUDIO or VISUAL.
            frames_per_segment: Number of frames of a segment whose vectors are averaged.
            compute: Device and precision.

        Raises:
            EncoderError: The encoder cannot be loaded.
        """


ENCODERS: Mapping[str, Loader] = {
    "clap": clap.load,
    "clip": clip.load,
    "embedded": embedded.load,
    "legacy": legacy.load,
    "own": own.load,
}


def load(
    name: str, modality: int, *, frames_per_segment: int = 1, compute: Compute = PLAIN
) -> Encoder:
    """Load an encoder by its name.

    In a worker of a job with encoder processes, the encoder is loaded in those.

    Args:
        name: `embedded`, or `clip:` or `clap:` with a folder or a Hugging Face id.
        modality: AUDIO or VISUAL.
        frames_per_segment: Number of frames of a segment whose vectors are averaged; audio
            encoders ignore it.
        compute: Device and precision, which are recorded in the provenance. For the embedded
            encoders, `auto` is the CPU and fp32.

    Raises:
        EncoderError: The encoder is unknown or cannot be loaded.
    """
    kind, _, source = name.partition(":")
    if kind not in ENCODERS:
        raise EncoderError(
            unknown("encoder", kind, ENCODERS),
            fix="use embedded, clip:FOLDER or clap:FOLDER",
        )
    if kind == "embedded":
        compute = compute.with_defaults(PLAIN)
    if encoder := remote.load(Model(name, modality, frames_per_segment, compute)):
        return encoder
    return ENCODERS[kind](
        source, modality, frames_per_segment=frames_per_segment, compute=compute
    )


def store_name(name: str, modality: int) -> str:
    """Return the name of an encoder's features in a store.

    >>> store_name("embedded", 0)
    'audio:embedded'
    """
    return f"{MODALITIES[modality]}:{name}"


def unit_features(
    encoder: Encoder, features: Float[Tensor, "*cells feature"]
) -> Float[Tensor, "*cells feature"]:
    """Return features as unit vectors, which they are except a user's own vectors.

    Args:
        encoder: Encoder of the features.
        features: Vectors of segments; zeros stay zeros.
    """
    if isinstance(encoder, own.OwnVectors):
        return functional.normalize(features, dim=-1)
    return features


def class_vectors(
    encoder: Encoder, prompts: Sequence[Sequence[str]]
) -> Float[Tensor, "class feature"]:
    """Average the vectors of each class's prompts to one unit vector.

    Args:
        encoder: Encoder of the prompts.
        prompts: Prompts of each class.
    """
    texts = [prompt for group in prompts for prompt in group]
    vectors = torch.from_numpy(encoder.text(texts))
    groups = torch.split(vectors, [len(group) for group in prompts])
    means = [group.mean(dim=0) for group in groups]
    return functional.normalize(torch.stack(means), dim=-1)


def encode(
    media: Media,
    models: Sequence[Encoder],
    *,
    sampling: str = CENTRE,
    checkpoint: Checkpoint | None = None,
    advance: Advance | None = None,
) -> Encoded:
    """Decode a media file once and encode it with several encoders.

    It is decoded in chunks, so that memory does not grow with its length.

    Args:
        media: Media file, or arrays in memory.
        models: Encoders of the segments.
        sampling: Rule of the sampling times of frames.
        checkpoint: Keeps the features of a long file on disk, and has those of an earlier
            call that was interrupted.
        advance: Called after every chunk.

    Raises:
        MediaError: The file cannot be decoded.
        MachineError: The checkpoint cannot be written.
    """
    chunks = decode(media, models, sampling=sampling)
    if any(isinstance(encoder, RemoteEncoder) for encoder in models):
        chunks = read_ahead(chunk for chunk in chunks)
    return encode_segments(chunks, models, checkpoint=checkpoint, advance=advance)


def decode(
    media: Media, models: Sequence[Encoder], *, sampling: str = CENTRE
) -> Iterator[Segments]:
    """Yield the segments of a media file in chunks, sampled as the encoders require.

    Frames that are not sampled are skipped if no other frame refers to them; damage in them
    stays unknown.

    Args:
        media: Media file, or arrays in memory.
        models: Encoders of the segments.
        sampling: Rule of the sampling times of frames.
    """
    media_sampling = replace(_sampling(models, sampling), every_frame=False)
    return stream(media, media_sampling)


def encode_segments(
    chunks: Iterable[Segments],
    models: Sequence[Encoder],
    *,
    checkpoint: Checkpoint | None = None,
    advance: Advance | None = None,
) -> Encoded:
    """Encode the segments of one video with every encoder.

    Args:
        chunks: All segments in order, in chunks of any length; with a checkpoint, of the
            lengths of the call that wrote it.
        models: Encoders.
        checkpoint: Features of an earlier call; its segments are not encoded again.
        advance: Called after every chunk.
    """
    parts = checkpoint.read() if checkpoint else []
    already = sum(map(len, parts))
    warnings = list[str]()

    for chunk in chunks:
        warnings += chunk.warnings
        end = chunk.first + len(chunk)
        is_new = end > already
        if is_new:
            parts.append(encode_chunk(chunk, models))
        if advance:
            declared = (chunk.seconds.declared or 0.0) / chunk.segment_seconds
            advance(end, max(end, math.ceil(declared)))
        if is_new and checkpoint:
            checkpoint.add(parts[-1])
    return replace(join(parts), warnings=tuple(warnings))


def encode_chunk(chunk: Segments, models: Sequence[Encoder]) -> Encoded:
    """Encode consecutive segments with every encoder.

    Args:
        chunk: Segments of one file.
        models: Encoders.
    """
    rows = [_start(encoder, chunk) for encoder in models]
    return Encoded(tuple(wait() for wait in rows), chunk.mask)


def _start(encoder: Encoder, chunk: Segments) -> Callable[[], np.ndarray]:
    """Return a function that embeds segments, or waits for another process to do so."""
    if not chunk.mask[:, encoder.modality].any():
        return partial(np.zeros, (len(chunk), encoder.dimension), np.float32)
    if isinstance(encoder, RemoteEncoder):
        return encoder.start(chunk)
    return partial(encoder.embed, chunk)


def _sampling(models: Sequence[Encoder], sampling: str) -> Sampling:
    rates = sorted({encoder.rate_hz for encoder in models if encoder.rate_hz})
    if len(rates) > 1:
        raise EncoderError(
            f"the encoders require audio at {rates} Hz",
            fix="choose encoders of one rate",
        )

    frames = max((encoder.frames_per_segment for encoder in models), default=1)
    return Sampling(rates[0] if rates else DEFAULT_RATE_HZ, frames, rule=sampling)

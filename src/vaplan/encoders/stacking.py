"""Batches of the segments of several videos, for encoders on a GPU."""

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeGuard, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, Float32
from torch import Tensor
from torch.nn import functional

from vaplan.encoders.compute import Compute
from vaplan.media import Segments

LARGEST_BATCH = 256  # rows
SMALLEST_BATCH = 16  # rows; smaller batches are as slow on a GPU
Rows = Float32[np.ndarray, "time feature"]


@runtime_checkable
class Stackable(Protocol):
    """An encoder whose inputs of several videos may share a batch.

    `embed` equals `combine(segments, encode(inputs(segments)))` up to rounding. An encoder
    for which this does not hold has no such methods, or `is_stackable` is false.
    """

    def inputs(self, segments: Segments) -> Float[Tensor, "row *_"]:
        """Preprocess the segments that have the modality; there is at least one.

        Args:
            segments: Segments of one video.
        """

    def encode(self, batch: Float[Tensor, "row *_"]) -> Float[Tensor, "row feature"]:
        """Encode rows of inputs on the device.

        Args:
            batch: Rows.
        """

    def combine(
        self, segments: Segments, vectors: Float32[np.ndarray, "row feature"]
    ) -> Rows:
        """Turn unit vectors of the inputs into those of the segments, as `embed` does.

        Args:
            segments: Segments of one video.
            vectors: Vector of each row of their inputs.
        """


def is_stackable(encoder: object) -> TypeGuard[Stackable]:
    """Return whether inputs of several videos may share a batch of an encoder.

    Args:
        encoder: Encoder.
    """
    return isinstance(encoder, Stackable) and getattr(encoder, "is_stackable", True)


@dataclass
class Stacker:
    """Encodes the segments of several videos together.

    Batches are filled up to a power of two, so that there are few shapes. When the memory of
    the device is not enough for a batch, its size is halved for good.

    Attributes:
        encoder: Encoder.
        compute: Device of the encoder.
        largest_batch: Number of rows of a full batch.
    """

    encoder: Stackable
    compute: Compute
    largest_batch: int = LARGEST_BATCH

    def launch(self, videos: Sequence[Segments]) -> Callable[[], list[Rows]]:
        """Start to embed segments; the returned function waits for their vectors.

        On a CUDA GPU the work of an earlier call may still go on meanwhile.

        Args:
            videos: Segments of one video each, with the modality in at least one.
        """
        inputs = list[Tensor]()
        for segments in videos:
            with self.compute.side_stream():
                inputs.append(self.encoder.inputs(segments))
            self.compute.join_side_stream(inputs[-1])
        downloads = [
            self.compute.start_download(output)
            for output in self._encode(torch.cat(inputs))
        ]
        counts = [len(rows) for rows in inputs]

        def wait() -> list[Rows]:
            vectors = torch.cat([download() for download in downloads])
            units = functional.normalize(vectors, dim=1)
            parts = torch.split(units, counts)
            return [
                self.encoder.combine(segments, part.numpy())
                for segments, part in zip(videos, parts, strict=True)
            ]

        return wait

    def _encode(self, rows: Tensor) -> Iterator[Tensor]:
        """Yield the vectors of rows, batch by batch."""
        first = 0
        while first < len(rows):
            batch = rows[first : first + self.largest_batch]
            size = padded_size(len(batch), self.largest_batch)
            padding = batch[-1:].expand(size - len(batch), *batch.shape[1:])
            try:
                output = self.encoder.encode(torch.cat([batch, padding]))
            except RuntimeError as error:
                if "out of memory" not in str(error) or size == 1:
                    raise
            else:
                yield output[: len(batch)]
                first += len(batch)
                continue
            self._halve(size)

    def _halve(self, size: int) -> None:
        self.largest_batch = size // 2
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        sys.stderr.write(
            f"warning: a batch of {size} rows exceeds the memory of {self.compute.device}; "
            f"from now on a batch has at most {self.largest_batch}\n"
        )


def padded_size(rows: int, largest: int) -> int:
    """Return the size of a batch: a power of two, from `SMALLEST_BATCH` on.

    >>> padded_size(3, 256), padded_size(33, 256), padded_size(3, 8)
    (16, 64, 8)

    Args:
        rows: Number of rows to encode.
        largest: Number of rows of a full batch.
    """
    power = 1 << (rows - 1).bit_length()
    return min(max(power, SMALLEST_BATCH), largest)

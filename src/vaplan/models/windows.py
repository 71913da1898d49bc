"""Videos longer than a network's window: cut into windows, then pooled as a whole.

Segments attend to the segments of their window, so that the cost is linear in the length
of a video. MIL pooling reads all segments of the video: a tag of a long video says nothing
about one window. A batch of videos that are no longer than a window has no windows, and
the network computes exactly what it was published to compute.

A network supports windows by two methods, of which `forward` is the composition:
`parse_segments(inputs)` returns a frozen dataclass of tensors "row time …", and
`pool_segments` turns that dataclass into a `Prediction`. Between the two, the windows of
each video are joined. For a network that has `forward` only, the probabilities of the
modalities and of the video are the maximum over its windows.
"""

from dataclasses import dataclass, fields, replace
from typing import Any, Protocol, TypeVar, runtime_checkable

import numpy as np
import torch
from jaxtyping import Bool, Int
from torch import Tensor, nn

from vaplan.arrays import Inputs, Prediction, WindowProbabilities
from vaplan.ragged import Index, Lengths, Ragged, Spans, map_fields

WINDOW = 10  # segments, the length of the videos of LLP and AVE

T = TypeVar("T")


@runtime_checkable
class PoolsSegments(Protocol):
    """A network whose pooling over time is a step of its own."""

    def parse_segments(self, inputs: Inputs, **options: Any) -> Any:
        """Compute outputs of every segment, a frozen dataclass of tensors "row time …"."""

    def pool_segments(self, outputs: Any) -> Prediction:
        """Pool the outputs of all segments of each video."""


@dataclass(frozen=True, eq=False)
class Windows:
    """Where the windows of a batch lie in its videos.

    Attributes:
        video: Index of the video of each window.
        start: First segment of each window in its video.
        count: Number of segments of each window.
        videos: Number of videos.
        time: Number of segments of the longest video.
    """

    video: Int[Tensor, " window"]
    start: Int[Tensor, " window"]
    count: Int[Tensor, " window"]
    videos: int
    time: int

    def join(self, values: Tensor) -> Tensor:
        """Put "window time …" back as "video time …", averaged where windows overlap.

        Args:
            values: Numbers, or Booleans, which are true where any window is true.
        """
        steps = torch.arange(values.shape[1], device=values.device)
        exists = steps < self.count[:, None]
        first = self.video * self.time + self.start
        position = (first[:, None] + steps)[exists]
        numbers = values.float() if values.dtype == torch.bool else values
        shape = (self.videos * self.time, *values.shape[2:])
        total = numbers.new_zeros(shape).index_add(0, position, numbers[exists])
        joined = total.view(self.videos, self.time, *shape[1:])
        if values.dtype == torch.bool:
            return joined.bool()
        windows = torch.bincount(position, minlength=shape[0]).clamp(min=1)
        windows = windows.view(self.videos, self.time, *[1] * (joined.ndim - 2))
        mean: Tensor = joined / windows.to(joined.dtype)
        return mean

    def highest(self, values: Tensor) -> Tensor:
        """Return the maximum over the windows of each video, of "window …"."""
        lowest = torch.finfo(values.dtype).min
        shape = (self.videos, *values.shape[1:])
        maximum = values.new_full(shape, lowest)
        further_axes = [1] * (values.ndim - 1)
        index = self.video.view(-1, *further_axes).expand_as(values)
        return maximum.scatter_reduce(0, index, values, "amax")


@dataclass(frozen=True, eq=False)
class Batch:
    """Videos for a network: padded, or cut into windows.

    Attributes:
        inputs: Features; a row is a video, or a window if there are `windows`.
        mask: Segments of the videos that exist, "video time modality".
        windows: Where the windows lie; None if no video is longer than a window.
    """

    inputs: Inputs
    mask: Bool[Tensor, "video time modality"]
    windows: Windows | None = None

    def __len__(self) -> int:
        return len(self.mask)

    def to(self, device: torch.device) -> "Batch":
        """Copy to a device."""

        def move(tensor: Tensor) -> Tensor:
            return tensor.to(device)

        windows = self.windows and replace(
            self.windows,
            video=move(self.windows.video),
            start=move(self.windows.start),
            count=move(self.windows.count),
        )
        return Batch(self.inputs.map(move), move(self.mask), windows)


def predict_batch(model: nn.Module, batch: Batch, **options: Any) -> Prediction:
    """Apply a network to a batch.

    Args:
        model: Network.
        batch: Videos.
        options: Keyword arguments of the network.
    """
    windows = batch.windows
    if windows is None:
        prediction: Prediction = model(batch.inputs, **options)
        return prediction

    if isinstance(model, PoolsSegments):
        outputs = model.parse_segments(batch.inputs, **options)
        return model.pool_segments(_join(outputs, windows))
    return _join_prediction(model(batch.inputs, **options), batch, windows)


def predict_with_windows(model: nn.Module, batch: Batch) -> Prediction:
    """Apply a network to a batch, and add the probabilities of the windows.

    The window of a segment of a short video is the video. Where windows overlap, their
    probabilities are averaged.

    Args:
        model: Network.
        batch: Videos.
    """
    windows = batch.windows
    if windows is None:
        prediction: Prediction = model(batch.inputs)
        modality = _repeat(prediction.modality, prediction.mask)
        video = _repeat(prediction.video, prediction.mask)
        return replace(prediction, window=WindowProbabilities(modality, video))

    if isinstance(model, PoolsSegments):
        outputs = model.parse_segments(batch.inputs)
        prediction = model.pool_segments(_join(outputs, windows))
        of_windows = model.pool_segments(outputs)
    else:
        of_windows = model(batch.inputs)
        prediction = _join_prediction(of_windows, batch, windows)

    modality = windows.join(_repeat(of_windows.modality, of_windows.mask))
    video = windows.join(_repeat(of_windows.video, of_windows.mask))
    return replace(prediction, window=WindowProbabilities(modality, video))


def _repeat(per_row: Tensor, mask: Bool[Tensor, "row time modality"]) -> Tensor:
    """Repeat the value of each row over time."""
    rows, time = mask.shape[:2]
    return per_row[:, None].expand(rows, time, *per_row.shape[1:])


def _join_prediction(
    prediction: Prediction, batch: Batch, windows: Windows
) -> Prediction:
    """Join the prediction of a network that pools each window by itself."""
    return Prediction(
        segment=windows.join(prediction.segment),
        modality=windows.highest(prediction.modality),
        video=windows.highest(prediction.video),
        mask=batch.mask,
        logit=None if prediction.logit is None else windows.join(prediction.logit),
        vectors=prediction.vectors,
    )


def _join(outputs: Any, windows: Windows) -> Any:
    """Join the windows of every field but the vectors, which stay in their windows."""
    changes = {}
    for field in fields(outputs):
        value = getattr(outputs, field.name)
        if isinstance(value, Tensor):
            changes[field.name] = windows.join(value)
    return replace(outputs, **changes)


def make_batch(
    inputs: Ragged[Inputs],
    videos: Index,
    *,
    window: int = WINDOW,
    overlap: bool = False,
    time: int | None = None,
) -> Batch:
    """Take videos out of a collection and cut those that are longer than a window.

    Args:
        inputs: Features of the collection.
        videos: Videos of the batch.
        window: Number of segments of a window.
        overlap: Let windows overlap by half, else cut them one after the other.
        time: Length to pad the videos to; by default that of the longest.
    """
    spans = inputs.lengths.spans(videos)
    time = spans.longest if time is None else time
    if time <= window:
        batch = inputs.batch(videos, time=time)
        return Batch(batch, batch.mask)
    starts = half_overlapping if overlap else one_after_another
    starts_of = [starts(count, window) for count in spans.counts.tolist()]
    video = np.repeat(np.arange(len(starts_of)), [len(each) for each in starts_of])
    start = np.array([one for each in starts_of for one in each], dtype=np.int64)
    count = np.minimum(spans.counts[video] - start, window)
    cut = Spans(spans.starts[video] + start, count)
    rows = map_fields(inputs.values, lambda tensor: cut.pad(tensor, time=window))
    mask = spans.pad(inputs.values.mask, time=time)
    windows = Windows(
        video=torch.from_numpy(video),
        start=torch.from_numpy(start),
        count=torch.from_numpy(count),
        videos=len(starts_of),
        time=time,
    )
    return Batch(rows, mask, windows)


def one_after_another(length: int, window: int) -> list[int]:
    """Return the starts of windows without overlap; the last one may be shorter.

    Args:
        length: Number of segments of the video.
        window: Number of segments of a window.

    >>> one_after_another(12, 5)
    [0, 5, 10]
    """
    return [*range(0, max(length, 1), window)]


def half_overlapping(length: int, window: int) -> list[int]:
    """Return the starts of half-overlapping windows; the last one ends with the video.

    Args:
        length: Number of segments of the video.
        window: Number of segments of a window.

    >>> half_overlapping(12, 5)
    [0, 2, 4, 6, 7]
    >>> half_overlapping(3, 5)
    [0]
    """
    last = max(0, length - window)
    return [*range(0, last, max(1, window // 2)), last]


@dataclass(frozen=True, eq=False)
class WindowSample:
    """Random windows of the videos of a batch.

    Attributes:
        spans: Positions of the windows in the flat arrays, video by video.
        lengths: Number of drawn segments of each video.
    """

    spans: Spans
    lengths: Lengths

    def take(self, collection: Ragged[T], videos: Index) -> Ragged[T]:
        """Return the drawn segments of the videos of the batch as a collection.

        Args:
            collection: Values of all videos.
            videos: Videos of the batch.
        """
        positions = self.spans.positions()
        values = map_fields(
            collection.values,
            lambda array: array[positions],
            lambda array: array[videos],
        )
        return Ragged(values, self.lengths)


def _draw_pieces(
    segments: int, window: int, number: int, random: torch.Generator
) -> list[int]:
    """Draw windows from those that divide a video; return their first segments."""
    pieces = one_after_another(segments, window)
    order = torch.randperm(len(pieces), generator=random)
    drawn = order[:number].sort().values
    return [pieces[index] for index in drawn.tolist()]


def draw_windows(
    lengths: Lengths,
    videos: Index,
    *,
    window: int,
    limit: int,
    random: torch.Generator,
) -> WindowSample | None:
    """Draw windows from the videos of a batch that are longer than a limit.

    Shorter videos are taken as a whole.

    Args:
        lengths: Number of segments of each video of the collection.
        videos: Videos of the batch.
        window: Number of segments of a window.
        limit: Largest number of segments of a video in a batch.
        random: Draws the windows.

    Returns:
        The windows; None if no video is longer than the limit.
    """
    if lengths.longest <= limit:
        return None
    spans = lengths.spans(videos)
    if spans.longest <= limit:
        return None

    starts = list[int]()
    counts = list[int]()
    totals = list[int]()
    for first, count in zip(spans.starts.tolist(), spans.counts.tolist(), strict=True):
        pieces = [0]
        size = count
        if count > limit:
            size = window
            number = max(1, limit // window)
            pieces = _draw_pieces(count, window, number, random)
        sizes = [min(size, count - piece) for piece in pieces]
        starts += [first + piece for piece in pieces]
        counts += sizes
        totals.append(sum(sizes))

    return WindowSample(Spans(np.array(starts), np.array(counts)), Lengths.of(totals))

"""Collections of videos of unequal length: the segments of all videos end to end.

A collection is stored flat, so that its size is the sum of the lengths. It is padded only
in groups of videos of similar length, and only while a function works on the group. A
collection of equal lengths is one group, and its padded form is a view of the flat one.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields, is_dataclass, replace
from functools import cached_property
from operator import itemgetter
from typing import Any, Generic, TypeVar

import numpy as np
from jaxtyping import Bool, Int

MAX_GROUP_SEGMENTS = 12_800  # of a padded group of videos
MAX_PADDING = 1.25  # ratio of the longest and the shortest video of a group

T = TypeVar("T")
S = TypeVar("S")
Index = Any  # a slice, or a mask or indices of videos, as an array or a tensor


@dataclass(frozen=True, eq=False)
class Spans:
    """Spans of segments in flat arrays, one a row: of videos, or of their windows.

    Attributes:
        starts: Position of the first segment of each row.
        counts: Number of segments of each row.
    """

    starts: Int[np.ndarray, " row"]
    counts: Int[np.ndarray, " row"]

    @cached_property
    def longest(self) -> int:
        """The largest number of segments of a row."""
        return int(self.counts.max(initial=0))

    def exists(self, time: int) -> Bool[np.ndarray, "row time"]:
        """Mark the cells of a padded array that are segments.

        Args:
            time: Number of columns.
        """
        exists: Bool[np.ndarray, "row time"] = np.arange(time) < self.counts[:, None]
        return exists

    def positions(self) -> Int[np.ndarray, " segment"]:
        """Return the positions of the segments of all rows, end to end."""
        shift = self.starts - (np.cumsum(self.counts) - self.counts)
        positions: Int[np.ndarray, " segment"] = np.arange(self.counts.sum())
        positions += np.repeat(shift, self.counts)
        return positions

    def pad(self, values: Any, *, time: int | None = None) -> Any:
        """Take the spans out of a flat array and pad them with zeros.

        Args:
            values: Array or tensor "segment …".
            time: Length to pad to; by default that of the longest row.

        Returns:
            Array or tensor "row time …".
        """
        time = self.longest if time is None else time
        shape = (len(self.counts), time, *values.shape[1:])
        padded = _zeros(values, shape)
        padded[self.exists(time)] = values[self.positions()]
        return padded


@dataclass(frozen=True, eq=False)
class Lengths:
    """Number of segments of each video of a collection.

    Attributes:
        counts: Number of segments of each video.

    >>> lengths = Lengths.of([2, 3])
    >>> lengths.pad(np.array([1, 2, 3, 4, 5]))
    array([[1, 2, 0],
           [3, 4, 5]])
    """

    counts: Int[np.ndarray, " video"]

    @classmethod
    def of(cls, counts: Sequence[int]) -> "Lengths":
        """Make lengths from numbers of segments."""
        return cls(np.asarray(counts, dtype=np.int64).reshape(-1))

    @classmethod
    def equal(cls, videos: int, segments: int) -> "Lengths":
        """Make the lengths of videos with the same number of segments.

        Args:
            videos: Number of videos.
            segments: Number of segments of each video.
        """
        return cls(np.full(videos, segments, dtype=np.int64))

    def __len__(self) -> int:
        return len(self.counts)

    def __getitem__(self, index: Index) -> "Lengths":
        return Lengths(self.counts[_as_index(index)])

    @cached_property
    def starts(self) -> Int[np.ndarray, " video"]:
        """Position of the first segment of each video in the flat arrays."""
        starts: Int[np.ndarray, " video"] = np.cumsum(self.counts) - self.counts
        return starts

    @cached_property
    def total(self) -> int:
        """Number of segments of all videos."""
        return int(self.counts.sum())

    @cached_property
    def longest(self) -> int:
        """Number of segments of the longest video."""
        return int(self.counts.max(initial=0))

    @cached_property
    def are_equal(self) -> bool:
        """Whether all videos have the same number of segments."""
        return bool((self.counts == self.longest).all())

    def spans(self, index: Index = slice(None)) -> Spans:
        """Return the spans of some videos."""
        index = _as_index(index)
        return Spans(self.starts[index], self.counts[index])

    def pad(
        self, values: Any, index: Index = slice(None), *, time: int | None = None
    ) -> Any:
        """Take some videos out of a flat array and pad them with zeros.

        Args:
            values: Array or tensor "segment …".
            index: Videos to take.
            time: Length to pad to; by default that of the longest of these videos.

        Returns:
            Array or tensor "video time …"; a view if all lengths are equal.
        """
        if self.are_equal and time in (None, self.longest):
            grid = values.reshape(len(self), self.longest, *values.shape[1:])
            return grid[index]
        return self.spans(index).pad(values, time=time)

    def flatten(self, padded: Any) -> Any:
        """Remove the padding of "video time …"; the opposite of `pad`.

        Args:
            padded: Array or tensor of all videos.
        """
        if self.are_equal and padded.shape[1] == self.longest:
            return padded.reshape(self.total, *padded.shape[2:])
        spans = self.spans()
        return padded[spans.exists(padded.shape[1])]

    def repeat(self, per_video: Any) -> Any:
        """Repeat the value of each video for each of its segments."""
        video = np.repeat(np.arange(len(self)), self.counts)
        return per_video[video]

    def per_video(self, function: Callable[[Index], Any]) -> Any:
        """Compute one value a video from padded groups of videos.

        Args:
            function: Returns the values of the videos with the given indices.
        """
        groups = self.groups()
        values = _cat([function(group) for group in groups])
        if self.are_equal:
            return values
        return values[np.concatenate(groups).argsort()]

    def groups(self, *, videos: int | None = None) -> list[Index]:
        """Divide the videos into groups of similar length, to be padded one at a time.

        Videos of equal length are one group, in their order.

        Args:
            videos: Largest number of videos of a group; by default any number.
        """
        if self.are_equal:
            size = videos or max(len(self), 1)
            if size >= len(self):
                return [slice(None)]
            return [slice(a, a + size) for a in range(0, len(self), size)]

        order = self.counts.argsort(kind="stable")
        groups = list[Index]()
        first = 0
        for last in range(1, len(order) + 1):
            if last == len(order) or self._is_full(order[first : last + 1], videos):
                groups.append(order[first:last])
                first = last
        return groups

    def _is_full(self, group: Int[np.ndarray, " member"], videos: int | None) -> bool:
        """Return whether a group in ascending order is too large to be padded."""
        shortest, longest = self.counts[group[0]], self.counts[group[-1]]
        return bool(
            longest > max(MAX_PADDING * shortest, shortest + 1)
            or longest * len(group) > MAX_GROUP_SEGMENTS
            or len(group) > (videos or len(self))
        )


@dataclass(frozen=True, eq=False)
class Ragged(Generic[T]):
    """Values of videos of unequal length, end to end.

    Attributes:
        values: An array, a tensor, or a dataclass of them such as `Inputs`. The first axis
            is "segment"; that of the fields in `PER_VIDEO` of a dataclass is "video".
        lengths: Number of segments of each video.
    """

    values: T
    lengths: Lengths

    @classmethod
    def of(cls, padded: T) -> "Ragged[T]":
        """Make a collection of videos of equal length, without copying.

        Args:
            padded: Values "video time …".
        """
        videos, time = _first_array(padded).shape[:2]
        lengths = Lengths.equal(videos, time)
        return cls(map_fields(padded, lengths.flatten), lengths)

    @classmethod
    def cat(cls, parts: Sequence["Ragged[T]"]) -> "Ragged[T]":
        """Join collections, in this order."""
        if len(parts) == 1:
            return parts[0]
        counts = np.concatenate([part.lengths.counts for part in parts])
        values = _combine([part.values for part in parts], _cat, _cat)
        return cls(values, Lengths(counts))

    @classmethod
    def from_groups(
        cls,
        lengths: Lengths,
        function: Callable[[Index], T],
        *,
        videos: int | None = None,
        workers: int = 1,
    ) -> "Ragged[T]":
        """Compute values of all videos in padded groups.

        Args:
            lengths: Number of segments of each video.
            function: Returns the padded values of the videos with the given indices.
            videos: Largest number of videos of a group; by default any number.
            workers: Number of threads that compute one group each at a time.
        """

        def compute(group: Index) -> Ragged[T]:
            part = lengths[group]
            return cls(map_fields(function(group), part.flatten), part)

        groups = lengths.groups(videos=videos)
        workers = min(workers, len(groups))
        if workers > 1:
            with ThreadPoolExecutor(workers) as pool:
                parts = list(pool.map(compute, groups))
        else:
            parts = [compute(group) for group in groups]
        if lengths.are_equal:
            return cls.cat(parts)
        return cls.cat(parts)[np.concatenate(groups).argsort()]

    def __len__(self) -> int:
        return len(self.lengths)

    def __getitem__(self, index: Index) -> "Ragged[T]":
        """Select videos, in the order of the index."""
        lengths = self.lengths[index]
        if self.lengths.are_equal:
            padded = self.batch(index)
            return Ragged(map_fields(padded, lengths.flatten), lengths)
        segments = self.lengths.spans(index).positions()
        values = map_fields(
            self.values,
            lambda array: array[segments],
            lambda array: array[_as_index(index)],
        )
        return Ragged(values, lengths)

    def batch(self, index: Index = slice(None), *, time: int | None = None) -> T:
        """Return the values of some videos as "video time …", padded with zeros.

        Args:
            index: Videos to take; all by default.
            time: Length to pad to; by default that of the longest of these videos.
        """
        return map_fields(
            self.values,
            lambda array: self.lengths.pad(array, index, time=time),
            lambda array: array[index],
        )

    def rows(self) -> T:
        """Return the values as "row time …", for functions that read each segment alone.

        A row is a video if all lengths are equal, else one segment. Nothing is padded.
        """
        if self.lengths.are_equal:
            return self.batch()
        return map_fields(
            self.values, lambda array: array[:, None], self.lengths.repeat
        )

    def rows_of(self, per_video: Any) -> Any:
        """Arrange one value a video by the rows of `rows`."""
        return per_video if self.lengths.are_equal else self.lengths.repeat(per_video)

    def from_rows(self, rows: S) -> "Ragged[S]":
        """Return results "row time …" of a function of `rows` as a collection."""
        values = map_fields(rows, lambda array: array.reshape(-1, *array.shape[2:]))
        return Ragged(values, self.lengths)

    def per_video(self, function: Callable[[T], Any]) -> Any:
        """Compute one value a video from padded groups of videos.

        Args:
            function: Function of values "video time …" that returns values "video …".
        """
        return self.lengths.per_video(lambda videos: function(self.batch(videos)))

    def map_values(self, function: Callable[[T], S]) -> "Ragged[S]":
        """Apply a function to the flat values, for example to take a field of them.

        Args:
            function: Function of values "segment …" that returns such values.
        """
        return Ragged(function(self.values), self.lengths)

    def to(self, device: Any) -> "Ragged[T]":
        """Copy tensors to a device."""

        def move(tensor: Any) -> Any:
            return tensor.to(device)

        return Ragged(map_fields(self.values, move, move), self.lengths)

    def numpy(self) -> "Ragged[Any]":
        """Return tensors on the CPU as arrays, without copying."""
        values = map_fields(self.values, _as_array, _as_array)
        return Ragged(values, self.lengths)

    def by_video(self) -> Iterator[T]:
        """Yield the values "time …" of each video; for arrays and tensors."""
        ends = self.lengths.starts + self.lengths.counts
        for start, end in zip(self.lengths.starts.tolist(), ends.tolist(), strict=True):
            yield map_fields(self.values, itemgetter(slice(start, end)))


def as_ragged(values: T | Ragged[T]) -> Ragged[T]:
    """Return a collection as it is, and padded values as a collection of equal lengths.

    Args:
        values: A collection, or values "video time …".
    """
    return values if isinstance(values, Ragged) else Ragged.of(values)


def map_fields(
    values: T,
    per_segment: Callable[[Any], Any],
    per_video: Callable[[Any], Any] = lambda array: array,
) -> T:
    """Apply functions to the arrays of a container.

    Args:
        values: An array, a tensor, or a dataclass of them.
        per_segment: Function of each array over segments.
        per_video: Function of each array over videos.
    """
    mapped: T = _combine(
        [values],
        lambda arrays: per_segment(arrays[0]),
        lambda arrays: per_video(arrays[0]),
    )
    return mapped


def _combine(
    values: Sequence[Any],
    per_segment: Callable[[Sequence[Any]], Any],
    per_video: Callable[[Sequence[Any]], Any],
) -> Any:
    """Combine the arrays of containers of one kind, field by field."""
    first = values[0]
    if any(value is None for value in values):
        return None
    if isinstance(first, tuple):
        items = zip(*values, strict=True)
        return tuple(_combine(item, per_segment, per_video) for item in items)
    if not is_dataclass(first) or isinstance(first, type):
        return per_segment(values)
    changes = {}
    for field in fields(first):
        is_per_video = field.name in getattr(first, "PER_VIDEO", ())
        changes[field.name] = _combine(
            [getattr(value, field.name) for value in values],
            per_video if is_per_video else per_segment,
            per_video,
        )
    return replace(first, **changes)


def _first_array(values: Any) -> Any:
    """Return the first array over segments of a container."""
    if isinstance(values, tuple):
        return _first_array(values[0])
    if is_dataclass(values):
        per_video = getattr(values, "PER_VIDEO", ())
        names = (field.name for field in fields(values))
        return _first_array(
            getattr(values, next(name for name in names if name not in per_video))
        )
    return values


def _cat(arrays: Sequence[Any]) -> Any:
    first = arrays[0]
    joined = _zeros(first, (sum(map(len, arrays)), *first.shape[1:]))
    start = 0
    for array in arrays:
        joined[start : start + len(array)] = array
        start += len(array)
    return joined


def _zeros(like: Any, shape: tuple[int, ...]) -> Any:
    """Return zeros of the same kind, type and device as an array or a tensor."""
    if isinstance(like, np.ndarray):
        return np.zeros(shape, like.dtype)
    return like.new_zeros(shape)


def _as_array(values: Any) -> Any:
    return values if isinstance(values, np.ndarray) else values.numpy()


def _as_index(index: Index) -> Any:
    """Return a slice or an array that selects videos in numpy."""
    if isinstance(index, slice):
        return index
    return index.numpy(force=True) if hasattr(index, "numpy") else np.asarray(index)

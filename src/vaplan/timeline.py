"""Events in seconds, and the one bridge between them and arrays on the grid.

A segment is marked by an event that covers at least half of it; a run of marked segments is one event.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from vaplan.arrays import MODALITIES
from vaplan.taxonomy import Taxonomy


@dataclass(frozen=True, order=True)
class Event:
    """One class in one modality from `onset` to `offset`, in seconds, half-open."""

    modality: str
    class_name: str
    onset: float
    offset: float
    score: float | None = None


@dataclass(frozen=True)
class Timeline:
    """The events of one video.

    `missing` maps a modality to the spans (seconds) in which there was nothing to look at or listen to;
    `warnings` are what reading the file had to say.
    """

    video: str
    seconds: float
    events: tuple[Event, ...] = ()
    missing: tuple[tuple[str, float, float], ...] = ()
    warnings: tuple[str, ...] = ()

    def __iter__(self) -> Iterator[Event]:
        return iter(self.events)

    def __len__(self) -> int:
        return len(self.events)

    def of(self, modality: str) -> tuple[Event, ...]:
        """The events of one modality."""
        return tuple(event for event in self.events if event.modality == modality)


def runs(row: Bool[np.ndarray, " time"]) -> list[tuple[int, int]]:
    """The maximal runs of marked segments as half-open index pairs.

    >>> runs(np.array([True, True, False, True]))
    [(0, 2), (3, 4)]
    """
    edges = np.flatnonzero(np.diff(np.concatenate(([0], row.astype(np.int8), [0]))))
    return [
        (int(start), int(stop))
        for start, stop in zip(edges[::2], edges[1::2], strict=True)
    ]


def to_grid(
    events: Iterable[Event],
    taxonomy: Taxonomy,
    segments: int,
    *,
    segment_seconds: float = 1.0,
) -> Bool[np.ndarray, "time modality class"]:
    """Paint events onto the grid; a segment is marked where an event covers at least half of it."""
    grid = np.zeros((segments, len(MODALITIES), len(taxonomy)), dtype=bool)
    for event in events:
        first, last = _covered(event, segment_seconds)
        grid[
            first:last,
            MODALITIES.index(event.modality),
            taxonomy.index(event.class_name),
        ] = True
    return grid


def to_score_grid(
    events: Iterable[Event],
    taxonomy: Taxonomy,
    segments: int,
    *,
    segment_seconds: float = 1.0,
) -> Float[np.ndarray, "time modality class"]:
    """The highest score of the events that mark a segment, 1 for events without one; NaN where nothing is marked."""
    grid = np.full((segments, len(MODALITIES), len(taxonomy)), np.nan)
    for event in events:
        first, last = _covered(event, segment_seconds)
        cells = grid[
            first:last,
            MODALITIES.index(event.modality),
            taxonomy.index(event.class_name),
        ]
        np.fmax(cells, 1.0 if event.score is None else event.score, out=cells)
    return grid


def _covered(event: Event, segment_seconds: float) -> tuple[int, int]:
    """The segments of which an event covers at least half, half-open.

    >>> _covered(Event("audio", "Dog", 0.5, 2.4), 1.0), _covered(Event("audio", "Dog", 0.6, 1.2), 1.0)
    ((0, 2), (1, 1))
    """
    rounding = 1e-9
    first = math.ceil(event.onset / segment_seconds - 0.5 - rounding)
    last = math.floor(event.offset / segment_seconds + 0.5 + rounding)
    if (
        last - first == 1
        and event.offset - event.onset < segment_seconds / 2 - rounding
    ):
        return first, first  # it reaches both halves of a segment and fills neither
    return first, max(first, last)


def from_grid(
    grid: Bool[np.ndarray, "time modality class"],
    taxonomy: Taxonomy,
    *,
    score: Float[np.ndarray, "time modality class"] | None = None,
    segment_seconds: float = 1.0,
) -> tuple[Event, ...]:
    """Read the maximal runs of the grid as events; an event's score is the mean over its segments."""
    events = []
    for m, modality in enumerate(MODALITIES):
        for c in np.flatnonzero(grid[:, m].any(axis=0)):
            for start, stop in runs(grid[:, m, c]):
                mean = (
                    None
                    if score is None
                    else round(float(score[start:stop, m, c].mean()), 6)
                )
                span = start * segment_seconds, stop * segment_seconds
                events.append(Event(modality, taxonomy.classes[c], *span, mean))
    return tuple(sorted(events, key=lambda e: (e.onset, e.modality, e.class_name)))


def missing_spans(
    mask: Bool[np.ndarray, "time modality"], *, segment_seconds: float = 1.0
) -> tuple[tuple[str, float, float], ...]:
    """Where a modality had nothing to look at or listen to, as (modality, onset, offset)."""
    return tuple(
        (modality, start * segment_seconds, stop * segment_seconds)
        for m, modality in enumerate(MODALITIES)
        for start, stop in runs(~mask[:, m])
    )


def merge(events: Sequence[Event]) -> tuple[Event, ...]:
    """Join touching or overlapping events of one class and modality; the score is the mean by duration.

    >>> merge([Event("audio", "Dog", 0.0, 1.0, 0.5), Event("audio", "Dog", 1.0, 2.0, 1.0)])
    (Event(modality='audio', class_name='Dog', onset=0.0, offset=2.0, score=0.75),)
    """
    merged: list[Event] = []
    for event in sorted(
        events, key=lambda e: (e.modality, e.class_name, e.onset, e.offset)
    ):
        if merged and _touch(merged[-1], event):
            merged[-1] = _joined(merged[-1], event)
        else:
            merged.append(event)
    return tuple(sorted(merged, key=lambda e: (e.onset, e.modality, e.class_name)))


def _touch(first: Event, second: Event) -> bool:
    same = (first.modality, first.class_name) == (second.modality, second.class_name)
    return same and second.onset <= first.offset


def _joined(first: Event, second: Event) -> Event:
    score = first.score
    if first.score is not None and second.score is not None:
        lengths = first.offset - first.onset, second.offset - second.onset
        total = max(sum(lengths), 1e-9)
        score = round((first.score * lengths[0] + second.score * lengths[1]) / total, 6)
    span = first.onset, max(first.offset, second.offset)
    return Event(first.modality, first.class_name, *span, score)

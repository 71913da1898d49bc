"""Which videos to look at first: where a correction is likely, or is worth most."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vaplan.review.collection import (
    Collection,
    ReviewVideo,
    read_collection,
    reviewed_path,
)
from vaplan.review.session import finished_videos
from vaplan.timeline import Event, merge

EMPTY_TAGGED, EMPTY = 1.0, 0.6  # urgency of a video without events
RARE_VIDEOS = 5  # a class in so many videos or fewer is rare


@dataclass(frozen=True)
class Urgency:
    """How urgent the review of a video is.

    Attributes:
        value: Sum of the reasons, from 0; larger is more urgent.
        reasons: What contributes, the largest first.
    """

    value: float
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class Suggestion:
    """A video to look at.

    Attributes:
        video: Id of the video.
        urgency: How urgent its review is.
    """

    video: str
    urgency: Urgency

    def as_json(self) -> dict[str, Any]:
        """Return the suggestion as a JSON value."""
        return {
            "video": self.video,
            "urgency": self.urgency.value,
            "reasons": list(self.urgency.reasons),
        }


def suggest_videos(
    source: Path, *, top: int, compare: Path | None = None
) -> list[Suggestion]:
    """Name the videos that are not finished and whose correction is likely to help most.

    Args:
        source: Table of events, or folder of timelines.
        top: Largest number of videos.
        compare: Events of another method.

    Raises:
        AnnotationError: A table cannot be read.
        MachineError: The review of the source is running.
    """
    collection = read_collection(source)
    others = dict[str, Sequence[Event]]()
    if compare is not None:
        others = {one.name: one.events for one in read_collection(compare).videos}
    finished = set(finished_videos(reviewed_path(source)) or ())
    urgencies = rank(collection, others)
    suggestions = [
        Suggestion(video.name, urgency)
        for video, urgency in zip(collection.videos, urgencies, strict=True)
        if video.name not in finished
    ]
    suggestions.sort(key=lambda one: -one.urgency.value)
    return suggestions[:top]


def rank(
    collection: Collection, others: Mapping[str, Sequence[Event]] | None = None
) -> list[Urgency]:
    """Return the urgency of every video.

    Four reasons count from 0 to 1 each: the most uncertain score of an event (1 at 0.5, 0 at
    0 and at 1), the disagreement with the events of another method, no events, and the
    rarest class.

    Args:
        collection: Videos to review.
        others: Events of another method by video, such as the encoder's pseudo labels beside
            a parser's events. Videos without an entry are not compared.
    """
    counts = Counter(
        name for video in collection.videos for name in _class_names(video)
    )
    return [_urgency(video, counts, others or {}) for video in collection.videos]


def uncertainty(events: Sequence[Event]) -> float:
    """Return how near 0.5 the scores of the events come: 1 at 0.5, and 0 at 0 and 1.

    >>> uncertainty([Event("audio", "Dog", 0.0, 1.0, 0.9), Event("visual", "Dog", 0.0, 1.0, 0.6)])
    0.8

    Args:
        events: Events of one video. Scores outside 0 to 1, as margins of a zero-shot
            classifier, are no probabilities and do not count.
    """
    scores = [event.score for event in events if event.score is not None]
    values = [1 - abs(2 * score - 1) for score in scores if 0 <= score <= 1]
    return round(max(values, default=0.0), 6)


def disagreement(first: Sequence[Event], second: Sequence[Event]) -> float:
    """Return the share of the marked seconds that one of two methods marks alone.

    >>> dog = Event("audio", "Dog", 0.0, 3.0)
    >>> disagreement([dog], [Event("audio", "Dog", 0.0, 1.0), Event("visual", "Dog", 1.0, 2.0)])
    0.75

    Args:
        first: Events of one method.
        second: Events of the other.

    Returns:
        A number from 0 to 1; 0 if no method marks anything.
    """
    one = merge(first)
    other = merge(second)
    shared = math.fsum(_overlap(a, b) for a in one for b in other)
    total = _seconds(one) + _seconds(other) - shared
    return round(1 - shared / total, 6) if total > 0 else 0.0


def _urgency(
    video: ReviewVideo,
    counts: Mapping[str, int],
    others: Mapping[str, Sequence[Event]],
) -> Urgency:
    parts = list[tuple[float, str]]()
    if not video.events:
        is_tagged = bool(video.video.tags)
        parts.append((EMPTY_TAGGED if is_tagged else EMPTY, "no events"))
    if value := uncertainty(video.events):
        parts.append((value, f"uncertain score ({value:.2f})"))
    if video.name in others:
        value = disagreement(video.events, others[video.name])
        if value:
            parts.append((value, f"methods disagree on {value:.0%} of the seconds"))
    rarest = min(_class_names(video), key=lambda name: counts[name], default=None)
    if rarest is not None and counts[rarest] <= RARE_VIDEOS:
        parts.append((1 / counts[rarest], f"rare class {rarest}"))
    parts.sort(reverse=True)
    total = math.fsum(value for value, _ in parts)
    return Urgency(round(total, 6), tuple(reason for _, reason in parts))


def _class_names(video: ReviewVideo) -> set[str]:
    return {event.class_name for event in video.events}


def _seconds(events: Sequence[Event]) -> float:
    return math.fsum(event.offset - event.onset for event in events)


def _overlap(a: Event, b: Event) -> float:
    if (a.modality, a.class_name) != (b.modality, b.class_name):
        return 0.0
    return max(0.0, min(a.offset, b.offset) - max(a.onset, b.onset))

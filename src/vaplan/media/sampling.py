"""Sampling of a file: the times of the frames of each segment and the rate of the waveform."""

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import count

import numpy as np

from vaplan.errors import MediaError, UsageError, unknown
from vaplan.media.decoding import TICK

CENTRE = "centre"
PUBLISHED_RATE_HZ = 8  # of the frames that the published rules choose from


@dataclass(frozen=True)
class PublishedRule:
    """A fixed number of frames, spread evenly over the whole video from first to last frame.

    Attributes:
        groups: Number of segments.
        frames: Number of frames a segment.
    """

    groups: int
    frames: int

    def times(self, begin: float, end: float) -> list[float]:
        """Return the sampling times in seconds.

        The rule chooses from frames at 8 Hz and rounds ties to the even frame.

        >>> PublishedRule(groups=5, frames=1).times(0.0, 1.0)
        [0.0, 0.25, 0.5, 0.625, 0.875]

        Args:
            begin: Start of the video track in seconds.
            end: End of the video track in seconds.
        """
        available = max(1, math.ceil((end - begin) * PUBLISHED_RATE_HZ - TICK))
        indices = np.round(np.linspace(0, available - 1, self.groups * self.frames))
        return [begin + float(index) / PUBLISHED_RATE_HZ for index in indices]


PUBLISHED: Mapping[str, PublishedRule] = {
    # Tian et al. 2020, arXiv 2007.10558: the features that come with LLP
    "han": PublishedRule(groups=10, frames=8),
    # Lai et al. 2023, arXiv 2305.17343
    "valor": PublishedRule(groups=10, frames=1),
}


@dataclass(frozen=True)
class Centres:
    """The centres of equal parts of each segment, without end."""

    parts: int
    segment_seconds: float

    def __iter__(self) -> Iterator[float]:
        for t in count():
            for part in range(self.parts):
                yield (t + (part + 0.5) / self.parts) * self.segment_seconds


@dataclass(frozen=True)
class Sampling:
    """How a file is sampled.

    Attributes:
        rate_hz: Sample rate of the waveform.
        frames_per_segment: Number of frames a segment; a published rule has its own number.
        segment_seconds: Length of a segment.
        rule: `centre`: frames at the centres of equal parts of each segment. `valor` or `han`:
            ten groups of frames spread over the whole video, whatever its length, beside the
            first ten segments of its audio.
        every_frame: Decode also frames that are not sampled, and so find all damage. Without
            it, frames of H.264 and HEVC that no other frame refers to are skipped: the result
            is the same in less time, but damage in skipped frames stays unknown.

    Raises:
        UsageError: The rule is unknown.
    """

    rate_hz: int = 48_000
    frames_per_segment: int = 1
    segment_seconds: float = 1.0
    rule: str = CENTRE
    every_frame: bool = True

    def __post_init__(self) -> None:
        names = (CENTRE, *PUBLISHED)
        if self.rule not in names:
            raise UsageError(
                unknown("sampling", self.rule, names),
                fix=f"choose one of {', '.join(names)}",
            )

    @property
    def groups(self) -> int | None:
        """Return the fixed number of segments; None if the length of the file decides."""
        published = PUBLISHED.get(self.rule)
        return published.groups if published else None

    @property
    def frames(self) -> int:
        """Return the number of frames a segment."""
        published = PUBLISHED.get(self.rule)
        return published.frames if published else self.frames_per_segment

    def times(self, span: tuple[float, float] | None) -> Iterable[float]:
        """Return the sampling times in seconds, ascending.

        Args:
            span: Start and end of the video track; rule `centre` does not need it.

        Raises:
            MediaError: A published rule has no span.
        """
        if self.rule == CENTRE:
            return Centres(self.frames_per_segment, self.segment_seconds)
        if span is None:
            raise MediaError(
                f"sampling {self.rule} needs the length of the video, and its packets have no "
                "time stamps",
                fix=f"use sampling {CENTRE}, or convert it to .mp4",
            )
        return PUBLISHED[self.rule].times(*span)

    def edge(self, t: int) -> int:
        """Return the first sample of a segment.

        Args:
            t: Index of the segment.
        """
        return round(t * self.segment_seconds * self.rate_hz)

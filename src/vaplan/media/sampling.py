"""How a file is cut: at which seconds the pictures of a segment are taken, and what its sound is
resampled to."""

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import count

import numpy as np

from vaplan.errors import MediaError, UsageError, unknown
from vaplan.media.decoding import TICK

CENTRE = "centre"
PUBLISHED_RATE_HZ = 8  # of the pictures that the published rules choose from


@dataclass(frozen=True)
class Published:
    """A rule that spreads a fixed number of pictures evenly over the whole video, its first and
    last included."""

    groups: int
    pictures: int  # in each group

    def times(self, begin: float, end: float) -> list[float]:
        """The sampling times in a video track: those of some of its pictures at 8 a second, ties
        to the even one.

        >>> Published(groups=5, pictures=1).times(0.0, 1.0)
        [0.0, 0.25, 0.5, 0.625, 0.875]
        """
        there = max(1, math.ceil((end - begin) * PUBLISHED_RATE_HZ - TICK))
        indices = np.round(np.linspace(0, there - 1, self.groups * self.pictures))
        return [begin + float(number) / PUBLISHED_RATE_HZ for number in indices]


PUBLISHED: Mapping[str, Published] = {
    "han": Published(
        groups=10, pictures=8
    ),  # Tian et al. 2020, arXiv 2007.10558: the features shipped with LLP
    "valor": Published(groups=10, pictures=1),  # Lai et al. 2023, arXiv 2305.17343
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
class Cut:
    """How a file is cut into segments.

    Attributes:
        rate_hz: Of the waveform.
        frames_per_segment: How many pictures a segment has; a published sampling has its own
            number.
        sampling: `centre`, or `valor` or `han`: ten groups of pictures spread over the whole
            video however long it is, beside the first ten segments of its sound.
        every_frame: Decode also the pictures that nobody will see, and so find all damage.
            Without it, pictures of H.264 and HEVC that no other builds on are left out: the same
            result in less time, but damage in those left out stays unknown.
    """

    rate_hz: int = 48_000
    frames_per_segment: int = 1
    segment_seconds: float = 1.0
    sampling: str = CENTRE
    every_frame: bool = True

    def __post_init__(self) -> None:
        names = (CENTRE, *PUBLISHED)
        if self.sampling not in names:
            raise UsageError(
                unknown("sampling", self.sampling, names), fix=f"say {', '.join(names)}"
            )

    @property
    def groups(self) -> int | None:
        """How many segments there are whatever the length; None if the length decides."""
        return PUBLISHED[self.sampling].groups if self.sampling in PUBLISHED else None

    @property
    def pictures(self) -> int:
        """How many pictures a segment has."""
        return (
            PUBLISHED[self.sampling].pictures
            if self.sampling in PUBLISHED
            else self.frames_per_segment
        )

    def times(self, span: tuple[float, float] | None) -> Iterable[float]:
        """The sampling times, rising, in a video track of this begin and end (which `centre` need
        not know)."""
        if self.sampling == CENTRE:
            return Centres(self.frames_per_segment, self.segment_seconds)
        if span is None:
            what = (
                f"sampling {self.sampling} needs the length of the video, and its "
                "packets carry no time stamps"
            )
            raise MediaError(what, fix=f"say sampling {CENTRE}, or convert it to .mp4")
        return PUBLISHED[self.sampling].times(*span)

    def edge(self, t: int) -> int:
        """The first sample of segment `t`."""
        return round(t * self.segment_seconds * self.rate_hz)

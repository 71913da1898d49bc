"""Plan the clips: which classes occur, in which modality, and when.

The proportions follow LLP (Tian, Li, Xu, ECCV 2020): about a third of the tagged classes miss one modality,
more of them unseen than unheard; spans reach from one second to the whole clip; what is heard and seen often,
but not always, goes together in time.
"""

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from vaplan.arrays import MODALITIES
from vaplan.taxonomy import Taxonomy
from vaplan.timeline import Event

TAXONOMY = Taxonomy(
    tuple(
        """Bell Bird Clock Cricket Dog Drum Engine Fire Flute Helicopter Horn Rain Saw Siren Waves
        Whistle""".split()
    )
)

COMMON = {
    "Engine": 3.0,
    "Dog": 1.6,
    "Rain": 1.4,
    "Clock": 0.7,
    "Cricket": 0.7,
    "Saw": 0.7,
}  # against 1
TAG_COUNT = (0.38, 0.52, 0.10)  # one, two or three tags in a video
PRESENCE = {("audio", "visual"): 0.65, ("audio",): 0.22, ("visual",): 0.13}
WHOLE = {
    "audio": 0.3,
    "visual": 0.5,
}  # how often a track is one span over the whole clip
TOGETHER = 0.65  # how often what is seen follows what is heard
SHORTEST, PAUSE = (
    1.0,
    1.2,
)  # seconds: long enough that every span, and most pauses, mark a segment
TRACKS_MISSING = {
    (True, True): 0.76,
    (False, True): 0.12,
    (True, False): 0.12,
}  # (audio, video), when varied

Span = tuple[float, float]
T = TypeVar("T")


@dataclass(frozen=True)
class Clip:
    """The plan of one video: its weak label (`tags`) and its dense truth (`events`), times in seconds.

    `seed` decides everything the events do not: instances, scene, camera, noise, distractors.
    """

    video: str
    seconds: float
    split: str
    tags: tuple[str, ...]
    events: tuple[Event, ...]
    seed: int
    has_audio: bool = True
    has_video: bool = True

    def rng(self, *stream: int | str) -> np.random.Generator:
        """The random numbers of one aspect of the clip, untouched by all others."""
        return np.random.default_rng([self.seed, *map(_number, stream)])

    def spans(self, modality: str) -> dict[str, list[Span]]:
        """Per class, when it is heard or seen."""
        found: dict[str, list[Span]] = {}
        for event in self.events:
            if event.modality == modality:
                found.setdefault(event.class_name, []).append(
                    (event.onset, event.offset)
                )
        return found


def world(counts: Mapping[str, int], *, seed: int, varied: bool = False) -> list[Clip]:
    """Plan `counts[split]` clips for every split, ten seconds long.

    A larger world of the same seed begins, in every split, with the clips of the smaller one.

    Args:
        varied: Let lengths range from 3 to 30 s, and let some clips lack a sound or a picture track.
    """
    return [
        _clip(split, index, seed=seed, varied=varied)
        for split, count in counts.items()
        for index in range(count)
    ]


def _number(stream: int | str) -> int:
    return stream if isinstance(stream, int) else zlib.crc32(stream.encode())


def _clip(split: str, index: int, *, seed: int, varied: bool) -> Clip:
    entropy = np.random.SeedSequence([seed, _number(split), index, varied])
    rng = np.random.default_rng(entropy)
    seconds, tracks = 10.0, (True, True)
    if varied:
        seconds = round(float(np.exp(rng.uniform(np.log(3), np.log(30)))), 1)
        tracks = _draw(rng, TRACKS_MISSING)
    tags = _tags(rng)
    present = [m for m, has in zip(MODALITIES, tracks, strict=True) if has]
    events = [event for tag in tags for event in _events(rng, tag, seconds, present)]
    return Clip(
        video=f"{seed}{'v' * varied}-{split}-{index:05d}",
        seconds=seconds,
        split=split,
        tags=tags,
        events=tuple(sorted(events, key=lambda e: (e.onset, e.modality, e.class_name))),
        seed=int(entropy.generate_state(1, np.uint64)[0]),
        has_audio=tracks[0],
        has_video=tracks[1],
    )


def _draw(rng: np.random.Generator, chances: Mapping[T, float]) -> T:
    return list(chances)[rng.choice(len(chances), p=list(chances.values()))]


def _tags(rng: np.random.Generator) -> tuple[str, ...]:
    count = 1 + rng.choice(len(TAG_COUNT), p=TAG_COUNT)
    weight = np.array([COMMON.get(name, 1.0) for name in TAXONOMY.classes])
    chosen = rng.choice(len(weight), size=count, replace=False, p=weight / weight.sum())
    return tuple(TAXONOMY.classes[c] for c in sorted(chosen))


def _events(
    rng: np.random.Generator, tag: str, seconds: float, present: list[str]
) -> list[Event]:
    wanted = [m for m in _draw(rng, PRESENCE) if m in present] or present
    tracks: dict[str, list[Span]] = {}
    for modality in wanted:
        follows = tracks and rng.random() < TOGETHER
        heard = tracks.get("audio", [])
        tracks[modality] = (
            _shifted(rng, heard, seconds) if follows else _spans(rng, modality, seconds)
        )
    return [
        Event(m, tag, onset, offset)
        for m, spans in tracks.items()
        for onset, offset in spans
    ]


def _spans(rng: np.random.Generator, modality: str, seconds: float) -> list[Span]:
    """Draw one to three spans, at least `PAUSE` apart; short ones are likelier than long ones."""
    if rng.random() < WHOLE[modality] or seconds < SHORTEST + PAUSE:
        return [(0.0, seconds)]
    count = 1 + rng.choice(3, p=(0.72, 0.21, 0.07))
    count = min(count, int((seconds + PAUSE) // (SHORTEST + PAUSE)))
    free = seconds - count * SHORTEST - (count - 1) * PAUSE
    share = (
        rng.dirichlet([1.0] * (2 * count + 1)) * free
    )  # before, span, pause, span, …, after
    least = [0.0, *[SHORTEST, PAUSE] * count][: 2 * count]
    edges = np.cumsum(share[:-1] + least)
    return [
        _span(on, off, seconds) for on, off in zip(edges[::2], edges[1::2], strict=True)
    ]


def _shifted(rng: np.random.Generator, spans: list[Span], seconds: float) -> list[Span]:
    """Move onsets and offsets a little, and join what comes too near."""
    shifted: list[Span] = []
    for on, off in spans:
        jitter = rng.normal(0, 0.7, size=2) * (rng.random(2) < 0.6)
        on, off = _span(
            max(0.0, on + jitter[0]), min(seconds, off + jitter[1]), seconds
        )
        if shifted and on < shifted[-1][1] + PAUSE:
            before = shifted.pop()
            on, off = before[0], max(before[1], off)
        shifted.append((on, off))
    return shifted


def _span(onset: float, offset: float, seconds: float) -> Span:
    """Round to 0.1 s and lengthen to `SHORTEST`, inside the clip."""
    onset = round(min(max(float(onset), 0.0), seconds - SHORTEST), 1)
    return onset, round(min(max(float(offset), onset + SHORTEST), seconds), 1)

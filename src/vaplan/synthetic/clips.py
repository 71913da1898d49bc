"""Plan the clips of the synthetic data: which classes occur, in which modality, and when.

The proportions follow LLP (Tian, Li, Xu, ECCV 2020): about a third of the tagged classes occur in
one modality only, more often in the audio. Spans last from one second to the whole clip. Audio and
visual spans of a class often, but not always, agree.
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
    (
        "Bell",
        "Bird",
        "Clock",
        "Cricket",
        "Dog",
        "Drum",
        "Engine",
        "Fire",
        "Flute",
        "Helicopter",
        "Horn",
        "Rain",
        "Saw",
        "Siren",
        "Waves",
        "Whistle",
    )
)

# Relative frequency of a class; 1 for the other classes.
CLASS_WEIGHTS = {
    "Engine": 3.0,
    "Dog": 1.6,
    "Rain": 1.4,
    "Clock": 0.7,
    "Cricket": 0.7,
    "Saw": 0.7,
}
TAG_COUNT_CHANCES = (0.38, 0.52, 0.10)  # one, two or three tags in a video
MODALITY_CHANCES = {("audio", "visual"): 0.65, ("audio",): 0.22, ("visual",): 0.13}
# Chance that a class's span in a modality is the whole clip.
FULL_SPAN_CHANCES = {"audio": 0.3, "visual": 0.5}
SHARED_SPAN_CHANCE = 0.65  # chance that the visual spans follow the audio spans
# Seconds; long enough that every span, and most pauses, mark a segment.
MIN_SPAN = 1.0
MIN_PAUSE = 1.2
# Chance of each pair (has audio, has video) in clips planned with `varied`.
TRACK_CHANCES = {(True, True): 0.76, (False, True): 0.12, (True, False): 0.12}

Span = tuple[float, float]
T = TypeVar("T")


@dataclass(frozen=True)
class Clip:
    """The plan of one video. All times are in seconds.

    Attributes:
        video: Id of the video.
        seconds: Duration.
        split: Name of its split, such as `train`.
        tags: The weak label: classes that occur in the video.
        events: The dense truth.
        seed: Decides everything but the events: instances, background, camera, noise, distractors.
        has_audio: Whether the file has an audio track.
        has_video: Whether the file has a video track.
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
        """Return the random numbers of one aspect of the clip, independent of all other aspects."""
        return np.random.default_rng([self.seed, *map(_stream_number, stream)])

    def spans(self, modality: str) -> dict[str, list[Span]]:
        """Return the spans of each class in a modality."""
        spans: dict[str, list[Span]] = {}
        for event in self.events:
            if event.modality == modality:
                span = (event.onset, event.offset)
                spans.setdefault(event.class_name, []).append(span)
        return spans


def plan_clips(
    counts: Mapping[str, int], *, seed: int, varied: bool = False
) -> list[Clip]:
    """Plan clips like the videos of LLP, ten seconds long.

    More clips of the same seed begin, in every split, with the same clips.

    Args:
        counts: Number of clips by the name of the split.
        seed: Decides the clips.
        varied: Let durations range from 3 to 30 s, and let some clips have no audio track or no
            video track.
    """
    return [
        _plan_clip(split, index, seed=seed, varied=varied)
        for split, count in counts.items()
        for index in range(count)
    ]


def _stream_number(stream: int | str) -> int:
    return stream if isinstance(stream, int) else zlib.crc32(stream.encode())


def _plan_clip(split: str, index: int, *, seed: int, varied: bool) -> Clip:
    entropy = np.random.SeedSequence([seed, _stream_number(split), index, varied])
    rng = np.random.default_rng(entropy)
    seconds = 10.0
    tracks = (True, True)
    prefix = f"{seed}"
    if varied:
        seconds = round(float(np.exp(rng.uniform(np.log(3), np.log(30)))), 1)
        tracks = _choose(rng, TRACK_CHANCES)
        prefix = f"{seed}v"

    tags = _sample_tags(rng)
    modalities = [
        modality
        for modality, has_track in zip(MODALITIES, tracks, strict=True)
        if has_track
    ]
    events: list[Event] = []
    for tag in tags:
        events.extend(_plan_events(rng, tag, seconds, modalities))
    return Clip(
        video=f"{prefix}-{split}-{index:05d}",
        seconds=seconds,
        split=split,
        tags=tags,
        events=sort_events(events),
        seed=clip_seed(entropy),
        has_audio=tracks[0],
        has_video=tracks[1],
    )


def sort_events(events: list[Event]) -> tuple[Event, ...]:
    """Sort the events of a clip by onset, modality and class."""
    return tuple(sorted(events, key=lambda e: (e.onset, e.modality, e.class_name)))


def clip_seed(entropy: np.random.SeedSequence) -> int:
    """Derive the seed of a clip's content from the entropy of its plan."""
    return int(entropy.generate_state(1, np.uint64)[0])


def _choose(rng: np.random.Generator, chances: Mapping[T, float]) -> T:
    """Choose a key with the chance that is its value."""
    index = rng.choice(len(chances), p=list(chances.values()))
    return list(chances)[index]


def _sample_tags(rng: np.random.Generator) -> tuple[str, ...]:
    count = 1 + rng.choice(len(TAG_COUNT_CHANCES), p=TAG_COUNT_CHANCES)
    weight = np.array([CLASS_WEIGHTS.get(name, 1.0) for name in TAXONOMY.classes])
    chance = weight / weight.sum()
    class_numbers = rng.choice(len(weight), size=count, replace=False, p=chance)
    return tuple(TAXONOMY.classes[c] for c in sorted(class_numbers))


def _plan_events(
    rng: np.random.Generator, tag: str, seconds: float, modalities: list[str]
) -> list[Event]:
    """Plan the events of one class, in the modalities that the clip has."""
    sampled = _choose(rng, MODALITY_CHANCES)
    event_modalities = [m for m in sampled if m in modalities] or modalities

    spans_by_modality: dict[str, list[Span]] = {}
    for modality in event_modalities:
        if spans_by_modality and rng.random() < SHARED_SPAN_CHANCE:
            audio_spans = spans_by_modality.get("audio", [])
            spans = _jitter_spans(rng, audio_spans, seconds)
        else:
            spans = _sample_spans(rng, modality, seconds)
        spans_by_modality[modality] = spans
    return [
        Event(modality, tag, onset, offset)
        for modality, spans in spans_by_modality.items()
        for onset, offset in spans
    ]


def _sample_spans(
    rng: np.random.Generator, modality: str, seconds: float
) -> list[Span]:
    """Sample one to three spans, at least `MIN_PAUSE` apart; short spans are more frequent."""
    is_full = rng.random() < FULL_SPAN_CHANCES[modality]
    if is_full or seconds < MIN_SPAN + MIN_PAUSE:
        return [(0.0, seconds)]
    count = 1 + rng.choice(3, p=(0.72, 0.21, 0.07))
    max_count = int((seconds + MIN_PAUSE) // (MIN_SPAN + MIN_PAUSE))
    count = min(count, max_count)

    # The free time is shared among the first pause, a span, a pause, a span, …, the last pause.
    free_seconds = seconds - count * MIN_SPAN - (count - 1) * MIN_PAUSE
    shares = rng.dirichlet([1.0] * (2 * count + 1)) * free_seconds
    minimums = [0.0, *[MIN_SPAN, MIN_PAUSE] * count][: 2 * count]
    edges = np.cumsum(shares[:-1] + minimums)
    return [
        _round_span(onset, offset, seconds)
        for onset, offset in zip(edges[::2], edges[1::2], strict=True)
    ]


def _jitter_spans(
    rng: np.random.Generator, spans: list[Span], seconds: float
) -> list[Span]:
    """Move some onsets and offsets a little, and join spans closer than `MIN_PAUSE`."""
    jittered: list[Span] = []
    for onset, offset in spans:
        shift = rng.normal(0, 0.7, size=2) * (rng.random(2) < 0.6)
        onset = max(0.0, onset + shift[0])
        offset = min(seconds, offset + shift[1])
        onset, offset = _round_span(onset, offset, seconds)
        if jittered and onset < jittered[-1][1] + MIN_PAUSE:
            last_onset, last_offset = jittered.pop()
            onset = last_onset
            offset = max(last_offset, offset)
        jittered.append((onset, offset))
    return jittered


def _round_span(onset: float, offset: float, seconds: float) -> Span:
    """Round a span to 0.1 s and lengthen it to `MIN_SPAN`, within the clip."""
    onset = round(min(max(float(onset), 0.0), seconds - MIN_SPAN), 1)
    offset = round(min(max(float(offset), onset + MIN_SPAN), seconds), 1)
    return onset, offset

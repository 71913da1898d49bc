"""Plan clips like the videos of AVE: one class a clip, audible and visible during one run.

A run is a span of whole seconds. Outside of the run the class is absent, or only audible, or only
visible, so that neither modality alone reveals the run.

Source: the form follows Tian, Shi, Li, Duan, Xu, ECCV 2018. Fewer runs fill their clip than in
AVE, so that there is more to localise.
"""

import zlib
from collections.abc import Mapping

import numpy as np

from vaplan.arrays import MODALITIES
from vaplan.synthetic.clips import TAXONOMY, Clip, clip_seed, sort_events
from vaplan.timeline import Event

SECONDS = 10
FULL_RUN_CHANCE = 0.35  # chance that the run is the whole clip
MIN_RUN = 2  # seconds
# Chance that one modality goes on before or after the run; "" is neither.
EXTENSION_CHANCES = {"audio": 0.35, "visual": 0.35, "": 0.3}
BACKGROUND_SHARE = 0.1  # share of clips without a run
EVENT_CHANCE = 0.6  # chance of an event in each modality of a clip without a run
STREAM = 2  # separates the random numbers from those of `plan_clips`


def plan_ave_clips(
    counts: Mapping[str, int], *, seed: int, background: float = BACKGROUND_SHARE
) -> list[Clip]:
    """Plan clips like the videos of AVE, ten seconds long; render them with `audio_visual=True`.

    More clips of the same seed begin, in every split, with the same clips.

    Args:
        counts: Number of clips by the name of the split.
        seed: Decides the clips.
        background: Share of clips without a tag. Such a clip may have an audio event and a visual
            event, but of different classes.
    """
    return [
        _plan_clip(split, index, seed=seed, background=background)
        for split, count in counts.items()
        for index in range(count)
    ]


def _plan_clip(split: str, index: int, *, seed: int, background: float) -> Clip:
    entropy = np.random.SeedSequence([seed, zlib.crc32(split.encode()), index, STREAM])
    rng = np.random.default_rng(entropy)
    is_background = rng.random() < background
    class_numbers = rng.choice(len(TAXONOMY), size=len(MODALITIES), replace=False)
    audio_class, visual_class = (TAXONOMY.classes[c] for c in class_numbers)

    if is_background:
        tags: tuple[str, ...] = ()
        events = _plan_background(rng, (audio_class, visual_class))
    else:
        tags = (audio_class,)
        events = _plan_run(rng, audio_class)
    return Clip(
        video=f"{seed}ave-{split}-{index:05d}",
        seconds=float(SECONDS),
        split=split,
        tags=tags,
        events=sort_events(events),
        seed=clip_seed(entropy),
    )


def _plan_run(rng: np.random.Generator, class_name: str) -> list[Event]:
    """Plan one event in each modality; their overlap is the run."""
    if rng.random() < FULL_RUN_CHANCE:
        start, end = 0, SECONDS
    else:
        start, end = _sample_run(rng)
    onsets = dict.fromkeys(MODALITIES, start)
    offsets = dict.fromkeys(MODALITIES, end)

    modality = _sample_extension(rng)
    if modality and start > 0:
        onsets[modality] -= int(rng.integers(1, start, endpoint=True))
    modality = _sample_extension(rng)
    if modality and end < SECONDS:
        offsets[modality] += int(rng.integers(1, SECONDS - end, endpoint=True))
    return [
        Event(modality, class_name, float(onsets[modality]), float(offsets[modality]))
        for modality in MODALITIES
    ]


def _sample_extension(rng: np.random.Generator) -> str:
    """Choose the modality that goes on outside of the run, or "" for neither."""
    index = rng.choice(len(EXTENSION_CHANCES), p=list(EXTENSION_CHANCES.values()))
    return list(EXTENSION_CHANCES)[index]


def _sample_run(rng: np.random.Generator) -> tuple[int, int]:
    """Sample a run that leaves at least one second of background."""
    length = int(rng.integers(MIN_RUN, SECONDS))
    start = int(rng.integers(0, SECONDS - length, endpoint=True))
    return start, start + length


def _plan_background(
    rng: np.random.Generator, class_names: tuple[str, str]
) -> list[Event]:
    """Plan at most one event in each modality, of different classes."""
    events = []
    for modality, class_name in zip(MODALITIES, class_names, strict=True):
        start, end = _sample_run(rng)
        if rng.random() < EVENT_CHANCE:
            events.append(Event(modality, class_name, float(start), float(end)))
    return events

"""Plan clips like those of AVE: one class a clip, which is both heard and seen during one run of whole seconds.

Outside the run the class is gone, or only heard, or only seen, so that neither modality alone tells where the run is.
The form follows Tian, Shi, Li, Duan, Xu, ECCV 2018; fewer runs fill their clip here, so that there is more to localise.
"""

import zlib
from collections.abc import Mapping

import numpy as np

from vaplan.arrays import MODALITIES
from vaplan.synthetic.world import TAXONOMY, Clip
from vaplan.timeline import Event

SECONDS = 10
WHOLE = 0.35  # how often the run fills the clip
SHORTEST = 2  # seconds; no run is shorter
BESIDE = {
    "audio": 0.35,
    "visual": 0.35,
    "": 0.3,
}  # what of the class goes on before the run, or after
BACKGROUND = 0.1  # how many clips hold no run at all
STREAM = 2  # keeps these clips' random numbers apart from those of `world`


def ave_world(
    counts: Mapping[str, int], *, seed: int, background: float = BACKGROUND
) -> list[Clip]:
    """Plan `counts[split]` clips for every split, ten seconds long; render them with `audio_visual=True`.

    A larger world of the same seed begins, in every split, with the clips of the smaller one.

    Args:
        background: The share of clips without a tag: their sights and sounds, of classes too, do not go together.
    """
    return [
        _clip(split, k, seed=seed, background=background)
        for split, count in counts.items()
        for k in range(count)
    ]


def _clip(split: str, index: int, *, seed: int, background: float) -> Clip:
    entropy = np.random.SeedSequence([seed, zlib.crc32(split.encode()), index, STREAM])
    rng = np.random.default_rng(entropy)
    apart = rng.random() < background
    heard, seen = (
        TAXONOMY.classes[c]
        for c in rng.choice(len(TAXONOMY), size=len(MODALITIES), replace=False)
    )
    events = _alone(rng, (heard, seen)) if apart else _together(rng, heard)
    return Clip(
        video=f"{seed}ave-{split}-{index:05d}",
        seconds=float(SECONDS),
        split=split,
        tags=() if apart else (heard,),
        events=tuple(sorted(events, key=lambda e: (e.onset, e.modality, e.class_name))),
        seed=int(entropy.generate_state(1, np.uint64)[0]),
    )


def _together(rng: np.random.Generator, name: str) -> list[Event]:
    """One event in each modality; their overlap is the run."""
    first, last = (0, SECONDS) if rng.random() < WHOLE else _run(rng)
    spans = {modality: [first, last] for modality in MODALITIES}
    for side, room in enumerate((first, SECONDS - last)):
        beside = list(BESIDE)[rng.choice(len(BESIDE), p=list(BESIDE.values()))]
        if beside and room:
            spans[beside][side] += (-1, 1)[side] * int(
                rng.integers(1, room, endpoint=True)
            )
    return [
        Event(modality, name, float(on), float(off))
        for modality, (on, off) in spans.items()
    ]


def _run(rng: np.random.Generator) -> tuple[int, int]:
    """A run that leaves at least a second of background."""
    length = int(rng.integers(SHORTEST, SECONDS))
    first = int(rng.integers(0, SECONDS - length, endpoint=True))
    return first, first + length


def _alone(rng: np.random.Generator, names: tuple[str, str]) -> list[Event]:
    """One class that is heard and another that is seen, or only one of the two, or neither."""
    events = []
    for modality, name in zip(MODALITIES, names, strict=True):
        first, last = _run(rng)
        if rng.random() < 0.6:
            events.append(Event(modality, name, float(first), float(last)))
    return events

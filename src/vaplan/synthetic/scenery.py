"""Render the picture of a clip: the camera's view, with distractors and the seen events painted into it."""

from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import UInt8

from vaplan.synthetic.camera import (
    SIZE,
    Times,
    background,
    developed,
    film_of,
    grain_of,
    light_of,
    wall_of,
)
from vaplan.synthetic.distractors import SHAPES
from vaplan.synthetic.painting import Sight, paint
from vaplan.synthetic.sights import LOOKS
from vaplan.synthetic.world import Clip, Span

FRAME_RATE_HZ = 10
REEL = 16  # frames rendered at once, few enough for a processor's cache


def frames(
    clip: Clip, *, times: Times | Sequence[float] | None = None
) -> UInt8[np.ndarray, "frame height width channel"]:
    """Render the clip at `times` (seconds), by default at `FRAME_RATE_HZ` from its start."""
    moments = (
        np.arange(round(clip.seconds * FRAME_RATE_HZ)) / FRAME_RATE_HZ
        if times is None
        else times
    )
    film = film_of(clip, np.asarray(moments, dtype=np.float64))
    walls = {int(shot): wall_of(clip, int(shot)) for shot in np.unique(film.shot)}
    sights = sorted(_sights(clip), key=lambda sight: sight.depth)
    light, grain = light_of(clip, film), grain_of(clip)
    picture = np.empty((len(film.times), SIZE, SIZE, 3), dtype=np.uint8)
    for start in range(0, len(picture), REEL):
        shown = slice(start, start + REEL)
        reel = film[shown]
        canvas = background(walls, reel)
        for sight in sights:
            paint(canvas, reel, sight)
        picture[shown] = developed(canvas, reel.times, light[shown], grain).transpose(
            0, 2, 3, 1
        )
    return picture


def _sights(clip: Clip) -> Iterator[Sight]:
    """Everything that is drawn: distractors, at times the ghost of a class, and the seen events."""
    rng = clip.rng("distractors")
    for k in range(rng.choice(4, p=(0.3, 0.35, 0.25, 0.1))):
        look = SHAPES[rng.integers(len(SHAPES))]
        yield Sight(
            look, clip, ("distractor", k), [_stay(rng, clip)], rng.uniform(0.4, 0.9)
        )
    if rng.random() < 0.15:  # too faint to be annotated
        look = list(LOOKS.values())[rng.integers(len(LOOKS))]
        yield Sight(look, clip, ("ghost",), [_stay(rng, clip)], rng.uniform(0.08, 0.2))
    for name, spans in clip.spans("visual").items():
        yield Sight(LOOKS[name], clip, ("sight", name), spans)


def _stay(rng: np.random.Generator, clip: Clip) -> Span:
    onset = rng.uniform(-0.5, 0.8) * clip.seconds
    return onset, onset + rng.uniform(0.2, 1) * clip.seconds

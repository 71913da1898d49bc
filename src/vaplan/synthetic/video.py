"""Render the frames of a clip: background, distractors and visual events."""

from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import UInt8

from vaplan.synthetic.camera import (
    SIZE,
    Times,
    compute_brightness,
    expose,
    plan_camera,
    render_backdrop,
    render_background,
    sample_noise,
)
from vaplan.synthetic.clips import Clip, Span
from vaplan.synthetic.distractors import DISTRACTOR_APPEARANCES
from vaplan.synthetic.sprites import Sprite, paint
from vaplan.synthetic.visual_classes import APPEARANCES

FRAME_RATE_HZ = 10
CHUNK_FRAMES = 16  # frames rendered together, few enough for a processor's cache
FAINT_CLASS_CHANCE = 0.15  # share of clips with a class too faint to be annotated


def frames(
    clip: Clip, *, times: Times | Sequence[float] | None = None
) -> UInt8[np.ndarray, "frame height width channel"]:
    """Render frames of a clip.

    Args:
        clip: The plan of the clip.
        times: Times of the frames, in seconds; by default `FRAME_RATE_HZ` frames a second from
            the start to the end of the clip. A frame does not depend on the other times.
    """
    if times is None:
        times = np.arange(round(clip.seconds * FRAME_RATE_HZ)) / FRAME_RATE_HZ
    path = plan_camera(clip, np.asarray(times, dtype=np.float64))
    backdrops = {
        int(shot): render_backdrop(clip, int(shot)) for shot in np.unique(path.shot)
    }
    sprites = sorted(_sprites(clip), key=lambda sprite: sprite.depth)
    brightness = compute_brightness(clip, path)
    noise = sample_noise(clip)

    video = np.empty((len(path.times), SIZE, SIZE, 3), dtype=np.uint8)
    for start in range(0, len(video), CHUNK_FRAMES):
        chunk = slice(start, start + CHUNK_FRAMES)
        chunk_path = path[chunk]
        canvas = render_background(backdrops, chunk_path)
        for sprite in sprites:
            paint(canvas, chunk_path, sprite)
        exposed = expose(canvas, chunk_path.times, brightness[chunk], noise)
        video[chunk] = exposed.transpose(0, 2, 3, 1)
    return video


def _sprites(clip: Clip) -> Iterator[Sprite]:
    """List the distractors, at times one faint untagged class, and the visual events of a clip."""
    rng = clip.rng("distractors")
    for k in range(rng.choice(4, p=(0.3, 0.35, 0.25, 0.1))):
        kind = DISTRACTOR_APPEARANCES[rng.integers(len(DISTRACTOR_APPEARANCES))]
        span = _random_span(rng, clip)
        yield Sprite(kind, clip, ("distractor", k), [span], rng.uniform(0.4, 0.9))

    if rng.random() < FAINT_CLASS_CHANCE:
        kind = list(APPEARANCES.values())[rng.integers(len(APPEARANCES))]
        span = _random_span(rng, clip)
        yield Sprite(kind, clip, ("ghost",), [span], rng.uniform(0.08, 0.2))

    for name, spans in clip.spans("visual").items():
        yield Sprite(APPEARANCES[name], clip, ("sight", name), spans)


def _random_span(rng: np.random.Generator, clip: Clip) -> Span:
    onset = rng.uniform(-0.5, 0.8) * clip.seconds
    return onset, onset + rng.uniform(0.2, 1) * clip.seconds

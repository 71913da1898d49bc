"""Painting: one instance of a class or a distractor, drawn into the frames in which it shows."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32, Int

from vaplan.synthetic.camera import NEAR, SIZE, Canvas, Film, Times
from vaplan.synthetic.shapes import Look, Pose
from vaplan.synthetic.world import Clip, Span

REACH = 1.3  # how far drawings go from their middle, in radii
EDGE = 0.04  # how near the edge of the picture, as a share of it, the middle of a sight may come
FADE = 0.12  # seconds a sight takes to come and go

Deep = Float32[np.ndarray, "frame 1 1"]
Row = Float32[np.ndarray, "frame 1 width"]
Column = Float32[np.ndarray, "frame height 1"]


@dataclass(frozen=True)
class Sight:
    """One instance: how its kind looks, whose random numbers it has, when it shows and how opaque it is."""

    look: Look
    clip: Clip
    name: tuple[str | int, ...]
    spans: Sequence[Span]
    opaque: float = 1.0

    def rng(self, *stream: int | str) -> np.random.Generator:
        return self.clip.rng(*self.name, *stream)

    @property
    def depth(self) -> float:
        return self.rng("depth").random()

    def opacity(self, times: Times) -> Times:
        """`opaque` within the spans, 0 outside; an edge is visible, at half the opacity."""
        shown = np.zeros(len(times))
        for onset, offset in self.spans:
            depth = np.minimum(times - onset, offset - times) / FADE
            shown = np.maximum(
                shown, np.where(depth < -1e-6, 0.0, np.clip(0.5 + depth, 0, 1))
            )
        return self.opaque * shown


@dataclass(frozen=True)
class Traits:
    """What one instance keeps: size in pixels, rate and start of its cycle, opacity, tilt, mirror image, colours."""

    own: float
    radius: float
    colours: Float32[np.ndarray, "2 channel 1 1"]
    rate: float
    start: float
    opaque: float
    tilt: float
    mirror: float


def _traits(sight: Sight) -> Traits:
    rng, look = sight.rng(), sight.look
    return Traits(
        own=rng.random(),
        radius=SIZE * rng.uniform(*look.radius),
        colours=_colours(rng, look),
        rate=rng.uniform(*look.rate),
        start=rng.random(),
        opaque=rng.uniform(0.75, 1),
        tilt=rng.normal(0, 0.2),
        mirror=float(rng.choice([-1, 1])),
    )


def paint(canvas: Canvas, film: Film, sight: Sight) -> None:
    """Draw one instance into the frames in which it shows, in a box around it."""
    opacity = sight.opacity(film.times)
    seen = np.flatnonzero(opacity > 0)
    if not len(seen):
        return
    traits, film = _traits(sight), film[seen]
    corner, x, y, scale = _box_around(sight, film, traits.radius)
    turn = _deep(traits.start + traits.rate * film.times)
    angle = np.float32(traits.tilt) + np.float32(sight.look.swing) * np.sin(
        np.float32(2 * np.pi) * turn
    )
    u, v = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    distance, texture = sight.look.draw(
        np.float32(traits.mirror) * u, v, Pose(turn, traits.own)
    )
    alpha = np.clip(0.5 - distance * scale, 0, 1) * _deep(traits.opaque * opacity[seen])
    for k, frame in enumerate(seen):
        _blend(canvas[frame], corner[k], alpha[k], texture[k], traits.colours)


def _box_around(
    sight: Sight, film: Film, radius: float
) -> tuple[Int[np.ndarray, "frame 2"], Row, Column, Deep]:
    """The box's corner on the screen (pixels), how far its pixels are from the middle (radii), the radius."""
    place, scale = _places(sight, film, radius), _deep(radius * film.zoom)
    half = int(np.ceil(radius * NEAR * REACH)) + 1
    corner = np.floor(place).astype(np.intp) - half
    pixels = corner[:, :, None] + np.arange(2 * half + 1) + 0.5
    away = (pixels - place[:, :, None]).astype(np.float32)
    return corner, away[:, 0, None, :] / scale, away[:, 1, :, None] / scale, scale


def _deep(values: Times) -> Deep:
    return values.astype(np.float32)[:, None, None]


def _places(sight: Sight, film: Film, radius: float) -> Float[np.ndarray, "frame 2"]:
    """Where the instance is on the screen: it takes a new place in every shot and moves about it."""
    homes = {
        int(shot): sight.rng("place", int(shot)).uniform(-0.4, 0.4, size=2)
        for shot in set(film.shot)
    }
    paths = sight.rng("path")
    rate, phase = paths.uniform(0.1, 0.5, size=2), paths.uniform(0, 2 * np.pi, size=2)
    roam = (
        sight.look.sway
        * radius
        * np.sin(2 * np.pi * rate * film.times[:, None] + phase)
    )
    home = SIZE * np.array([homes[int(shot)] for shot in film.shot])
    place = (home + roam - film.centre) * film.zoom[:, None] + SIZE / 2
    inside: Float[np.ndarray, "frame 2"] = np.clip(
        place, EDGE * SIZE, (1 - EDGE) * SIZE
    )
    return inside


def _colours(
    rng: np.random.Generator, look: Look
) -> Float32[np.ndarray, "2 channel 1 1"]:
    """Two colours of any hue, apart in brightness."""
    middle, apart = (
        rng.uniform(90, 165),
        rng.choice([-1, 1]) * rng.uniform(*look.contrast) * 85,
    )
    hue = rng.normal(0, 35, size=(2, 3))
    hue -= hue.mean(axis=1, keepdims=True)
    colours = np.array([[middle - apart], [middle + apart]]) + hue
    return colours.clip(0, 255).astype(np.float32)[:, :, None, None]


def _blend(
    frame: Float32[np.ndarray, "channel height width"],
    corner: Int[np.ndarray, " 2"],
    alpha: Float32[np.ndarray, "box_height box_width"],
    texture: Float32[np.ndarray, "box_height box_width"],
    colours: Float32[np.ndarray, "2 channel 1 1"],
) -> None:
    """Mix what of the box lies on the screen into the frame."""
    left, top = (int(c) for c in corner)
    across = slice(max(0, -left), max(0, SIZE - left))
    down = slice(max(0, -top), max(0, SIZE - top))
    alpha, texture = alpha[down, across], texture[down, across]
    height, width = alpha.shape
    view = frame[
        :, max(0, top) : max(0, top) + height, max(0, left) : max(0, left) + width
    ]
    view += alpha * (colours[0] + texture * (colours[1] - colours[0]) - view)

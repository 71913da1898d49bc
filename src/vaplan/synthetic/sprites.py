"""Paint sprites: instances of a class or of a distractor, in the frames in which they are
visible."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32, Int

from vaplan.synthetic.camera import MAX_ZOOM, SIZE, CameraPath, Canvas, Times
from vaplan.synthetic.clips import Clip, Span
from vaplan.synthetic.shapes import Appearance, Pose

EXTENT = 1.3  # half the width of the box around a sprite, in radii
EDGE = 0.04  # smallest distance of a sprite's centre from the frame's edge, as a share of the frame
FADE_SECONDS = 0.12  # duration of fading in and out

FrameScalar = Float32[np.ndarray, "frame 1 1"]
Row = Float32[np.ndarray, "frame 1 width"]
Column = Float32[np.ndarray, "frame height 1"]
Colours = Float32[np.ndarray, "2 channel 1 1"]


@dataclass(frozen=True)
class Sprite:
    """One instance of a class or of a distractor.

    Attributes:
        appearance: Outline, texture and movement of its kind.
        clip: The clip, which decides the random numbers.
        name: Names the random numbers of this sprite within the clip.
        spans: Spans in which the sprite is visible, in seconds.
        max_opacity: Opacity within the spans.
    """

    appearance: Appearance
    clip: Clip
    name: tuple[str | int, ...]
    spans: Sequence[Span]
    max_opacity: float = 1.0

    def rng(self, *stream: int | str) -> np.random.Generator:
        """Return the random numbers of one aspect of the sprite."""
        return self.clip.rng(*self.name, *stream)

    @property
    def depth(self) -> float:
        """The order of painting, in [0, 1]; larger values cover smaller ones."""
        return self.rng("depth").random()

    def opacity(self, times: Times) -> Times:
        """Compute the opacity at each time: `max_opacity` within the spans, 0 outside of them.

        At the onset and at the offset the opacity is half of the maximum.
        """
        visibility = np.zeros(len(times))
        for onset, offset in self.spans:
            edge_distance = np.minimum(times - onset, offset - times) / FADE_SECONDS
            fade = np.clip(0.5 + edge_distance, 0, 1)
            fade = np.where(edge_distance < -1e-6, 0.0, fade)
            visibility = np.maximum(visibility, fade)
        return self.max_opacity * visibility


@dataclass(frozen=True)
class _Traits:
    """The constants of one sprite."""

    trait: float
    radius: float  # pixels
    colours: Colours
    rate: float  # cycles a second
    start: float  # cycles
    opacity: float
    tilt: float  # radians
    mirror: float  # -1 or 1


def _sample_traits(sprite: Sprite) -> _Traits:
    rng = sprite.rng()
    appearance = sprite.appearance
    return _Traits(
        trait=rng.random(),
        radius=SIZE * rng.uniform(*appearance.radius),
        colours=_sample_colours(rng, appearance),
        rate=rng.uniform(*appearance.rate),
        start=rng.random(),
        opacity=rng.uniform(0.75, 1),
        tilt=rng.normal(0, 0.2),
        mirror=float(rng.choice([-1, 1])),
    )


def paint(canvas: Canvas, path: CameraPath, sprite: Sprite) -> None:
    """Paint a sprite into the frames in which it is visible, in place.

    Args:
        canvas: The frames.
        path: State of the camera in these frames.
        sprite: The sprite.
    """
    opacity = sprite.opacity(path.times)
    visible = np.flatnonzero(opacity > 0)
    if not len(visible):
        return
    traits = _sample_traits(sprite)
    path = path[visible]
    corner, x, y, scale = _box_coordinates(sprite, path, traits.radius)

    turn = _per_frame(traits.start + traits.rate * path.times)
    swing = np.float32(sprite.appearance.swing)
    angle = np.float32(traits.tilt) + swing * np.sin(np.float32(2 * np.pi) * turn)
    u = x * np.cos(angle) + y * np.sin(angle)
    v = y * np.cos(angle) - x * np.sin(angle)

    mirror = np.float32(traits.mirror)
    distance, texture = sprite.appearance.draw(mirror * u, v, Pose(turn, traits.trait))
    coverage = np.clip(0.5 - distance * scale, 0, 1)
    alpha = coverage * _per_frame(traits.opacity * opacity[visible])
    for k, frame in enumerate(visible):
        _blend(canvas[frame], corner[k], alpha[k], texture[k], traits.colours)


def _box_coordinates(
    sprite: Sprite, path: CameraPath, radius: float
) -> tuple[Int[np.ndarray, "frame 2"], Row, Column, FrameScalar]:
    """Compute the box around a sprite in each frame.

    Returns:
        The box's corner in the frame (pixels), the horizontal and the vertical distances of its
        pixels from the sprite's centre (radii), and the sprite's radius in the frame (pixels).
    """
    position = _positions(sprite, path, radius)
    scale = _per_frame(radius * path.zoom)
    half = int(np.ceil(radius * MAX_ZOOM * EXTENT)) + 1
    corner = np.floor(position).astype(np.intp) - half

    pixels = corner[:, :, None] + np.arange(2 * half + 1) + 0.5
    offset = (pixels - position[:, :, None]).astype(np.float32)
    x = offset[:, 0, None, :] / scale
    y = offset[:, 1, :, None] / scale
    return corner, x, y, scale


def _per_frame(values: Times) -> FrameScalar:
    return values.astype(np.float32)[:, None, None]


def _positions(
    sprite: Sprite, path: CameraPath, radius: float
) -> Float[np.ndarray, "frame 2"]:
    """Compute the sprite's centre in each frame: a new position a shot, and a movement around
    it."""
    shot_positions = {
        int(shot): sprite.rng("place", int(shot)).uniform(-0.4, 0.4, size=2)
        for shot in set(path.shot)
    }
    rng = sprite.rng("path")
    rate = rng.uniform(0.1, 0.5, size=2)
    phase = rng.uniform(0, 2 * np.pi, size=2)
    amplitude = sprite.appearance.sway * radius
    sway = amplitude * np.sin(2 * np.pi * rate * path.times[:, None] + phase)

    base = SIZE * np.array([shot_positions[int(shot)] for shot in path.shot])
    position = (base + sway - path.centre) * path.zoom[:, None] + SIZE / 2
    clipped: Float[np.ndarray, "frame 2"] = np.clip(
        position, EDGE * SIZE, (1 - EDGE) * SIZE
    )
    return clipped


def _sample_colours(rng: np.random.Generator, appearance: Appearance) -> Colours:
    """Sample two colours of any hue that differ in brightness."""
    middle = rng.uniform(90, 165)
    sign = rng.choice([-1, 1])
    difference = sign * rng.uniform(*appearance.contrast) * 85
    hue = rng.normal(0, 35, size=(2, 3))
    hue -= hue.mean(axis=1, keepdims=True)
    colours = np.array([[middle - difference], [middle + difference]]) + hue
    return colours.clip(0, 255).astype(np.float32)[:, :, None, None]


def _blend(
    frame: Float32[np.ndarray, "channel height width"],
    corner: Int[np.ndarray, " 2"],
    alpha: Float32[np.ndarray, "box_height box_width"],
    texture: Float32[np.ndarray, "box_height box_width"],
    colours: Colours,
) -> None:
    """Blend the visible part of a box into a frame, in place."""
    left = int(corner[0])
    top = int(corner[1])
    across = slice(max(0, -left), max(0, SIZE - left))
    down = slice(max(0, -top), max(0, SIZE - top))
    alpha = alpha[down, across]
    texture = texture[down, across]

    height, width = alpha.shape
    first_row = max(0, top)
    first_column = max(0, left)
    view = frame[:, first_row : first_row + height, first_column : first_column + width]
    colour = colours[0] + texture * (colours[1] - colours[0])
    view += alpha * (colour - view)

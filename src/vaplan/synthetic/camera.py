"""The camera: which way it looks and when it cuts, what is behind everything, its light and its noise."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32, Int, UInt8

from vaplan.synthetic.world import Clip

SIZE = 128  # pixels, height and width
ROOM = 32  # pixels of background beyond each edge for the camera to move into
NEAR = 1.24  # the largest magnification

Times = Float[np.ndarray, " frame"]
Shots = Int[np.ndarray, " frame"]
Canvas = Float32[
    np.ndarray, "frame channel height width"
]  # channels first: planes are quick to mix
Wall = Float32[np.ndarray, "channel wall_height wall_width"]
Grain = Float32[np.ndarray, "grain_height grain_width"]


@dataclass(frozen=True)
class Film:
    """When each frame is taken, in which shot, and where the camera then looks (pixels, magnification)."""

    times: Times
    shot: Shots
    centre: Float[np.ndarray, "frame 2"]
    zoom: Times

    def __getitem__(self, index: slice | Shots) -> "Film":
        return Film(
            self.times[index], self.shot[index], self.centre[index], self.zoom[index]
        )


def film_of(clip: Clip, times: Times) -> Film:
    rng = clip.rng("camera")
    cuts = np.sort(
        rng.uniform(0, clip.seconds, size=rng.choice(3, p=(0.55, 0.3, 0.15)))
    )
    speed, shake = rng.normal(0, 0.8, size=2), rng.exponential(0.6, size=2).clip(max=3)
    rate, phase = rng.uniform(1, 4, size=2), rng.uniform(0, 2 * np.pi, size=2)
    drift = speed * (times[:, None] - clip.seconds / 2)
    centre = drift + shake * np.sin(2 * np.pi * rate * times[:, None] + phase)
    breath = rng.choice([0.0, 0.12]) * np.sin(rng.uniform(0.3, 1.2) * times + phase[0])
    zoom = NEAR - 0.12 + breath
    reach = ROOM + SIZE / 2 - SIZE / 2 / zoom[:, None] - 1
    return Film(
        times,
        np.searchsorted(cuts, times, side="right"),
        np.clip(centre, -reach, reach),
        zoom,
    )


def background(walls: Mapping[int, Wall], film: Film) -> Canvas:
    canvas = np.empty((len(film.times), 3, SIZE, SIZE), dtype=np.float32)
    offset = (np.arange(SIZE) - SIZE / 2 + 0.5) / film.zoom[:, None]
    places = (offset + film.centre[:, :1], offset + film.centre[:, 1:])
    column, row = (
        np.floor(place + SIZE / 2 + ROOM).astype(np.intp) for place in places
    )
    for k, shot in enumerate(film.shot):
        np.take(
            walls[int(shot)][:, row[k]], column[k], axis=2, out=canvas[k], mode="clip"
        )
    return canvas


def wall_of(clip: Clip, shot: int) -> Wall:
    """A picture of clouds of several sizes, sometimes planked, sometimes with a horizon."""
    rng, size = clip.rng("wall", shot), SIZE + 2 * ROOM
    wall = np.full(
        (3, size, size), rng.uniform(50, 200, size=(3, 1, 1)), dtype=np.float32
    )
    strength = rng.uniform(0.3, 1.0)
    for cells in (3, 7, 17, 41):
        tint = rng.normal(1, 0.5, size=(3, 1, 1)).astype(np.float32)
        cloud = _stretched(
            rng.normal(0, strength * 40 / np.sqrt(cells), size=(cells, cells)), size
        )
        wall += cloud * tint
    across, down = np.arange(size), np.arange(size)[:, None]
    angle, period = rng.uniform(0, np.pi), rng.uniform(8, 40)
    planks = (
        np.sin(2 * np.pi * (across * np.cos(angle) + down * np.sin(angle)) / period) > 0
    )
    wall += rng.choice([0, 0, 1]) * rng.uniform(5, 25) * planks.astype(np.float32)
    horizon = int(rng.uniform(0.3, 0.9) * size)
    wall[:, horizon:] += rng.choice([0, 1]) * rng.normal(0, 30, size=(3, 1, 1))
    return wall.clip(0, 255)


def _stretched(
    coarse: Float[np.ndarray, "row column"], size: int
) -> Float32[np.ndarray, "height width"]:
    """Enlarge a coarse picture, bilinearly."""
    place = np.linspace(0, len(coarse) - 1, size, dtype=np.float32)
    first = np.minimum(place.astype(np.intp), len(coarse) - 2)
    share = (place - first)[:, None]
    for _ in range(
        2
    ):  # rows, then columns; sums, for a matrix product would start threads in every worker
        coarse = ((1 - share) * coarse[first] + share * coarse[first + 1]).T
    return coarse.astype(np.float32)


def light_of(clip: Clip, film: Film) -> Times:
    """How bright every frame is: it changes over the clip, and sometimes flickers."""
    rng = clip.rng("light")
    start, end = rng.uniform(0.6, 1.15, size=2)
    flicker = rng.choice([0.0, 0.0, 0.08]) * np.sin(
        2 * np.pi * rng.uniform(0.5, 3) * film.times
    )
    light: Times = start + (end - start) * film.times / clip.seconds + flicker
    return light


def grain_of(clip: Clip) -> Grain:
    """The sensor's noise, twice as wide as a frame, so that each frame gets another part of it."""
    rng = clip.rng("grain")
    return rng.normal(0, rng.uniform(2, 10), size=(2 * SIZE, 2 * SIZE)).astype(
        np.float32
    )


def developed(
    canvas: Canvas, times: Times, light: Times, grain: Grain
) -> UInt8[np.ndarray, "frame channel height width"]:
    """Apply light and noise; the same moment gets the same noise."""
    canvas *= light.astype(np.float32)[:, None, None, None]
    for k, moment in enumerate(np.round(times * 1000).astype(np.int64)):
        down, across = moment * 7919 % SIZE, moment * 104729 % SIZE
        canvas[k] += grain[down : down + SIZE, across : across + SIZE]
    return np.clip(canvas, 0, 255, out=canvas).astype(np.uint8)

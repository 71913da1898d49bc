"""Simulate the camera: movement, cuts, background, brightness and sensor noise."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32, Int, UInt8

from vaplan.synthetic.clips import Clip

SIZE = 128  # pixels, height and width
MARGIN = 32  # pixels of backdrop beyond each edge of the frame, for camera movement
MAX_ZOOM = 1.24

Times = Float[np.ndarray, " frame"]
Shots = Int[np.ndarray, " frame"]
# Channels come first because whole planes are then mixed without a stride.
Canvas = Float32[np.ndarray, "frame channel height width"]
Backdrop = Float32[np.ndarray, "channel backdrop_height backdrop_width"]
SensorNoise = Float32[np.ndarray, "noise_height noise_width"]


@dataclass(frozen=True)
class CameraPath:
    """The state of the camera in every frame.

    Attributes:
        times: Time of each frame, in seconds.
        shot: Number of the shot to which each frame belongs.
        centre: Offset of the camera from the middle of the backdrop, in pixels.
        zoom: Magnification.
    """

    times: Times
    shot: Shots
    centre: Float[np.ndarray, "frame 2"]
    zoom: Times

    def __getitem__(self, index: slice | Shots) -> "CameraPath":
        """Select frames."""
        return CameraPath(
            self.times[index], self.shot[index], self.centre[index], self.zoom[index]
        )


def plan_camera(clip: Clip, times: Times) -> CameraPath:
    """Compute the cuts and the movement of the camera.

    Args:
        clip: The clip, which decides the random numbers.
        times: Times of the frames, in seconds.
    """
    rng = clip.rng("camera")
    cut_count = rng.choice(3, p=(0.55, 0.3, 0.15))
    cuts = np.sort(rng.uniform(0, clip.seconds, size=cut_count))

    speed = rng.normal(0, 0.8, size=2)
    shake = rng.exponential(0.6, size=2).clip(max=3)
    rate = rng.uniform(1, 4, size=2)
    phase = rng.uniform(0, 2 * np.pi, size=2)
    drift = speed * (times[:, None] - clip.seconds / 2)
    centre = drift + shake * np.sin(2 * np.pi * rate * times[:, None] + phase)

    zoom_amplitude = rng.choice([0.0, 0.12])
    zoom_cycle = np.sin(rng.uniform(0.3, 1.2) * times + phase[0])
    zoom = MAX_ZOOM - 0.12 + zoom_amplitude * zoom_cycle

    max_offset = MARGIN + SIZE / 2 - SIZE / 2 / zoom[:, None] - 1
    return CameraPath(
        times,
        np.searchsorted(cuts, times, side="right"),
        np.clip(centre, -max_offset, max_offset),
        zoom,
    )


def render_background(backdrops: Mapping[int, Backdrop], path: CameraPath) -> Canvas:
    """Sample the backdrop of each frame's shot as the camera sees it.

    Args:
        backdrops: The backdrop of every shot, by the number of the shot.
        path: State of the camera.
    """
    canvas = np.empty((len(path.times), 3, SIZE, SIZE), dtype=np.float32)
    offset = (np.arange(SIZE) - SIZE / 2 + 0.5) / path.zoom[:, None]
    column = _backdrop_index(offset + path.centre[:, :1])
    row = _backdrop_index(offset + path.centre[:, 1:])
    for k, shot in enumerate(path.shot):
        rows = backdrops[int(shot)][:, row[k]]
        np.take(rows, column[k], axis=2, out=canvas[k], mode="clip")
    return canvas


def _backdrop_index(
    offset: Float[np.ndarray, "frame pixel"],
) -> Int[np.ndarray, "frame pixel"]:
    index: Int[np.ndarray, "frame pixel"] = np.floor(offset + SIZE / 2 + MARGIN).astype(
        np.intp
    )
    return index


def render_backdrop(clip: Clip, shot: int) -> Backdrop:
    """Render the backdrop of a shot: clouds of four scales, at times with planks or a horizon.

    Args:
        clip: The clip, which decides the random numbers.
        shot: Number of the shot.
    """
    rng = clip.rng("wall", shot)
    size = SIZE + 2 * MARGIN
    base_colour = rng.uniform(50, 200, size=(3, 1, 1))
    backdrop = np.full((3, size, size), base_colour, dtype=np.float32)

    strength = rng.uniform(0.3, 1.0)
    for cells in (3, 7, 17, 41):
        tint = rng.normal(1, 0.5, size=(3, 1, 1)).astype(np.float32)
        coarse = rng.normal(0, strength * 40 / np.sqrt(cells), size=(cells, cells))
        backdrop += _enlarge(coarse, size) * tint

    x = np.arange(size)
    y = np.arange(size)[:, None]
    angle = rng.uniform(0, np.pi)
    period = rng.uniform(8, 40)
    across = x * np.cos(angle) + y * np.sin(angle)
    planks = np.sin(2 * np.pi * across / period) > 0
    has_planks = rng.choice([0, 0, 1])
    backdrop += has_planks * rng.uniform(5, 25) * planks.astype(np.float32)

    horizon = int(rng.uniform(0.3, 0.9) * size)
    has_horizon = rng.choice([0, 1])
    backdrop[:, horizon:] += has_horizon * rng.normal(0, 30, size=(3, 1, 1))
    return backdrop.clip(0, 255)


def _enlarge(
    image: Float[np.ndarray, "row column"], size: int
) -> Float32[np.ndarray, "height width"]:
    """Enlarge a small image by bilinear interpolation."""
    position = np.linspace(0, len(image) - 1, size, dtype=np.float32)
    index = np.minimum(position.astype(np.intp), len(image) - 2)
    weight = (position - index)[:, None]
    # Rows, then columns. A matrix product would start threads in every worker process.
    for _ in range(2):
        image = ((1 - weight) * image[index] + weight * image[index + 1]).T
    return image.astype(np.float32)


def compute_brightness(clip: Clip, path: CameraPath) -> Times:
    """Compute the brightness of every frame: a linear change, at times with flicker.

    Args:
        clip: The clip, which decides the random numbers.
        path: State of the camera, which has the times of the frames.
    """
    rng = clip.rng("light")
    start, end = rng.uniform(0.6, 1.15, size=2)
    flicker_amplitude = rng.choice([0.0, 0.0, 0.08])
    flicker_hz = rng.uniform(0.5, 3)
    flicker = flicker_amplitude * np.sin(2 * np.pi * flicker_hz * path.times)
    brightness: Times = start + (end - start) * path.times / clip.seconds + flicker
    return brightness


def sample_noise(clip: Clip) -> SensorNoise:
    """Sample the sensor noise, twice as wide as a frame; each frame takes another part of it."""
    rng = clip.rng("grain")
    deviation = rng.uniform(2, 10)
    noise = rng.normal(0, deviation, size=(2 * SIZE, 2 * SIZE))
    return noise.astype(np.float32)


def expose(
    canvas: Canvas, times: Times, brightness: Times, noise: SensorNoise
) -> UInt8[np.ndarray, "frame channel height width"]:
    """Apply brightness and sensor noise to frames, in place, and round them to 8 bits.

    Args:
        canvas: The frames, which are overwritten.
        times: Times of the frames, in seconds. Frames of equal time get equal noise.
        brightness: Brightness of each frame.
        noise: Result of `sample_noise`.
    """
    canvas *= brightness.astype(np.float32)[:, None, None, None]
    milliseconds = np.round(times * 1000).astype(np.int64)
    for k, millisecond in enumerate(milliseconds):
        top = millisecond * 7919 % SIZE
        left = millisecond * 104729 % SIZE
        canvas[k] += noise[top : top + SIZE, left : left + SIZE]
    return np.clip(canvas, 0, 255, out=canvas).astype(np.uint8)

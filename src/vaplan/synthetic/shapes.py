"""Compute two-dimensional shapes and textures: the parts of the images of the synthetic data.

A drawing function takes the coordinate planes `u` and `v` (object coordinates: the origin is the
object's centre, the unit is its radius) and returns an outline and a texture. The outline is a
signed distance in radii, negative within the object. The texture, in [0, 1], mixes the two colours
of the instance.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32

Plane = Float32[np.ndarray, "#frame #height #width"]


@dataclass(frozen=True)
class Pose:
    """The state of one instance in every frame.

    Attributes:
        turn: Phase of the instance's movement in each frame, in cycles.
        trait: A constant of the instance in [0, 1] that varies its shape.
    """

    turn: Float32[np.ndarray, "frame 1 1"]
    trait: float


Drawing = Callable[[Plane, Plane, Pose], tuple[Plane, Plane]]


@dataclass(frozen=True)
class Appearance:
    """The visual appearance of a class: its drawing function, size, movement and contrast.

    A pair of numbers is the range from which each instance takes its value.

    Attributes:
        draw: Computes the outline and the texture.
        radius: Radius as a share of the image's height.
        rate: Speed of the movement, in cycles a second.
        swing: Amplitude of the tilt, in radians.
        sway: Amplitude of the movement around the centre position, in radii.
        contrast: Brightness difference of the two colours; 1 is the largest.
    """

    draw: Drawing
    radius: tuple[float, float] = (0.15, 0.28)
    rate: tuple[float, float] = (0.3, 1.2)
    swing: float = 0.08
    sway: float = 0.15
    contrast: tuple[float, float] = (0.55, 1.0)


def stripes(x: Plane, sharpness: float = 4.0) -> Plane:
    """Compute a texture of stripes: a clipped sine of period 1.

    Args:
        x: Coordinate across the stripes.
        sharpness: Slope at the edges of the stripes; a larger value gives harder edges.
    """
    wave = np.sin(np.float32(2 * np.pi) * x)
    return np.clip(0.5 + sharpness * wave / 2, 0, 1)


def centre_distance(u: Plane, v: Plane) -> Plane:
    """Compute the distance from the centre; faster than `np.hypot`.

    Args:
        u: Horizontal coordinate.
        v: Vertical coordinate.
    """
    distance: Plane = np.sqrt(u * u + v * v)
    return distance


def disc(u: Plane, v: Plane, radius: Plane | float = 1.0) -> Plane:
    """Compute the signed distance to a circle around the origin.

    Args:
        u: Horizontal coordinate.
        v: Vertical coordinate.
        radius: Radius of the circle.
    """
    distance: Plane = centre_distance(u, v) - radius
    return distance


def sawtooth(x: Plane) -> Plane:
    """Compute a sawtooth wave that rises from 0 to 1 in every period of 1.

    It equals `np.mod(x, 1)` and is faster.
    """
    fraction: Plane = x - np.floor(x)
    return fraction


def box(u: Plane, v: Plane, width: Plane | float, height: Plane | float) -> Plane:
    """Compute the signed distance to a rectangle around the origin, by the larger coordinate.

    Args:
        u: Horizontal coordinate.
        v: Vertical coordinate.
        width: Half of the rectangle's width.
        height: Half of the rectangle's height.
    """
    distance: Plane = np.maximum(np.abs(u) - width, np.abs(v) - height)
    return distance


def bar(u: Plane, v: Plane, angle: Plane, length: float, width: float) -> Plane:
    """Compute the signed distance to a bar that starts at the origin.

    Args:
        u: Horizontal coordinate.
        v: Vertical coordinate.
        angle: Direction of the bar, in radians.
        length: Length of the bar.
        width: Half of the bar's width.
    """
    along = u * np.cos(angle) + v * np.sin(angle)
    across = v * np.cos(angle) - u * np.sin(angle)

    along_distance = np.abs(along - length / 2) - length / 2
    across_distance = np.abs(across) - width
    distance: Plane = np.maximum(along_distance, across_distance)
    return distance


def soft_mask(distance: Plane, softness: float = 0.06) -> Plane:
    """Convert a signed distance to a mask: 1 within the outline, 0 outside of it.

    Args:
        distance: Signed distance to the outline.
        softness: Half of the width over which the mask falls from 1 to 0.
    """
    return np.clip(0.5 - distance / np.float32(2 * softness), 0, 1)


def turn_angle(pose: Pose) -> Plane:
    """Convert the phase of the instance's movement to radians."""
    return np.float32(2 * np.pi) * pose.turn

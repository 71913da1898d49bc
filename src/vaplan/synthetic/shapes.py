"""The drawing kit. A drawing maps the planes u, v around an object's middle to an outline and a texture.

The outline is a signed distance in radii (negative inside); the texture, in [0, 1], mixes the instance's two
colours.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32

Plane = Float32[np.ndarray, "#frame #height #width"]


@dataclass(frozen=True)
class Pose:
    """One instance at many moments: `turn` runs in cycles, `own` is its constant trait in [0, 1]."""

    turn: Float32[np.ndarray, "frame 1 1"]
    own: float


Drawing = Callable[[Plane, Plane, Pose], tuple[Plane, Plane]]


@dataclass(frozen=True)
class Look:
    """A drawing, how large it is (radius as a share of the picture), and how it moves.

    `rate` is in cycles a second. `swing` is the amplitude of tilting in radians, `sway` that of moving about in
    radii; `contrast` is how far the two colours are from what is behind.
    """

    draw: Drawing
    radius: tuple[float, float] = (0.15, 0.28)
    rate: tuple[float, float] = (0.3, 1.2)
    swing: float = 0.08
    sway: float = 0.15
    contrast: tuple[float, float] = (0.55, 1.0)


def stripes(x: Plane, sharpness: float = 4.0) -> Plane:
    """A square-ish wave of period one."""
    return np.clip(0.5 + sharpness * np.sin(np.float32(2 * np.pi) * x) / 2, 0, 1)


def away(u: Plane, v: Plane) -> Plane:
    """How far from the middle; quicker than `np.hypot`."""
    distance: Plane = np.sqrt(u * u + v * v)
    return distance


def disc(u: Plane, v: Plane, radius: Plane | float = 1.0) -> Plane:
    distance: Plane = away(u, v) - radius
    return distance


def ramp(x: Plane) -> Plane:
    """Rises from 0 to 1 over every period of one; quicker than `np.mod`."""
    risen: Plane = x - np.floor(x)
    return risen


def box(u: Plane, v: Plane, width: Plane | float, height: Plane | float) -> Plane:
    distance: Plane = np.maximum(np.abs(u) - width, np.abs(v) - height)
    return distance


def bar(u: Plane, v: Plane, angle: Plane, length: float, width: float) -> Plane:
    """A bar from the origin outwards."""
    along, across = (
        u * np.cos(angle) + v * np.sin(angle),
        v * np.cos(angle) - u * np.sin(angle),
    )
    distance: Plane = np.maximum(
        np.abs(along - length / 2) - length / 2, np.abs(across) - width
    )
    return distance


def inside(distance: Plane, softness: float = 0.06) -> Plane:
    """1 inside an outline, 0 outside, soft at its edge."""
    return np.clip(0.5 - distance / np.float32(2 * softness), 0, 1)


def cycles(pose: Pose) -> Plane:
    """How far the instance has turned, in radians."""
    return np.float32(2 * np.pi) * pose.turn

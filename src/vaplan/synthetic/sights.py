"""How each class looks: an outline, a texture and a way of moving. Colour is never a cue.

Bell and Siren, Clock and Drum, Engine and Saw, Flute and Whistle are alike on purpose; Bird and Cricket are
small, and Cricket and Rain are faint.
"""

import numpy as np

from vaplan.synthetic.shapes import (
    Look,
    Plane,
    Pose,
    away,
    bar,
    box,
    cycles,
    disc,
    inside,
    ramp,
    stripes,
)


def _bell(u: Plane, v: Plane, pose: Pose) -> tuple[Plane, Plane]:
    flare = np.float32(0.5) + np.float32(0.35) * np.clip(v, -0.2, 1) ** 2 * (
        1 + pose.own
    )
    skirt = np.maximum(np.abs(u) - flare, np.maximum(v - 0.6, -v - 0.1))
    clapper = disc(u - 0.35 * np.sin(cycles(pose)), v - 0.8, 0.2)
    dome = np.maximum(disc(u, v + 0.1, 0.55), v + 0.1)
    return np.minimum(np.minimum(skirt, dome), clapper), stripes(2.2 * v)


def _siren(u: Plane, v: Plane, pose: Pose) -> tuple[Plane, Plane]:
    dome = np.maximum(disc(u, v - 0.2, 0.75), v - 0.2)
    base = box(u, v - 0.45, 0.95, 0.25)
    beam = inside(np.abs(u - 0.6 * np.sin(cycles(pose))) - 0.22) * inside(v - 0.2)
    return np.minimum(dome, base), np.maximum(
        beam, 0.8 * stripes(2.2 * v) * inside(0.2 - v)
    )


def _clock(u: Plane, v: Plane, pose: Pose) -> tuple[Plane, Plane]:
    angle, radius = np.arctan2(v, u), away(u, v)
    hand = bar(u, v, cycles(pose), 0.75, 0.07)
    slow = bar(u, v, cycles(pose) / 12 + 6 * np.float32(pose.own), 0.5, 0.1)
    ticks = inside(np.abs(radius - 0.72) - 0.1) * stripes(
        angle * np.float32(6 / np.pi), 6.0
    )
    return radius - 0.95, np.maximum(
        np.maximum(inside(np.minimum(hand, slow)), ticks), inside(0.86 - radius)
    )


def _drum(u: Plane, v: Plane, pose: Pose) -> tuple[Plane, Plane]:
    radius = away(u, v)
    beat = 0.08 * np.sin(cycles(pose))
    weave = stripes(2.0 * (u + v)) * stripes(2.0 * (u - v))
    head = inside(radius - 0.6 - beat)
    return radius - 0.95 - beat, np.maximum(weave * head, inside(0.82 - radius))


def _engine(u: Plane, v: Plane, pose: Pose) -> tuple[Plane, Plane]:
    teeth, radius = 7 + round(3 * pose.own), away(u, v)
    notch = stripes(
        (np.arctan2(v, u) / np.float32(2 * np.pi) + pose.turn / 2) * teeth, 5.0
    )
    gear = np.maximum(radius - 0.72 - 0.25 * notch, 0.3 - radius)
    return gear, stripes(1.7 * radius)


def _sawblade(u: Plane, v: Plane, pose: Pose) -> tuple[Plane, Plane]:
    teeth, radius = 12 + round(4 * pose.own), away(u, v)
    teeth_edge = ramp((np.arctan2(v, u) / np.float32(2 * np.pi) + pose.turn) * teeth)
    return np.maximum(radius - 0.75 - 0.25 * teeth_edge, 0.1 - radius), stripes(
        np.arctan2(v, u) * np.float32(2 / np.pi) + 2 * pose.turn + radius, 2.0
    )


def _bird(u: Plane, v: Plane, pose: Pose) -> tuple[Plane, Plane]:
    flap = 0.55 * np.sin(cycles(pose))
    wing = np.abs(
        v - flap * (np.abs(u) - 0.3) - 0.25 * np.cos(np.float32(3) * u)
    ) - 0.3 * (1.05 - np.abs(u))
    body = disc(0.9 * u, (v - 0.2) / 1.2, 0.28)
    return np.minimum(np.maximum(wing, np.abs(u) - 1), body), stripes(3 * np.abs(u))


def _cricket(u: Plane, v: Plane, pose: Pose) -> tuple[Plane, Plane]:
    body = disc(u, 2.4 * v, 0.75)
    kick = 0.12 * np.sin(cycles(pose))
    legs = np.abs(np.abs(ramp(3 * u + kick) - 0.5) - 0.25 * np.abs(v)) - 0.09
    legs = np.maximum(legs, np.maximum(np.abs(u) - 0.8, np.abs(v) - 0.75))
    return np.minimum(body, legs), stripes(3 * u)


def _dog(u: Plane, v: Plane, pose: Pose) -> tuple[Plane, Plane]:
    bob = 0.08 * np.sin(cycles(pose))
    head = disc(u, 0.9 * (v - 0.15), 0.62)
    ears = np.maximum(
        np.abs(np.abs(u) - 0.55 - 0.15 * pose.own) - 0.25 * (v + 1.0 + bob),
        np.abs(v + 0.5) - 0.5,
    )
    snout = disc(u, v - 0.65 - bob, 0.32)
    spots = inside(disc(np.abs(u) - 0.25, v, 0.14)) + inside(
        disc(u, v - 0.6 - bob, 0.16)
    )
    return np.minimum(np.minimum(head, ears), snout), np.clip(spots, 0, 1)


def _fire(u: Plane, v: Plane, pose: Pose) -> tuple[Plane, Plane]:
    lick = 0.14 * np.sin(5 * v + cycles(pose)) * (0.6 - v)
    height = np.clip((v + 1) / 2, 0, 1)
    flame = np.abs(u + lick) - 0.75 * np.sqrt(height) * np.clip(
        1.5 * (1.05 - height), 0, 1
    )
    tongues = stripes(1.3 * u + 0.8 * lick + 0.25, 2.0) * (
        1 - height
    ) + height * inside(np.abs(u + lick) - 0.25, 0.2)
    return np.maximum(flame, np.abs(v) - 1), np.clip(tongues, 0, 1)


def _rain(u: Plane, v: Plane, pose: Pose) -> tuple[Plane, Plane]:
    across = 3.5 * (u + (0.2 + 0.3 * np.float32(pose.own)) * v)
    lane = np.floor(across)
    fall = ramp(0.9 * v - 1.5 * pose.turn + ramp(np.float32(0.618) * lane))
    streak = np.maximum(np.abs(ramp(across) - 0.5) - 0.2, fall - 0.55)
    return np.maximum(streak, box(u, v, 1.0, 1.0)), 0.3 + 0.7 * fall


def _waves(u: Plane, v: Plane, pose: Pose) -> tuple[Plane, Plane]:
    crest = 0.16 * np.sin(np.float32(4 + 2 * pose.own) * u + cycles(pose))
    band = np.maximum(box(u, v, 1.0, 0.9), -(v + 0.5 + crest))
    return band, stripes(2.2 * (v + crest))


def _flute(u: Plane, v: Plane, pose: Pose) -> tuple[Plane, Plane]:
    rod = box(u, v, 1.0, 0.17)
    open_hole = np.mod(np.floor(3 * u + 30) + np.floor(2 * pose.turn), 3) > 0
    hole = inside(away(ramp(3 * u) - 0.5, 3 * v) - 0.28, 0.1) * open_hole
    return rod, np.maximum(hole, inside(0.8 + u))


def _whistle(u: Plane, v: Plane, pose: Pose) -> tuple[Plane, Plane]:
    pipe = box(u - 0.2, v + 0.3, 0.8, 0.17)
    chamber = disc(u + 0.4, v, 0.48)
    pea = inside(
        disc(u + 0.4 - 0.2 * np.cos(cycles(pose)), v - 0.2 * np.sin(cycles(pose)), 0.17)
    )
    return np.minimum(pipe, chamber), np.maximum(pea, inside(0.75 - u))


def _horn(u: Plane, v: Plane, pose: Pose) -> tuple[Plane, Plane]:
    pulse = 0.06 * np.sin(cycles(pose))
    flare = 0.1 + (0.75 + pulse) * np.clip((u + 0.6) / 1.6, 0, 1) ** np.float32(
        1.5 + pose.own
    )
    cone = np.maximum(np.abs(v) - flare, np.abs(u) - 0.98)
    return cone, stripes(2.5 * v / (flare + 0.2) + 0.25)


def _helicopter(u: Plane, v: Plane, pose: Pose) -> tuple[Plane, Plane]:
    spin = cycles(pose)
    blades = np.minimum(
        np.minimum(bar(u, v, spin, 1.0, 0.1), bar(u, v, spin + np.pi, 1.0, 0.1)),
        np.minimum(
            bar(u, v, spin + np.pi / 2, 1.0, 0.1),
            bar(u, v, spin + 3 * np.pi / 2, 1.0, 0.1),
        ),
    )
    cabin = disc(u, 1.3 * v, 0.38)
    return np.minimum(blades, cabin), 0.9 * inside(cabin) * stripes(2 * (u + v))


LOOKS: dict[str, Look] = {
    "Bell": Look(_bell, swing=0.35, rate=(0.6, 1.5)),
    "Bird": Look(_bird, radius=(0.09, 0.17), rate=(1.5, 3.5), sway=0.9),
    "Clock": Look(_clock, rate=(0.1, 0.5), sway=0.05),
    "Cricket": Look(
        _cricket, radius=(0.08, 0.15), rate=(2.0, 4.0), sway=0.4, contrast=(0.35, 0.7)
    ),
    "Dog": Look(_dog, rate=(1.0, 2.5), swing=0.15, sway=0.3),
    "Drum": Look(_drum, rate=(2.0, 4.0), sway=0.05),
    "Engine": Look(_engine, rate=(0.5, 1.5), sway=0.05),
    "Fire": Look(_fire, rate=(1.0, 2.5), sway=0.05),
    "Flute": Look(_flute, radius=(0.18, 0.3), swing=0.3, rate=(0.5, 1.0)),
    "Helicopter": Look(_helicopter, rate=(1.5, 3.5), sway=0.6),
    "Horn": Look(_horn, rate=(1.0, 2.5), swing=0.15),
    "Rain": Look(
        _rain, radius=(0.25, 0.42), rate=(0.8, 1.6), swing=0.0, contrast=(0.4, 0.8)
    ),
    "Saw": Look(_sawblade, radius=(0.13, 0.24), rate=(0.5, 1.5), sway=0.5),
    "Siren": Look(_siren, rate=(1.0, 2.5), swing=0.0, sway=0.05),
    "Waves": Look(_waves, radius=(0.25, 0.4), rate=(0.3, 0.8), swing=0.05),
    "Whistle": Look(_whistle, radius=(0.12, 0.22), rate=(1.5, 3.0), swing=0.3),
}

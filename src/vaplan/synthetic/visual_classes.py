"""Define the visual appearance of each class: outline, texture and movement. Colour is no cue.

Bell and Siren, Clock and Drum, Engine and Saw, Flute and Whistle are similar on purpose. Bird and
Cricket are small, and Cricket and Rain have a low contrast.
"""

import numpy as np

from vaplan.synthetic.shapes import (
    Appearance,
    Plane,
    Pose,
    bar,
    box,
    centre_distance,
    disc,
    sawtooth,
    soft_mask,
    stripes,
    turn_angle,
)


def _bell(u: Plane, v: Plane, pose: Pose) -> tuple[Plane, Plane]:
    widening = np.float32(0.35) * np.clip(v, -0.2, 1) ** 2
    flare = np.float32(0.5) + widening * (1 + pose.trait)
    skirt = np.maximum(np.abs(u) - flare, np.maximum(v - 0.6, -v - 0.1))

    swing = 0.35 * np.sin(turn_angle(pose))
    clapper = disc(u - swing, v - 0.8, 0.2)
    dome = np.maximum(disc(u, v + 0.1, 0.55), v + 0.1)

    outline = np.minimum(np.minimum(skirt, dome), clapper)
    return outline, stripes(2.2 * v)


def _siren(u: Plane, v: Plane, pose: Pose) -> tuple[Plane, Plane]:
    dome = np.maximum(disc(u, v - 0.2, 0.75), v - 0.2)
    base = box(u, v - 0.45, 0.95, 0.25)
    outline = np.minimum(dome, base)

    beam_centre = 0.6 * np.sin(turn_angle(pose))
    beam = soft_mask(np.abs(u - beam_centre) - 0.22) * soft_mask(v - 0.2)
    base_stripes = 0.8 * stripes(2.2 * v) * soft_mask(0.2 - v)
    return outline, np.maximum(beam, base_stripes)


def _clock(u: Plane, v: Plane, pose: Pose) -> tuple[Plane, Plane]:
    angle = np.arctan2(v, u)
    radius = centre_distance(u, v)

    fast_hand = bar(u, v, turn_angle(pose), 0.75, 0.07)
    slow_angle = turn_angle(pose) / 12 + 6 * np.float32(pose.trait)
    slow_hand = bar(u, v, slow_angle, 0.5, 0.1)
    hands = soft_mask(np.minimum(fast_hand, slow_hand))

    tick_ring = soft_mask(np.abs(radius - 0.72) - 0.1)
    ticks = tick_ring * stripes(angle * np.float32(6 / np.pi), 6.0)
    rim = soft_mask(0.86 - radius)

    texture = np.maximum(np.maximum(hands, ticks), rim)
    return radius - 0.95, texture


def _drum(u: Plane, v: Plane, pose: Pose) -> tuple[Plane, Plane]:
    radius = centre_distance(u, v)
    beat = 0.08 * np.sin(turn_angle(pose))
    weave = stripes(2.0 * (u + v)) * stripes(2.0 * (u - v))
    head = soft_mask(radius - 0.6 - beat)
    rim = soft_mask(0.82 - radius)
    return radius - 0.95 - beat, np.maximum(weave * head, rim)


def _engine(u: Plane, v: Plane, pose: Pose) -> tuple[Plane, Plane]:
    teeth = 7 + round(3 * pose.trait)
    radius = centre_distance(u, v)

    angle = np.arctan2(v, u) / np.float32(2 * np.pi) + pose.turn / 2
    notch = stripes(angle * teeth, 5.0)
    outer = radius - 0.72 - 0.25 * notch
    hole = 0.3 - radius
    return np.maximum(outer, hole), stripes(1.7 * radius)


def _saw(u: Plane, v: Plane, pose: Pose) -> tuple[Plane, Plane]:
    teeth = 12 + round(4 * pose.trait)
    radius = centre_distance(u, v)

    angle = np.arctan2(v, u) / np.float32(2 * np.pi) + pose.turn
    tooth = sawtooth(angle * teeth)
    blade = radius - 0.75 - 0.25 * tooth
    hole = 0.1 - radius

    spiral = np.arctan2(v, u) * np.float32(2 / np.pi) + 2 * pose.turn + radius
    return np.maximum(blade, hole), stripes(spiral, 2.0)


def _bird(u: Plane, v: Plane, pose: Pose) -> tuple[Plane, Plane]:
    flap = 0.55 * np.sin(turn_angle(pose))
    curve = 0.25 * np.cos(np.float32(3) * u)
    wing_height = v - flap * (np.abs(u) - 0.3) - curve
    wing_width = 0.3 * (1.05 - np.abs(u))
    wing = np.abs(wing_height) - wing_width

    body = disc(0.9 * u, (v - 0.2) / 1.2, 0.28)
    outline = np.minimum(np.maximum(wing, np.abs(u) - 1), body)
    return outline, stripes(3 * np.abs(u))


def _cricket(u: Plane, v: Plane, pose: Pose) -> tuple[Plane, Plane]:
    body = disc(u, 2.4 * v, 0.75)
    kick = 0.12 * np.sin(turn_angle(pose))
    leg_position = np.abs(sawtooth(3 * u + kick) - 0.5)
    leg_lines = np.abs(leg_position - 0.25 * np.abs(v)) - 0.09
    leg_box = np.maximum(np.abs(u) - 0.8, np.abs(v) - 0.75)
    legs = np.maximum(leg_lines, leg_box)
    return np.minimum(body, legs), stripes(3 * u)


def _dog(u: Plane, v: Plane, pose: Pose) -> tuple[Plane, Plane]:
    bob = 0.08 * np.sin(turn_angle(pose))
    head = disc(u, 0.9 * (v - 0.15), 0.62)

    ear_centre = np.abs(np.abs(u) - 0.55 - 0.15 * pose.trait)
    ear_sides = ear_centre - 0.25 * (v + 1.0 + bob)
    ears = np.maximum(ear_sides, np.abs(v + 0.5) - 0.5)
    snout = disc(u, v - 0.65 - bob, 0.32)
    outline = np.minimum(np.minimum(head, ears), snout)

    eyes = soft_mask(disc(np.abs(u) - 0.25, v, 0.14))
    nose = soft_mask(disc(u, v - 0.6 - bob, 0.16))
    return outline, np.clip(eyes + nose, 0, 1)


def _fire(u: Plane, v: Plane, pose: Pose) -> tuple[Plane, Plane]:
    flicker = 0.14 * np.sin(5 * v + turn_angle(pose)) * (0.6 - v)
    height = np.clip((v + 1) / 2, 0, 1)

    taper = np.clip(1.5 * (1.05 - height), 0, 1)
    flame_width = 0.75 * np.sqrt(height) * taper
    flame = np.abs(u + flicker) - flame_width
    outline = np.maximum(flame, np.abs(v) - 1)

    tongues = stripes(1.3 * u + 0.8 * flicker + 0.25, 2.0) * (1 - height)
    core = height * soft_mask(np.abs(u + flicker) - 0.25, 0.2)
    return outline, np.clip(tongues + core, 0, 1)


def _rain(u: Plane, v: Plane, pose: Pose) -> tuple[Plane, Plane]:
    slant = 0.2 + 0.3 * np.float32(pose.trait)
    across = 3.5 * (u + slant * v)
    lane = np.floor(across)
    lane_offset = sawtooth(np.float32(0.618) * lane)
    fall = sawtooth(0.9 * v - 1.5 * pose.turn + lane_offset)

    streak_width = np.abs(sawtooth(across) - 0.5) - 0.2
    streak = np.maximum(streak_width, fall - 0.55)
    outline = np.maximum(streak, box(u, v, 1.0, 1.0))
    return outline, 0.3 + 0.7 * fall


def _waves(u: Plane, v: Plane, pose: Pose) -> tuple[Plane, Plane]:
    frequency = np.float32(4 + 2 * pose.trait)
    crest = 0.16 * np.sin(frequency * u + turn_angle(pose))
    water_line = -(v + 0.5 + crest)
    outline = np.maximum(box(u, v, 1.0, 0.9), water_line)
    return outline, stripes(2.2 * (v + crest))


def _flute(u: Plane, v: Plane, pose: Pose) -> tuple[Plane, Plane]:
    rod = box(u, v, 1.0, 0.17)
    hole_number = np.floor(3 * u + 30) + np.floor(2 * pose.turn)
    is_open = np.mod(hole_number, 3) > 0
    hole_distance = centre_distance(sawtooth(3 * u) - 0.5, 3 * v) - 0.28
    holes = soft_mask(hole_distance, 0.1) * is_open
    mouthpiece = soft_mask(0.8 + u)
    return rod, np.maximum(holes, mouthpiece)


def _whistle(u: Plane, v: Plane, pose: Pose) -> tuple[Plane, Plane]:
    pipe = box(u - 0.2, v + 0.3, 0.8, 0.17)
    chamber = disc(u + 0.4, v, 0.48)
    outline = np.minimum(pipe, chamber)

    pea_u = u + 0.4 - 0.2 * np.cos(turn_angle(pose))
    pea_v = v - 0.2 * np.sin(turn_angle(pose))
    pea = soft_mask(disc(pea_u, pea_v, 0.17))
    mouthpiece = soft_mask(0.75 - u)
    return outline, np.maximum(pea, mouthpiece)


def _horn(u: Plane, v: Plane, pose: Pose) -> tuple[Plane, Plane]:
    pulse = 0.06 * np.sin(turn_angle(pose))
    along = np.clip((u + 0.6) / 1.6, 0, 1)
    exponent = np.float32(1.5 + pose.trait)
    flare = 0.1 + (0.75 + pulse) * along**exponent
    cone = np.maximum(np.abs(v) - flare, np.abs(u) - 0.98)
    return cone, stripes(2.5 * v / (flare + 0.2) + 0.25)


def _helicopter(u: Plane, v: Plane, pose: Pose) -> tuple[Plane, Plane]:
    spin = turn_angle(pose)
    first_pair = np.minimum(
        bar(u, v, spin, 1.0, 0.1),
        bar(u, v, spin + np.pi, 1.0, 0.1),
    )
    second_pair = np.minimum(
        bar(u, v, spin + np.pi / 2, 1.0, 0.1),
        bar(u, v, spin + 3 * np.pi / 2, 1.0, 0.1),
    )
    blades = np.minimum(first_pair, second_pair)
    cabin = disc(u, 1.3 * v, 0.38)
    texture = 0.9 * soft_mask(cabin) * stripes(2 * (u + v))
    return np.minimum(blades, cabin), texture


APPEARANCES: dict[str, Appearance] = {
    "Bell": Appearance(_bell, swing=0.35, rate=(0.6, 1.5)),
    "Bird": Appearance(_bird, radius=(0.09, 0.17), rate=(1.5, 3.5), sway=0.9),
    "Clock": Appearance(_clock, rate=(0.1, 0.5), sway=0.05),
    "Cricket": Appearance(
        _cricket, radius=(0.08, 0.15), rate=(2.0, 4.0), sway=0.4, contrast=(0.35, 0.7)
    ),
    "Dog": Appearance(_dog, rate=(1.0, 2.5), swing=0.15, sway=0.3),
    "Drum": Appearance(_drum, rate=(2.0, 4.0), sway=0.05),
    "Engine": Appearance(_engine, rate=(0.5, 1.5), sway=0.05),
    "Fire": Appearance(_fire, rate=(1.0, 2.5), sway=0.05),
    "Flute": Appearance(_flute, radius=(0.18, 0.3), swing=0.3, rate=(0.5, 1.0)),
    "Helicopter": Appearance(_helicopter, rate=(1.5, 3.5), sway=0.6),
    "Horn": Appearance(_horn, rate=(1.0, 2.5), swing=0.15),
    "Rain": Appearance(
        _rain, radius=(0.25, 0.42), rate=(0.8, 1.6), swing=0.0, contrast=(0.4, 0.8)
    ),
    "Saw": Appearance(_saw, radius=(0.13, 0.24), rate=(0.5, 1.5), sway=0.5),
    "Siren": Appearance(_siren, rate=(1.0, 2.5), swing=0.0, sway=0.05),
    "Waves": Appearance(_waves, radius=(0.25, 0.4), rate=(0.3, 0.8), swing=0.05),
    "Whistle": Appearance(_whistle, radius=(0.12, 0.22), rate=(1.5, 3.0), swing=0.3),
}

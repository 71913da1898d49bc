"""Simulated features over LLP's real annotations, for comparisons without the real features.

    python benchmarks/llp_like.py llp:DIR OUT [--world plain|lingering] [--seed N]

writes OUT/store, OUT/clap, OUT/clip, OUT/truth.csv and OUT/llp. OUT/store is used as any store:

    vaplan label llp:OUT/llp --store OUT/store --audio clap:OUT/clap --visual clip:OUT/clip --out OUT/labels.csv
    vaplan train plg --data llp:OUT/llp --store OUT/store --labels OUT/labels.csv --run RUN \\
        --set audio=legacy:vggish --set visual=[legacy:res152,legacy:r2plus1d_18]

Videos. All videos of val and test, with LLP's own dense labels, and 2,500 of the training videos, with LLP's own tags.
The store records the other training videos as failed, with the reason, so that every stage leaves them out. LLP has no
dense labels of training videos, so their events are simulated: each tag gets the segments in which the class is
audible and visible in a random val video with this tag. OUT/truth.csv contains these events; only oracles read it.
OUT/llp is a copy of the annotation files; in a world with wrong and missing tags its training tags differ from LLP's.

Features. A class is a direction of a latent space, close to a few others of its group. A segment is the sum of the
classes that are audible (or visible) in it, of the scene of its video, which is constant, and of noise that changes
slowly. The strength of a class varies between videos, equally for all encoders, and a class has a small part in the
segments next to its own. A legacy feature is a rectified random layer of this sum, with noise; both visual ones have
the same latent. CLAP's and CLIP's features are unit vectors of a rotated latent with another scene and other noise;
the vectors of their prompts (`sentence_models`) are the directions of the classes plus some noise and a constant gap.

Worlds. A world is a setting of this simulation. In `plain`, segments without the class are distributed equally in
tagged and untagged videos. In `lingering` they are not: every segment of a tagged video contains a share of the class,
events or not; scenes resemble classes that do not occur; classes differ in strength; the first segment of an event
contains less of it; noise has heavy tails; the strength varies within an event; 5 % of the training tags are missing
and as many are wrong.

Frozen. `plain` was frozen on 2026-11-23, before any method was tuned on it: the lengths of the noise were chosen so
that the F of PLG's labels, of HAN and of an oracle lie near the published ones; no other result was used. The values
at that time (segment-level, thresholds fitted on val) are: labels of the training videos 83.9 (audio) and 76.1
(visual), of val 83.0 and 73.8, of test 81.6 and 74.3. HAN with 256 hidden units, batches of 64, Adam 5e-4, 14 epochs,
bf16, one seed, Type@AV on val and test: weak labels 53.9 and 53.8, segment BCE on the dense truth 65.3 and 66.1, the
same with CLAP's and CLIP's features as additional inputs 69.7 and 69.6. The distance from HAN to the oracle is 12; the
aim was 9. `lingering` was frozen on 2026-11-27, before any rule except those of that day was tried on it: noise and
lingering were chosen so that, for these rules, the label F of the training videos lies near that of an independent
simulation (80.7 and 74.3 with thresholds fitted on val, 81.9 and 69.0 with `mixture`), and so that segments of tagged
videos without the class have an evidence 0.7 to 0.9 standard deviations above that of untagged videos.
"""

import argparse
import math
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, Float32
from sentence_models import make_clap, make_clip

from vaplan import encoders, stages
from vaplan.annotations import Annotations
from vaplan.annotations.table import event_rows, write_rows
from vaplan.arrays import AUDIO, MODALITIES, VISUAL
from vaplan.encoders import store_name
from vaplan.store import Entry, Store
from vaplan.timeline import from_grid

Grid = Bool[np.ndarray, "video time modality class"]
Latent = Float[np.ndarray, "video time latent"]
Directions = Float[np.ndarray, "class latent"]

TRAINING_VIDEOS = 2500
LATENT = 96  # dimensions


@dataclass(frozen=True)
class World:
    """Settings of the simulation.

    Attributes:
        noise: Length of the noise by kind of features, for audio and visual. A class has
            length 1.
        groups: Number of groups of classes that are easily confused.
        alike: Share of a direction that is that of its group.
        video_spread: Standard deviation of the logarithm of a class's strength in a video.
        class_spread: The same for its strength in all videos.
        segment_spread: The same for its strength in a segment.
        scene: Length of the scene.
        scene_class: Length of the part of the scene that looks like a random class.
        slow: Correlation of the noise of neighbouring segments.
        neighbour: Strength of a class in the segments next to its own.
        onset: Strength of a class in the first segment of an event.
        lingering: Strength of a tagged class in all segments of the video, for audio and
            visual.
        tails: Degrees of freedom of the noise; infinite for normal noise.
        wrong_tags: Share of the training tags that are missing, and share that are added.
    """

    noise: dict[str, tuple[float, float]]
    groups: int = 8
    alike: float = 0.75
    video_spread: float = 0.45
    class_spread: float = 0.0
    segment_spread: float = 0.0
    scene: float = 1.2
    scene_class: float = 0.0
    slow: float = 0.7
    neighbour: float = 0.15
    onset: float = 1.0
    lingering: tuple[float, float] = (0.0, 0.0)
    tails: float = math.inf
    wrong_tags: float = 0.0


WORLDS = {
    "plain": World(noise={"legacy": (1.9, 1.9), "sentence": (3.2, 2.9)}),
    "lingering": World(
        noise={"legacy": (1.9, 1.9), "sentence": (1.5, 1.1)},
        groups=6,
        alike=0.7,
        video_spread=0.35,
        class_spread=0.2,
        segment_spread=0.25,
        scene=1.0,
        scene_class=0.4,
        slow=0.5,
        neighbour=0.25,
        onset=0.5,
        lingering=(0.35, 0.25),
        tails=5.0,
        wrong_tags=0.05,
    ),
}
GRAIN = 0.5  # noise after the layer of a legacy feature
TEXT_NOISE = 0.3  # distance of a prompt from its class
GAP = 3.0  # between features and prompts
LEGACY = (
    ("legacy:vggish", AUDIO, 128),
    ("legacy:res152", VISUAL, 2048),
    ("legacy:r2plus1d_18", VISUAL, 512),
)
SENTENCE = (("clap", make_clap, 512), ("clip", make_clip, 512))
BLOCK = 512  # videos of a shard


def draw(data: Annotations, generator: np.random.Generator) -> tuple[Annotations, Grid]:
    """Draw the videos, and the classes that are audible and visible in each segment."""
    parts = data.by_split()
    chosen = np.sort(
        generator.choice(
            len(parts["train"].videos), size=TRAINING_VIDEOS, replace=False
        )
    )
    kept = data.select_videos(
        [parts["train"].ids[i] for i in chosen]
        + [*parts["val"].ids, *parts["test"].ids]
    )
    assert data.segments is not None
    truth, patterns = kept.reference(data.segments), _patterns(parts["val"])
    for v, tags in enumerate(kept.weak_label()[:TRAINING_VIDEOS]):
        for c in np.flatnonzero(tags):
            truth[v, :, :, c] = generator.choice(patterns[c])
    return kept, truth


def _patterns(val: Annotations) -> list[Bool[np.ndarray, "video time modality"]]:
    """Return for each class its segments in all val videos that have its tag and contain it."""
    assert val.segments is not None
    grids, tags = val.reference(val.segments), val.weak_label()
    return [
        grid[tagged & grid.any(axis=(1, 2))]
        for grid, tagged in zip(np.moveaxis(grids, 3, 0), tags.T, strict=True)
    ]


def class_directions(
    world: World, classes: int, generator: np.random.Generator
) -> Directions:
    """Draw one unit vector per class, in groups."""
    group = generator.normal(size=(world.groups, LATENT))[
        generator.integers(world.groups, size=classes)
    ]
    own = generator.normal(size=(classes, LATENT))
    return _unit(world.alike * group + np.sqrt(1 - world.alike**2) * own)


def class_strength(
    world: World,
    active: Bool[np.ndarray, "video time class"],
    tags: Bool[np.ndarray, "video class"],
    *,
    lingering: float,
    generator: np.random.Generator,
) -> Float[np.ndarray, "video time class"]:
    """Draw the strength of each class in each segment of one modality."""
    videos, _, classes = active.shape
    of_video = generator.lognormal(0.0, world.video_spread, size=(videos, 1, classes))
    strength = active * of_video
    if world.onset != 1:
        is_first = active & ~np.roll(active, 1, axis=1)
        is_first[:, 0] = False  # the event may have begun before the video
        strength = np.where(is_first, world.onset * strength, strength)
    if world.segment_spread:
        strength *= generator.lognormal(0.0, world.segment_spread, size=active.shape)
    before, after = np.zeros_like(strength), np.zeros_like(strength)
    before[:, :-1], after[:, 1:] = strength[:, 1:], strength[:, :-1]
    strength = np.maximum(strength, world.neighbour * (before + after))
    if lingering:
        share = lingering * generator.lognormal(0.0, 0.5, size=of_video.shape)
        strength = np.maximum(strength, share * tags[:, None])
    if world.class_spread:
        strength *= generator.lognormal(0.0, world.class_spread, size=classes)
    return strength


def _add_surroundings(
    content: Latent,
    world: World,
    *,
    noise: float,
    direction: Directions,
    generator: np.random.Generator,
) -> Latent:
    """Add the scene and slow noise to each segment."""
    videos, time, _ = content.shape
    scene, *fresh = generator.normal(size=(time + 1, videos, LATENT)) / np.sqrt(LATENT)
    slow = [fresh[0]]
    for step in fresh[1:]:
        slow.append(world.slow * slow[-1] + np.sqrt(1 - world.slow**2) * step)
    of_scene = world.scene * scene
    if world.scene_class:
        similar_class = generator.integers(len(direction), size=videos)
        of_scene += world.scene_class * direction[similar_class]
    of_segment = noise * np.stack(slow, axis=1)
    if world.tails < math.inf:
        squares = generator.chisquare(world.tails, size=(videos, time, 1))
        scale = np.sqrt((world.tails - 2) / squares)  # keeps the variance
        of_segment = of_segment * scale
    return content + (of_scene[:, None] + of_segment)


def legacy(
    latent: Latent, size: int, generator: np.random.Generator
) -> Float32[np.ndarray, "video time feature"]:
    """Apply a random rectified layer, with noise."""
    mixed = latent @ generator.normal(size=(LATENT, size)) + GRAIN * generator.normal(
        size=(*latent.shape[:2], size)
    )
    return np.maximum(mixed, 0).astype(np.float32)


def sentence(
    latent: Latent, direction: Directions, size: int, generator: np.random.Generator
) -> tuple[
    Float32[np.ndarray, "video time feature"], Float32[np.ndarray, "class feature"]
]:
    """Return features and the vectors of the prompts: unit vectors of one space."""
    rotation, _ = np.linalg.qr(generator.normal(size=(size, LATENT)))
    gap = GAP * _unit(generator.normal(size=size))
    noise = generator.normal(size=direction.shape) / np.sqrt(LATENT)
    prompt = direction + TEXT_NOISE * noise
    return _unit(latent @ rotation.T + gap).astype(np.float32), _unit(
        prompt @ rotation.T - gap
    ).astype(np.float32)


def simulate(
    world: World,
    truth: Grid,
    tags: Bool[np.ndarray, "video class"],
    generator: np.random.Generator,
    *,
    with_legacy: bool = True,
) -> tuple[dict[str, np.ndarray], list[tuple[np.ndarray, np.ndarray]]]:
    """Draw the features.

    Returns:
        The legacy features by name, and per modality the features and prompts of CLAP and
        CLIP.
    """
    classes = truth.shape[-1]
    plain, clear = dict[str, np.ndarray](), list[tuple[np.ndarray, np.ndarray]]()
    for modality, (_, _, width) in enumerate(SENTENCE):
        direction = class_directions(world, classes, generator)
        strength = class_strength(
            world,
            truth[:, :, modality],
            tags,
            lingering=world.lingering[modality],
            generator=generator,
        )
        content = strength @ direction

        add_surroundings = partial(
            _add_surroundings, content, world, direction=direction, generator=generator
        )
        if with_legacy:
            latent = add_surroundings(noise=world.noise["legacy"][modality])
            plain |= {
                name: legacy(latent, size, generator)
                for name, m, size in LEGACY
                if m == modality
            }
        latent = add_surroundings(noise=world.noise["sentence"][modality])
        clear.append(sentence(latent, direction, width, generator))
    return plain, clear


def change_tags(
    tags: Bool[np.ndarray, "video class"], share: float, generator: np.random.Generator
) -> Bool[np.ndarray, "video class"]:
    """Remove a share of the tags and add as many wrong ones; every video keeps a tag."""
    is_removed = tags & (generator.random(tags.shape) < share)
    is_removed &= (tags & ~is_removed).any(axis=1, keepdims=True)
    is_added = ~tags & (generator.random(tags.shape) < share * tags.mean())
    return (tags & ~is_removed) | is_added


def _unit(
    vectors: Float[np.ndarray, "*row feature"],
) -> Float[np.ndarray, "*row feature"]:
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def write(data: Annotations, out: Path, *, name: str, seed: int) -> None:
    """Write everything into the folder `out`."""
    world = WORLDS[name]
    generator = np.random.default_rng(seed)
    drawn, truth = draw(data, generator)
    tags = drawn.weak_label()
    events = zip(drawn.ids[:TRAINING_VIDEOS], truth, strict=False)
    write_rows(
        out / "truth.csv",
        [
            row
            for video, grid in events
            for row in event_rows(video, from_grid(grid, data.taxonomy))
        ],
    )
    plain, clear = simulate(world, truth, tags, generator)
    source = f"simulated by benchmarks/llp_like.py, world {name}, seed {seed}"
    for encoder_name, modality, size in LEGACY:
        about = {"dimension": size, "weights_sha256": source}
        _fill(
            out / "store",
            store_name(encoder_name, modality),
            about,
            (data, drawn),
            plain[encoder_name],
        )
    for modality, (kind, make, size) in enumerate(SENTENCE):
        vectors, text = clear[modality]
        folder = make(
            out / kind,
            [prompt for [prompt] in data.taxonomy.prompts(MODALITIES[modality])],
            text,
        )
        encoder = encoders.load(f"{kind}:{folder}", modality)
        about = {**encoder.provenance, "dimension": size, "simulated": source}
        _fill(
            out / "store",
            store_name(encoder.name, modality),
            about,
            (data, drawn),
            vectors,
        )
    changed = change_tags(tags[:TRAINING_VIDEOS], world.wrong_tags, generator)
    _write_annotations(data, drawn, changed, out / "llp")


def _write_annotations(
    data: Annotations,
    drawn: Annotations,
    tags: Bool[np.ndarray, "video class"],
    out: Path,
) -> None:
    """Copy LLP's annotation files, with other tags for the drawn training videos."""
    shutil.copytree(data.source, out)
    names = np.array(data.taxonomy.classes)
    tags_of = dict(zip(drawn.ids, (names[row] for row in tags), strict=False))
    path = out / "AVVP_train.csv"
    header, *lines = path.read_text(encoding="utf-8").splitlines()
    for number, line in enumerate(lines):
        video, rest = line.split("\t", 1)
        if video in tags_of:
            lines[number] = f"{video}\t{','.join(tags_of[video])}"
        else:
            lines[number] = f"{video}\t{rest}"
    path.write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")


def _fill(
    root: Path,
    name: str,
    about: dict[str, object],
    videos: tuple[Annotations, Annotations],
    vectors: Float32[np.ndarray, "video time feature"],
) -> None:
    """Write the features of one encoder, and the reason why the other videos have none."""
    data, drawn = videos
    mask = np.ones(vectors.shape[1], dtype=bool)
    entries = [
        Entry(video, vector, mask)
        for video, vector in zip(drawn.ids, vectors, strict=True)
    ]
    others = dict.fromkeys(data.ids).keys() - set(drawn.ids)
    reason = f"not among the {TRAINING_VIDEOS} training videos with simulated features"
    entries += [
        Entry(video, None, ~mask, "failed", reason)
        for video in data.ids
        if video in others
    ]
    store = Store.create(root, name, about, planned=data.ids)
    with store.open_writer() as writer:
        for block in _blocks(entries):
            writer.add(block)


def _blocks(entries: list[Entry]) -> Iterable[list[Entry]]:
    return (entries[start : start + BLOCK] for start in range(0, len(entries), BLOCK))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", help="LLP's annotation files, as llp:DIR")
    parser.add_argument("out", type=Path, help="a folder that does not exist yet")
    parser.add_argument(
        "--world", choices=WORLDS, default="plain", help="setting of the simulation"
    )
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True)
    data = stages.read_data(arguments.data)
    write(data, arguments.out, name=arguments.world, seed=arguments.seed)


if __name__ == "__main__":
    main()

"""Simulated features over LLP's real annotations, to compare methods where the real features cannot be had.

    python benchmarks/llp_like.py llp:DIR OUT

writes OUT/store, OUT/clap, OUT/clip and OUT/truth.csv. OUT/store is used as any store, with the data set as it is:

    vaplan label llp:DIR --store OUT/store --audio clap:OUT/clap --visual clip:OUT/clip --out OUT/labels.csv
    vaplan train plg --data llp:DIR --store OUT/store --labels OUT/labels.csv --run RUN \\
        --set audio=legacy:vggish --set visual=[legacy:res152,legacy:r2plus1d_18]

Videos. All of val and test, with LLP's own dense labels, and 2,500 of the training videos, with LLP's own tags; the
other training videos stand in the store as failed, with the reason, so that every stage leaves them out. Nobody has
labelled the training videos densely. What is hidden in them is drawn: each tag gets the seconds in which that class
was heard and seen in a val video that is tagged with it, chosen by chance. OUT/truth.csv is that hidden truth, for an
oracle alone.

Features. A class is a direction of a latent space, close to a few others of its kind. What a second holds is the sum
of the classes that are heard (or seen) in it, of its video's own scene, which stays the same, and of noise that
changes slowly; a class is stronger in one video than in another, for all encoders alike, and shows a little in the
seconds next to its own. A legacy feature is a rectified random layer of that, with noise; both visual ones look at
the same latent. CLAP's and CLIP's are unit vectors of a rotated latent with a scene and noise of its own; their text
towers (`sentence_models`) say each class's direction, off by some noise and by a constant gap.

Frozen on 2026-11-23, before any method was tuned on these features: the lengths of NOISE were chosen so that the F of
PLG's labels, HAN and an oracle lie near what is published or known of LLP, and nothing else was looked at. At that
time (segment-level, thresholds fitted on val): labels of the training videos 83.9 (audio) and 76.1 (visual), of val
83.0 and 73.8, of test 81.6 and 74.3. HAN with 256 hidden numbers, batches of 64, Adam 5e-4, 14 epochs, bf16, one
seed, Type@AV on val and test: weak labels 53.9 and 53.8, segment BCE on the hidden truth 65.3 and 66.1, the same with
CLAP's and CLIP's features beside the others 69.7 and 69.6. The distance from HAN to the oracle, 12, is larger than
the 9 aimed at.
"""

import argparse
from collections.abc import Iterable
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

TRAINING_VIDEOS = 2500
SEED = 0
LATENT = 96  # dimensions
KINDS, ALIKE = (
    8,
    0.75,
)  # groups of classes that are easily confused, and how much of a direction is the group's
SPREAD = 0.45  # of the logarithm of a class's strength in a video
SCENE = 1.2  # length of what stays the same in a video; a class is 1 long
SLOW = 0.7  # how much of a second's noise is that of the second before
NEIGHBOUR = 0.15  # how much of a class shows in the seconds next to its own
NOISE = {"legacy": (1.9, 1.9), "sentence": (3.2, 2.9)}  # length, for audio and visual
GRAIN = 0.5  # noise after the layer of a legacy feature
TEXT_NOISE = 0.3  # how far a sentence is from its class
GAP = 3.0  # between features and sentences
LEGACY = (
    ("legacy:vggish", AUDIO, 128),
    ("legacy:res152", VISUAL, 2048),
    ("legacy:r2plus1d_18", VISUAL, 512),
)
SENTENCE = (("clap", make_clap, 512), ("clip", make_clip, 512))
BLOCK = 512  # videos of a shard


def draw(data: Annotations, generator: np.random.Generator) -> tuple[Annotations, Grid]:
    """The videos there are features of, and what is heard and seen in each of their seconds."""
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
    """By class, when it was heard and seen in each val video that is tagged with it, and holds it."""
    assert val.segments is not None
    grids, tags = val.reference(val.segments), val.weak_label()
    return [
        grid[tagged & grid.any(axis=(1, 2))]
        for grid, tagged in zip(np.moveaxis(grids, 3, 0), tags.T, strict=True)
    ]


def class_directions(
    classes: int, generator: np.random.Generator
) -> Float[np.ndarray, "class latent"]:
    """One unit vector a class, in groups."""
    group = generator.normal(size=(KINDS, LATENT))[
        generator.integers(KINDS, size=classes)
    ]
    own = generator.normal(size=(classes, LATENT))
    return _unit(ALIKE * group + np.sqrt(1 - ALIKE**2) * own)


def spread_in_time(
    active: Float[np.ndarray, "video time class"],
) -> Float[np.ndarray, "video time class"]:
    """Each class a little in the seconds next to its own."""
    before, after = np.zeros_like(active), np.zeros_like(active)
    before[:, :-1], after[:, 1:] = active[:, 1:], active[:, :-1]
    return np.maximum(active, NEIGHBOUR * (before + after))


def surroundings(
    videos: int, time: int, noise: float, generator: np.random.Generator
) -> Latent:
    """All of a second that is no class: its video's scene, and slow noise."""
    scene, *fresh = generator.normal(size=(time + 1, videos, LATENT)) / np.sqrt(LATENT)
    slow = [fresh[0]]
    for step in fresh[1:]:
        slow.append(SLOW * slow[-1] + np.sqrt(1 - SLOW**2) * step)
    return SCENE * scene[:, None] + noise * np.stack(slow, axis=1)


def legacy(
    latent: Latent, size: int, generator: np.random.Generator
) -> Float32[np.ndarray, "video time feature"]:
    """A random rectified layer, with noise."""
    mixed = latent @ generator.normal(size=(LATENT, size)) + GRAIN * generator.normal(
        size=(*latent.shape[:2], size)
    )
    return np.maximum(mixed, 0).astype(np.float32)


def sentence(
    latent: Latent,
    direction: Float[np.ndarray, "class latent"],
    size: int,
    generator: np.random.Generator,
) -> tuple[
    Float32[np.ndarray, "video time feature"], Float32[np.ndarray, "class feature"]
]:
    """Features and the classes' sentences as unit vectors of one space."""
    rotation, _ = np.linalg.qr(generator.normal(size=(size, LATENT)))
    gap = GAP * _unit(generator.normal(size=size))
    said = direction + TEXT_NOISE * generator.normal(size=direction.shape) / np.sqrt(
        LATENT
    )
    return _unit(latent @ rotation.T + gap).astype(np.float32), _unit(
        said @ rotation.T - gap
    ).astype(np.float32)


def simulate(
    truth: Grid, generator: np.random.Generator
) -> tuple[dict[str, np.ndarray], list[tuple[np.ndarray, np.ndarray]]]:
    """The legacy features by name, and per modality the features and sentences of CLAP and CLIP."""
    videos, time, _, classes = truth.shape
    plain, clear = dict[str, np.ndarray](), list[tuple[np.ndarray, np.ndarray]]()
    for modality, (_, _, width) in enumerate(SENTENCE):
        direction = class_directions(classes, generator)
        strength = generator.lognormal(0.0, SPREAD, size=(videos, 1, classes))
        content = spread_in_time(truth[:, :, modality] * strength) @ direction
        latent = content + surroundings(
            videos, time, NOISE["legacy"][modality], generator
        )
        plain |= {
            name: legacy(latent, size, generator)
            for name, m, size in LEGACY
            if m == modality
        }
        latent = content + surroundings(
            videos, time, NOISE["sentence"][modality], generator
        )
        clear.append(sentence(latent, direction, width, generator))
    return plain, clear


def _unit(
    vectors: Float[np.ndarray, "*row feature"],
) -> Float[np.ndarray, "*row feature"]:
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def write(data: Annotations, out: Path) -> None:
    """Make everything below `out`."""
    generator = np.random.default_rng(SEED)
    drawn, truth = draw(data, generator)
    hidden = zip(drawn.ids[:TRAINING_VIDEOS], truth, strict=False)
    write_rows(
        out / "truth.csv",
        [
            row
            for video, grid in hidden
            for row in event_rows(video, from_grid(grid, data.taxonomy))
        ],
    )
    plain, clear = simulate(truth, generator)
    for name, modality, size in LEGACY:
        about = {
            "dimension": size,
            "weights_sha256": f"simulated by benchmarks/llp_like.py, seed {SEED}",
        }
        _fill(
            out / "store", store_name(name, modality), about, (data, drawn), plain[name]
        )
    for modality, (kind, make, size) in enumerate(SENTENCE):
        vectors, text = clear[modality]
        folder = make(
            out / kind,
            [prompt for [prompt] in data.taxonomy.prompts(MODALITIES[modality])],
            text,
        )
        encoder = encoders.load(f"{kind}:{folder}", modality)
        about = {
            **encoder.provenance,
            "dimension": size,
            "simulated": f"benchmarks/llp_like.py, seed {SEED}",
        }
        _fill(
            out / "store",
            store_name(encoder.name, modality),
            about,
            (data, drawn),
            vectors,
        )


def _fill(
    root: Path,
    name: str,
    about: dict[str, object],
    videos: tuple[Annotations, Annotations],
    vectors: Float32[np.ndarray, "video time feature"],
) -> None:
    """Write one encoder's features of the drawn videos, and why the others have none."""
    data, drawn = videos
    mask = np.ones(vectors.shape[1], dtype=bool)
    entries = [
        Entry(video, vector, mask)
        for video, vector in zip(drawn.ids, vectors, strict=True)
    ]
    lacking = dict.fromkeys(data.ids).keys() - set(drawn.ids)
    reason = f"not among the {TRAINING_VIDEOS} training videos with simulated features"
    entries += [
        Entry(video, None, ~mask, "failed", reason)
        for video in data.ids
        if video in lacking
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
    parser.add_argument("out", type=Path, help="a folder that is not there yet")
    given = parser.parse_args()
    given.out.mkdir(parents=True)
    write(stages.read_data(given.data), given.out)


if __name__ == "__main__":
    main()

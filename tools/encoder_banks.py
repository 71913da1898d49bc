"""What the embedded encoders are trained on: segments of the synthetic world, rendered once and varied every step.

Clips come from `vaplan.synthetic` with seeds from `FIRST_SEED` on, which no evaluation uses; their own dense truth
says what is in each segment.
"""

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from vaplan import synthetic
from vaplan.arrays import AUDIO
from vaplan.encoders import clip, spectrogram
from vaplan.timeline import to_grid

FIRST_SEED = 10_000  # evaluations use smaller ones
FRAMES_PER_CLIP, IN_SIGHT = (
    8,
    6,
)  # so many frames of a clip, and of those so many with something to see
LEAST_CHANGE = 15  # grey levels by which an object must change a pixel to be seen there
LEAST_SHARE = 0.15  # of a patch that an object must fill to be in it
NAMES = synthetic.TAXONOMY.classes


@dataclass(frozen=True)
class Bank:
    """Segments in the model's own input form, which classes each holds, and for pictures where.

    `where` holds, for every pixel, the number of the class seen there plus one, or zero.
    """

    inputs: Tensor
    truth: Tensor  # Float "segment class"
    where: Tensor | None = None  # uint8 "segment 1 height width"


@dataclass(frozen=True)
class Batch:
    """Varied segments; `places` says which class is in which patch of a picture."""

    inputs: Tensor
    truth: Tensor
    places: Tensor | None = None  # Float "segment patch class"


def frames_bank(clips: int, seed: int, processor: Any) -> Bank:
    """Frames of every clip, what is in sight at just that time, and where."""
    settings = clip.ImagePreprocessing.from_config(processor.to_dict())
    inputs, truth, where = [], [], []
    for planned in synthetic.plan_clips({"train": clips}, seed=seed):
        times = moments(planned)
        seen = np.array(
            [[in_sight(planned, name, at) for name in NAMES] for at in times]
        )
        frames = synthetic.frames(planned, times=times)
        inputs.append(clip.preprocess(frames, settings))
        truth.append(seen)
        where.append(class_map(planned, times, frames, seen))
    maps = torch.from_numpy(np.concatenate(where))[:, None]
    shrunk = functional.interpolate(maps, size=inputs[0].shape[2:], mode="nearest")
    return Bank(
        torch.cat(inputs), torch.from_numpy(np.concatenate(truth)).float(), shrunk
    )


def moments(planned: synthetic.Clip) -> np.ndarray:
    """When to look: mostly while there is something to see."""
    rng, every = (
        planned.rng("encoder training"),
        np.arange(0, planned.seconds, 1 / synthetic.FRAME_RATE_HZ),
    )
    busy = [
        at for at in every if any(in_sight(planned, name, at) for name in NAMES)
    ] or every
    chosen = [
        rng.choice(busy, size=IN_SIGHT),
        rng.choice(every, size=FRAMES_PER_CLIP - IN_SIGHT),
    ]
    return np.sort(np.concatenate(chosen))


def in_sight(planned: synthetic.Clip, name: str, at: float) -> bool:
    """Whether a class is seen at a time."""
    return any(
        onset <= at < offset for onset, offset in planned.spans("visual").get(name, [])
    )


def class_map(
    planned: synthetic.Clip, times: np.ndarray, frames: np.ndarray, seen: np.ndarray
) -> np.ndarray:
    """Which class is at which pixel: where the picture would be another one without it."""
    numbers = np.zeros(frames.shape[:3], np.uint8)
    for name in planned.spans("visual"):
        at, number = np.flatnonzero(seen[:, NAMES.index(name)]), NAMES.index(name) + 1
        others = tuple(
            e for e in planned.events if (e.modality, e.class_name) != ("visual", name)
        )
        if len(at):
            without = synthetic.frames(replace(planned, events=others), times=times[at])
            changed = (
                np.abs(frames[at].astype(np.int16) - without).max(axis=-1)
                > LEAST_CHANGE
            )
            numbers[at] = np.where(changed, number, numbers[at])
    return numbers


def sounds_bank(clips: int, seed: int, extractor: Any) -> Bank:
    """Every second of every clip, and what is heard for at least half of it."""
    settings = spectrogram.SoundPreprocessing.from_config(extractor.to_dict())
    bank, inputs, truth = spectrogram.mel_bank(settings), [], []
    for planned in synthetic.plan_clips({"train": clips}, seed=seed):
        seconds = int(planned.seconds)
        wave = torch.from_numpy(
            synthetic.waveform(planned)[: seconds * settings.rate_hz]
        )
        inputs.append(
            spectrogram.log_mel(
                wave.reshape(seconds, settings.rate_hz), settings, bank
            )[:, None]
        )
        truth.append(to_grid(planned.events, synthetic.TAXONOMY, seconds)[:, AUDIO])
    return Bank(torch.cat(inputs), torch.from_numpy(np.concatenate(truth)).float())


def seen_again(
    bank: Bank, rows: Tensor, rng: torch.Generator, *, patches: int
) -> Batch:
    """Frames mirrored, moved, relit and with the grain of a codec."""
    assert bank.where is not None
    frames, where, batch = bank.inputs[rows], bank.where[rows], len(rows)
    mirrored = torch.rand(batch, 1, 1, 1, generator=rng) < 0.5
    frames, where = (
        torch.where(mirrored, part.flip(-1), part) for part in (frames, where)
    )
    height, width = frames.shape[2:]
    reach = height // 16
    y, x = torch.randint(0, 2 * reach + 1, (2,), generator=rng).tolist()
    frames = functional.pad(frames, (reach,) * 4, mode="replicate")[
        :, :, y : y + height, x : x + width
    ]
    where = functional.pad(where, (reach,) * 4)[:, :, y : y + height, x : x + width]
    gain = 1 + 0.15 * torch.randn(batch, 1, 1, 1, generator=rng)
    light = 0.15 * torch.randn(batch, frames.shape[1], 1, 1, generator=rng)
    frames = frames * gain + light + 0.06 * torch.randn(frames.shape, generator=rng)
    return Batch(frames, bank.truth[rows], in_patches(where, patches))


def in_patches(where: Tensor, patches: int) -> Tensor:
    """Which class fills enough of which patch; `patches` is how many there are along an edge."""
    one_hot = (
        functional.one_hot(where[:, 0].long(), len(NAMES) + 1)[..., 1:]
        .permute(0, 3, 1, 2)
        .float()
    )
    share = functional.adaptive_avg_pool2d(one_hot, patches)
    return (share > LEAST_SHARE).float().flatten(2).transpose(1, 2)


def heard_again(bank: Bank, rows: Tensor, rng: torch.Generator) -> Batch:
    """Sounds louder or softer, shifted round the second, and over a noise floor."""
    mels, batch = bank.inputs[rows], len(rows)
    moved = mels.roll(int(torch.randint(0, mels.shape[2], (1,), generator=rng)), dims=2)
    level = moved + 5 * torch.randn(batch, 1, 1, 1, generator=rng)
    floor = (
        -75
        + 20 * torch.rand(batch, 1, 1, 1, generator=rng)
        + 3 * torch.randn(mels.shape, generator=rng)
    )
    nepers = math.log(10) / 10  # the two powers add, not the two decibels
    return Batch(
        torch.logaddexp(level * nepers, floor * nepers) / nepers, bank.truth[rows]
    )

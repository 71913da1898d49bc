"""The training data of the embedded encoders: synthetic segments, rendered once and augmented in every step.

Clips come from `vaplan.synthetic` with seeds from `FIRST_SEED` on, which no evaluation uses; their dense labels give
the classes of each segment.
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
FRAMES_PER_CLIP = 8
FRAMES_WITH_EVENT = 6  # of the frames of a clip
MIN_CHANGE = 15  # grey levels by which an object changes a pixel in which it is visible
MIN_SHARE = 0.15  # of a patch that an object fills if it is in the patch
NAMES = synthetic.TAXONOMY.classes


@dataclass(frozen=True)
class Bank:
    """Segments as inputs of the model, with their classes and, for frames, a map of the classes.

    `where` has for every pixel the index of the visible class plus one, or zero.
    """

    inputs: Tensor
    truth: Tensor  # Float "segment class"
    where: Tensor | None = None  # uint8 "segment 1 height width"


@dataclass(frozen=True)
class Batch:
    """Augmented segments; `patch_truth` has the classes of each patch of a frame."""

    inputs: Tensor
    truth: Tensor
    patch_truth: Tensor | None = None  # Float "segment patch class"


def make_frame_bank(clips: int, seed: int, processor: Any) -> Bank:
    """Render frames of every clip, with the visible classes and their pixels."""
    settings = clip.ImagePreprocessing.from_config(processor.to_dict())
    inputs, truth, where = [], [], []
    for planned in synthetic.plan_clips({"train": clips}, seed=seed):
        times = choose_times(planned)
        visible = np.array(
            [[is_visible(planned, name, at) for name in NAMES] for at in times]
        )
        frames = synthetic.frames(planned, times=times)
        inputs.append(clip.preprocess(frames, settings))
        truth.append(visible)
        where.append(class_map(planned, times, frames, visible))
    maps = torch.from_numpy(np.concatenate(where))[:, None]
    shrunk = functional.interpolate(maps, size=inputs[0].shape[2:], mode="nearest")
    return Bank(
        torch.cat(inputs), torch.from_numpy(np.concatenate(truth)).float(), shrunk
    )


def choose_times(planned: synthetic.Clip) -> np.ndarray:
    """Choose the times of the frames of a clip, mostly while an event is visible."""
    rng, every = (
        planned.rng("encoder training"),
        np.arange(0, planned.seconds, 1 / synthetic.FRAME_RATE_HZ),
    )
    with_event = [
        at for at in every if any(is_visible(planned, name, at) for name in NAMES)
    ] or every
    chosen = [
        rng.choice(with_event, size=FRAMES_WITH_EVENT),
        rng.choice(every, size=FRAMES_PER_CLIP - FRAMES_WITH_EVENT),
    ]
    return np.sort(np.concatenate(chosen))


def is_visible(planned: synthetic.Clip, name: str, at: float) -> bool:
    """Return whether a class is visible at a time."""
    return any(
        onset <= at < offset for onset, offset in planned.spans("visual").get(name, [])
    )


def class_map(
    planned: synthetic.Clip, times: np.ndarray, frames: np.ndarray, visible: np.ndarray
) -> np.ndarray:
    """Map the classes to pixels: those that differ from a frame that is rendered without the class."""
    numbers = np.zeros(frames.shape[:3], np.uint8)
    for name in planned.spans("visual"):
        number = NAMES.index(name) + 1
        at = np.flatnonzero(visible[:, NAMES.index(name)])
        others = tuple(
            e for e in planned.events if (e.modality, e.class_name) != ("visual", name)
        )
        if len(at):
            without = synthetic.frames(replace(planned, events=others), times=times[at])
            changed = (
                np.abs(frames[at].astype(np.int16) - without).max(axis=-1) > MIN_CHANGE
            )
            numbers[at] = np.where(changed, number, numbers[at])
    return numbers


def make_audio_bank(clips: int, seed: int, extractor: Any) -> Bank:
    """Render every second of every clip, with the classes that are audible for at least half of it."""
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


def augment_frames(
    bank: Bank, rows: Tensor, rng: torch.Generator, *, patches: int
) -> Batch:
    """Mirror, shift and relight frames, and add noise as a codec does."""
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
    """Find the classes that fill enough of each patch.

    Args:
        where: Map of the classes; see `Bank`.
        patches: Number of patches along an edge.
    """
    one_hot = (
        functional.one_hot(where[:, 0].long(), len(NAMES) + 1)[..., 1:]
        .permute(0, 3, 1, 2)
        .float()
    )
    share = functional.adaptive_avg_pool2d(one_hot, patches)
    return (share > MIN_SHARE).float().flatten(2).transpose(1, 2)


def augment_audio(bank: Bank, rows: Tensor, rng: torch.Generator) -> Batch:
    """Change the level of audio, shift it cyclically within its second, and add a noise floor."""
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

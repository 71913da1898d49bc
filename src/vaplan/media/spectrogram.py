"""A spectrogram for the eye: a file of levels that is read in pieces, however long the audio is."""

from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import BinaryIO

import numpy as np
from jaxtyping import Float64, UInt8

from vaplan.media.audio import AudioTrack
from vaplan.media.container import (
    Limits,
    MemoryBudget,
    check_regular_file,
    open_media,
)
from vaplan.media.playback import LIMITS, Advance
from vaplan.media.sampling import Sampling
from vaplan.writing import write_atomically

RATE_HZ = 16_000  # sample rate
WINDOW = 1024  # samples
HOP = 320  # samples
FRAMES_HZ = RATE_HZ // HOP
BANDS = 64
QUIETEST = -100.0  # decibels of level 0; level 255 is a sine of full scale
COARSER = 4  # frames that are one frame of the next resolution
FEWEST = 512  # frames; no resolution follows one that has as few
HEADER = 16  # numbers
CHUNK = 2048  # frames that are pooled at a time


def write_spectrogram(
    media: Path,
    out: Path,
    *,
    advance: Advance | None = None,
    limits: Limits = LIMITS,
) -> None:
    """Write the log-mel spectrogram of a file's audio in several resolutions.

    The file begins with 16 numbers (uint32, little endian): the frames of each resolution,
    then zeros. The resolutions follow, the finest with 50 frames a second first. A frame has
    64 levels, one byte each, the lowest band first. A frame of the next resolution has the
    highest levels of four frames. Time zero is the container's start.

    Args:
        media: Media file.
        out: File to write.
        advance: Called with the seconds that are done.
        limits: Limits of the file's cost.

    Raises:
        MediaError: It is no media file, or it exceeds a limit.
        MachineError: The file cannot be written.
    """
    levels = spectrogram_levels(media, advance=advance, limits=limits)
    write_atomically(out, partial(_write_resolutions, levels))


def spectrogram_levels(
    media: Path, *, advance: Advance | None = None, limits: Limits = LIMITS
) -> Iterator[UInt8[np.ndarray, "frame band"]]:
    """Yield the levels of a file's audio, piece by piece.

    Args:
        media: Media file.
        advance: Called with the seconds that are done.
        limits: Limits of the file's cost.

    Raises:
        MediaError: It is no media file, or it exceeds a limit.
    """
    bank = mel_bank()
    budget = MemoryBudget(limits.max_bytes)
    edge = np.zeros((WINDOW - HOP) // 2, np.float32)
    samples = edge
    with open_media(check_regular_file(media), limits) as container:
        track = AudioTrack(container, Sampling(rate_hz=RATE_HZ), limits, budget)
        for second, segment in enumerate(track.segments(), 1):
            samples = np.concatenate([samples, segment.waveform])
            levels = _levels(samples, bank)
            samples = samples[len(levels) * HOP :]
            yield levels
            budget.used = 0  # the segment is not kept
            if advance:
                advance(float(second))
        yield _levels(np.concatenate([samples, edge]), bank)


def mel_bank() -> Float64[np.ndarray, "frequency band"]:
    """Compute the weight of each frequency in each band, on the HTK mel scale."""
    frequency = np.fft.rfftfreq(WINDOW, 1 / RATE_HZ)
    highest_mel = 2595 * np.log10(1 + RATE_HZ / 2 / 700)
    mels = np.linspace(0, highest_mel, BANDS + 2)
    corners = 700 * (10 ** (mels / 2595) - 1)
    widths = np.diff(corners)
    rise = (frequency[:, None] - corners[:-2]) / widths[:-1]
    fall = (corners[2:] - frequency[:, None]) / widths[1:]
    return np.maximum(0, np.minimum(rise, fall))


def _levels(
    samples: np.ndarray, bank: Float64[np.ndarray, "frequency band"]
) -> UInt8[np.ndarray, "frame band"]:
    """Return the levels of all whole windows, which begin `HOP` samples apart."""
    if len(samples) < WINDOW:
        return np.empty((0, BANDS), np.uint8)
    windows = np.lib.stride_tricks.sliding_window_view(samples, WINDOW)[::HOP]
    weights = np.hanning(WINDOW + 1)[:-1]
    waves = np.fft.rfft(windows * weights) / (weights.sum() / 2)
    power = np.square(np.abs(waves)) @ bank
    decibels = 10 * np.log10(np.maximum(power, 1e-30))
    share = 1 - decibels / QUIETEST
    levels: np.ndarray = (share.clip(0, 1) * 255).round().astype(np.uint8)
    return levels


def _write_resolutions(levels: Iterable[np.ndarray], out: Path) -> None:
    counts = [0]
    with out.open("w+b") as file:
        file.write(bytes(4 * HEADER))
        for piece in levels:
            file.write(piece.tobytes())
            counts[0] += len(piece)
        while counts[-1] > FEWEST:
            counts.append(_write_coarser(file, counts))
        file.seek(0)
        file.write(np.array(counts, "<u4").tobytes())


def _write_coarser(file: BinaryIO, counts: list[int]) -> int:
    """Append the next resolution to those that a file has; return its number of frames."""
    start = 4 * HEADER + sum(counts[:-1]) * BANDS
    frames = 0
    for first in range(0, counts[-1], CHUNK):
        file.seek(start + first * BANDS)
        size = min(CHUNK, counts[-1] - first)
        piece = np.frombuffer(file.read(size * BANDS), np.uint8).reshape(-1, BANDS)
        pooled = np.maximum.reduceat(piece, np.arange(0, size, COARSER))
        file.seek(0, 2)
        file.write(pooled.tobytes())
        frames += len(pooled)
    return frames

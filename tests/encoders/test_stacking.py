"""Batches across videos: near the vectors of each video alone, and smaller when memory is short."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.encoders.conftest import noise
from vaplan import encoders
from vaplan.arrays import AUDIO, VISUAL
from vaplan.encoders.compute import PLAIN
from vaplan.encoders.stacking import SMALLEST_BATCH, Stacker, is_stackable
from vaplan.media import Segments


@dataclass
class Loudness:
    """A device whose memory is enough for batches of some size."""

    capacity: int
    problem: str = "CUDA out of memory. Tried to allocate 2 GiB"
    sizes: list[int] = field(default_factory=list)

    def inputs(self, segments: Segments) -> Tensor:
        levels = [np.abs(segments.audio(t)).mean() for t in range(len(segments))]
        return torch.tensor(levels)[:, None]

    def encode(self, batch: Tensor) -> Tensor:
        self.sizes.append(len(batch))
        if len(batch) > self.capacity:
            raise RuntimeError(self.problem)
        return torch.cat([batch, 1 - batch], dim=1)

    def combine(self, segments: Segments, vectors: np.ndarray) -> np.ndarray:
        assert len(segments) == len(vectors)
        return vectors


def test_videos_share_batches_and_get_nearly_the_vectors_that_each_has_alone(
    clip_folder: Path, clap_folder: Path
) -> None:
    wide, tall = noise(3, frames=2, seed=1), noise(4, side=(80, 40), seed=2)
    for name, modality in (
        (f"clip:{clip_folder}", VISUAL),
        (f"clap:{clap_folder}", AUDIO),
    ):
        encoder = encoders.load(name, modality)
        assert is_stackable(encoder)
        stacked = Stacker(encoder, PLAIN).launch([wide, tall, wide])()
        for rows, segments in zip(stacked, [wide, tall, wide], strict=True):
            assert (rows * encoder.embed(segments)).sum(axis=1).min() > 1 - 1e-5


def test_a_missing_segment_has_zeros_in_a_shared_batch(clap_folder: Path) -> None:
    whole = noise(3)
    whole.mask[1, AUDIO] = False
    encoder = encoders.load(f"clap:{clap_folder}", AUDIO)
    assert is_stackable(encoder)
    (rows,) = Stacker(encoder, PLAIN).launch([whole])()
    assert np.linalg.norm(rows, axis=1).round(3).tolist() == [1, 0, 1]


def test_windows_of_the_whole_audio_share_no_batch(clap_folder: Path) -> None:
    assert not is_stackable(encoders.load(f"clap:{clap_folder}?context=clip", AUDIO))


def test_too_large_a_batch_is_halved_for_good_with_one_warning_each_time(
    capsys: pytest.CaptureFixture[str],
) -> None:
    device = Loudness(capacity=20)
    stacker = Stacker(device, PLAIN, largest_batch=64)
    videos = [noise(40, side=(2, 2), seed=seed) for seed in (1, 2)]
    expected = Stacker(Loudness(capacity=64), PLAIN, largest_batch=64).launch(videos)()
    for _ in range(2):
        for rows, wanted in zip(stacker.launch(videos)(), expected, strict=True):
            np.testing.assert_array_equal(rows, wanted)
    assert device.sizes == [64, 32, *[16] * 10]
    warnings = capsys.readouterr().err.splitlines()
    assert [line.partition(";")[0] for line in warnings] == [
        f"warning: a batch of {size} rows exceeds the memory of cpu"
        for size in (64, 32)
    ]


def test_a_small_batch_that_is_too_large_is_halved_too() -> None:
    device = Loudness(capacity=8)
    Stacker(device, PLAIN).launch([noise(3, side=(2, 2))])()
    assert device.sizes == [SMALLEST_BATCH, 8]


@pytest.mark.parametrize("problem", ["CUDA out of memory", "a kernel failed"])
def test_other_errors_and_too_little_memory_for_one_row_are_raised(
    problem: str,
) -> None:
    device = Loudness(capacity=0, problem=problem)
    with pytest.raises(RuntimeError, match=problem):
        Stacker(device, PLAIN).launch([noise(3, side=(2, 2))])
    assert len(device.sizes) == (5 if "memory" in problem else 1)

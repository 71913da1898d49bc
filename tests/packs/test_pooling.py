"""Averages before and after a projection are equal, and are those of the published networks."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from tests.oracles import packs as oracle
from vaplan.packs.pooling import mean, mean_of_tokens, side_by_side


@given(st.integers(1, 6), st.integers(1, 5), st.integers(1, 4), st.integers(0, 99))
def test_frames_and_positions_are_averaged_as_by_hand(
    segments: int, share: int, size: int, seed: int
) -> None:
    generator = np.random.default_rng(seed)
    frames = generator.standard_normal((segments * share, size))
    assert np.allclose(
        mean(frames, segments), oracle.mean_of_frames(frames, segments), atol=1e-12
    )
    maps = generator.standard_normal((segments, share, size, 2))
    assert np.allclose(mean(maps, segments), oracle.mean_of_positions(maps), atol=1e-12)


def test_projecting_frames_then_pooling_is_pooling_then_projecting() -> None:
    torch.manual_seed(0)
    frames, projection = torch.randn(80, 32), nn.Linear(32, 8)
    with torch.no_grad():
        after = nn.functional.avg_pool2d(projection(frames)[None], (8, 1))[0]
        before = projection(torch.from_numpy(mean(frames.numpy(), 10)))
    assert torch.allclose(before, after, atol=1e-5)


@pytest.mark.parametrize("segments", [10, 8, 1])
def test_projecting_tokens_then_pooling_is_pooling_then_projecting(
    segments: int,
) -> None:
    torch.manual_seed(0)
    tokens, projection = torch.randn(64, 16).numpy(), nn.Linear(16, 8)
    with torch.no_grad():
        after = oracle.project_then_pool_tokens(tokens, projection, segments)
        before = projection(torch.from_numpy(mean_of_tokens(tokens, segments)))
    assert torch.allclose(before, after, atol=1e-5)


def test_equal_tokens_stay_as_they_are() -> None:
    assert np.allclose(mean_of_tokens(np.full((64, 3), 5.0), 10), 5.0)


def test_tokens_count_most_in_their_own_second_whatever_their_frequency() -> None:
    for low, high, second in ((0, 32, 0), (15, 47, 4), (31, 63, 9)):
        for token in (low, high):
            tokens = np.zeros((64, 1))
            tokens[token] = 1
            assert int(mean_of_tokens(tokens, 10).argmax()) == second


def test_kept_whole_nothing_is_lost_and_channels_stay_last() -> None:
    maps = np.arange(2 * 3 * 3 * 4, dtype=np.float32).reshape(2, 3, 3, 4)
    whole = side_by_side(maps, 2)
    assert (whole.reshape(maps.shape) == maps).all()
    assert whole[1, :4].tolist() == maps[1, 0, 0].tolist()


def test_half_precision_is_summed_in_single() -> None:
    frames = np.full((80, 1), 60_000, np.float16)
    assert mean(frames, 10).dtype == np.float32
    assert (mean(frames, 10) == np.float32(frames[0, 0])).all()
    assert mean(frames.astype(np.float64), 10).dtype == np.float64

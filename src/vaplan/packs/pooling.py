"""Poolings: from the array of a pack to one vector for each segment.

A segment with several vectors gets their mean, or all of them in one vector. Every mean is
linear, as are the first projections of the published networks: the mean before the projection
equals the mean after it, which those networks compute.
"""

from collections.abc import Callable, Mapping
from functools import cache

import numpy as np
import torch
from jaxtyping import Float
from torch.nn import functional

FREQUENCY_BINS = 2  # of CLAP's tokens
TIME_STEPS = 1024  # of VALOR's interpolation

Array = Float[np.ndarray, "*frame channel"]
Segments = Float[np.ndarray, "time feature"]


def concatenate(array: Array, segments: int) -> Segments:
    """Join all numbers of a segment: its frames, or the positions of its feature map.

    >>> concatenate(np.array([[0.0], [2.0], [4.0], [6.0]]), 2).tolist()
    [[0.0, 2.0], [4.0, 6.0]]

    Args:
        array: Array of one video.
        segments: Number of segments; it divides the number of frames.
    """
    return array.reshape(segments, -1)


def mean(array: Array, segments: int) -> Segments:
    """Average the frames of a segment as HAN's network does, or the positions of its map.

    >>> mean(np.array([[0.0], [2.0], [4.0], [6.0]]), 2).tolist()
    [[1.0], [5.0]]

    Args:
        array: Array of one video.
        segments: Number of segments; it divides the number of frames.

    Source: Tian et al., ECCV 2020, arXiv 2007.10558.
    """
    channels = array.shape[-1]
    vectors = array.reshape(segments, -1, channels)
    pooled: np.ndarray = vectors.mean(axis=1, dtype=_sum_dtype(array))
    return pooled


def mean_of_tokens(
    tokens: Float[np.ndarray, "frame feature"], segments: int
) -> Segments:
    """Average CLAP's tokens over segments as VALOR's network does.

    The map of tokens is interpolated in time (bicubic), averaged over frequency, and averaged
    over each segment's share of the time axis.

    Args:
        tokens: Tokens of one video, by frequency bin and then by time.
        segments: Number of segments.

    Source: Lai et al., NeurIPS 2023, arXiv 2305.17343.
    """
    weights = _token_weights(len(tokens), segments)
    pooled: np.ndarray = weights @ tokens
    return pooled.astype(_sum_dtype(tokens))


@cache
def _token_weights(tokens: int, segments: int) -> Float[np.ndarray, "time frame"]:
    """Compute the weight of each token in each segment.

    The weights of a token are the pooled map that is one at this token and zero elsewhere.
    """
    unit_vectors = torch.eye(tokens, dtype=torch.float64)
    unit_maps = unit_vectors.reshape(tokens, FREQUENCY_BINS, -1)
    fine_maps = functional.interpolate(
        unit_maps[None],
        (FREQUENCY_BINS, TIME_STEPS),
        mode="bicubic",
        align_corners=False,
    )
    time_lines = fine_maps.mean(dim=2)
    segment_means = functional.adaptive_avg_pool1d(time_lines, segments)
    weights: np.ndarray = segment_means[0].T.numpy()
    return weights


def _sum_dtype(array: np.ndarray) -> np.dtype:
    """Return at least single precision; half precision is too coarse for sums."""
    return np.result_type(array, np.float32)


POOLINGS: Mapping[str, Callable[[np.ndarray, int], Segments]] = {
    "side by side": concatenate,
    "mean": mean,
    "mean of tokens": mean_of_tokens,
}

"""Pooling of a pack's array to one vector a segment: a mean, or all vectors side by side.

A mean is linear, and so are the projections in the first layer of the published networks.
Averaging before the projection therefore equals averaging after it.
"""

from collections.abc import Callable, Mapping
from functools import cache

import numpy as np
import torch
from jaxtyping import Float
from torch.nn import functional

FREQUENCY_BINS = 2  # of CLAP's tokens
FINE_STEPS = 1024  # of the time axis that VALOR pools

Array = Float[np.ndarray, "*frame channel"]
Segments = Float[np.ndarray, "time feature"]


def side_by_side(array: Array, segments: int) -> Segments:
    """Concatenate the vectors of a segment: those of its frames or of the regions of a map.

    Args:
        array: Array of a video.
        segments: Number of segments.

    >>> side_by_side(np.array([[0.0], [2.0], [4.0], [6.0]]), 2).tolist()
    [[0.0, 2.0], [4.0, 6.0]]
    """
    return array.reshape(segments, -1)


def mean(array: Array, segments: int) -> Segments:
    """Average the vectors of a segment, as the network of HAN does.

    Args:
        array: Array of a video, with equally many vectors for each segment.
        segments: Number of segments.

    Source: Tian et al., ECCV 2020, arXiv 2007.10558.

    >>> mean(np.array([[0.0], [2.0], [4.0], [6.0]]), 2).tolist()
    [[1.0], [5.0]]
    """
    vectors = array.reshape(segments, -1, array.shape[-1])
    pooled: np.ndarray = vectors.mean(axis=1, dtype=_wide(array))
    return pooled


def mean_of_tokens(
    tokens: Float[np.ndarray, "frame feature"], segments: int
) -> Segments:
    """Average CLAP's tokens over segments, as the network of VALOR does.

    The map of tokens is interpolated in time (bicubic), averaged over frequency, and averaged
    over the time of each segment.

    Args:
        tokens: Tokens of a video, one frequency bin after the other, each in time order.
        segments: Number of segments.

    Source: Lai et al., NeurIPS 2023, arXiv 2305.17343.
    """
    pooled: np.ndarray = _token_weights(len(tokens), segments) @ tokens
    return pooled.astype(_wide(tokens))


@cache
def _token_weights(tokens: int, segments: int) -> Float[np.ndarray, "time frame"]:
    """Compute the weight of each token in each segment, from maps that are 1 at one token."""
    units = torch.eye(tokens, dtype=torch.float64).reshape(tokens, FREQUENCY_BINS, -1)
    fine = functional.interpolate(
        units[None], (FREQUENCY_BINS, FINE_STEPS), mode="bicubic", align_corners=False
    )
    pooled = functional.adaptive_avg_pool1d(fine.mean(dim=2), segments)
    weights: np.ndarray = pooled[0].T.numpy()
    return weights


def _wide(array: np.ndarray) -> np.dtype:
    """Return a number type for sums; half precision is too coarse."""
    return np.result_type(array, np.float32)


POOLINGS: Mapping[str, Callable[[np.ndarray, int], Segments]] = {
    "side by side": side_by_side,
    "mean": mean,
    "mean of tokens": mean_of_tokens,
}

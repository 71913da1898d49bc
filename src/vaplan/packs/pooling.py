"""From a pack's array to one vector a segment: a mean where a segment has several vectors, or all
of them in a row.

Every mean is linear, as are the projections that published networks begin with, so to average
before projecting gives what those networks get by averaging after.
"""

from collections.abc import Callable, Mapping
from functools import cache

import numpy as np
import torch
from jaxtyping import Float
from torch.nn import functional

FREQUENCY_BINS, FINE_STEPS = (
    2,
    1024,
)  # of CLAP's tokens, and of the time axis VALOR pools

Array = Float[np.ndarray, "*frame channel"]
Segments = Float[np.ndarray, "time feature"]


def side_by_side(array: Array, segments: int) -> Segments:
    """All numbers of a segment in a row: its frames, or the positions of its picture, one after
    the other.

    >>> side_by_side(np.array([[0.0], [2.0], [4.0], [6.0]]), 2).tolist()
    [[0.0, 2.0], [4.0, 6.0]]
    """
    return array.reshape(segments, -1)


def mean(array: Array, segments: int) -> Segments:
    """The mean over the equally many frames of a segment, as HAN's own network takes it, or over
    its picture.

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
    """CLAP's tokens (frequency bin by bin, each in time order) to segments, as VALOR's network
    does it.

    The map of tokens is made finer in time by bicubic interpolation, averaged over frequency, and
    averaged over each segment's share of the time axis.

    Source: Lai et al., NeurIPS 2023, arXiv 2305.17343.
    """
    pooled: np.ndarray = _token_weights(len(tokens), segments) @ tokens
    return pooled.astype(_wide(tokens))


@cache
def _token_weights(tokens: int, segments: int) -> Float[np.ndarray, "time frame"]:
    """How much each token counts in each segment: the interpolation of maps that are one at one
    token."""
    units = torch.eye(tokens, dtype=torch.float64).reshape(tokens, FREQUENCY_BINS, -1)
    fine = functional.interpolate(
        units[None], (FREQUENCY_BINS, FINE_STEPS), mode="bicubic", align_corners=False
    )
    weights: np.ndarray = functional.adaptive_avg_pool1d(fine.mean(dim=2), segments)[
        0
    ].T.numpy()
    return weights


def _wide(array: np.ndarray) -> np.dtype:
    """Half precision is too coarse to sum in."""
    return np.result_type(array, np.float32)


POOLINGS: Mapping[str, Callable[[np.ndarray, int], Segments]] = {
    "side by side": side_by_side,
    "mean": mean,
    "mean of tokens": mean_of_tokens,
}

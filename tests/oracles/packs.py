"""Published features to segments, number by number, and as the published networks take them."""

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional


def mean_of_frames(frames: np.ndarray, segments: int) -> np.ndarray:
    pooled = np.zeros((segments, frames.shape[1]))
    share = len(frames) // segments
    for t in range(segments):
        for f in range(t * share, (t + 1) * share):
            pooled[t] += frames[f] / share
    return pooled


def mean_of_positions(maps: np.ndarray) -> np.ndarray:
    pooled = np.zeros((maps.shape[0], maps.shape[-1]))
    for t, picture in enumerate(maps):
        for row in picture:
            for position in row:
                pooled[t] += position / (maps.shape[1] * maps.shape[2])
    return pooled


def project_then_pool_tokens(
    tokens: np.ndarray, projection: nn.Linear, segments: int
) -> Tensor:
    """CLAP's tokens in VALOR's order: finer map, projection, mean over frequency, mean over each segment's steps."""
    steps = len(tokens) // 2
    maps = torch.zeros(1, tokens.shape[1], 2, steps)
    for b in range(2):
        for s in range(steps):
            maps[0, :, b, s] = torch.from_numpy(tokens[b * steps + s])
    fine = functional.interpolate(maps, (2, 1024), mode="bicubic", align_corners=False)[
        0
    ]
    projected = projection(fine.permute(1, 2, 0)).mean(dim=0)
    rows = []
    for t in range(segments):
        first, last = (t * 1024) // segments, -((-(t + 1) * 1024) // segments)
        rows.append(projected[first:last].mean(dim=0))
    return torch.stack(rows)

"""Ranking of a video's tags: a score without threshold and calibration.

Source: label ranking average precision, Schapire, Singer, Machine Learning, 2000.
"""

import numpy as np
from jaxtyping import Bool, Float


def ranking_precision(
    tags: Bool[np.ndarray, "video class"], score: Float[np.ndarray, "video class"]
) -> Float[np.ndarray, " video"]:
    """Compute the label ranking average precision of each video.

    For each tag, the precision is the share of tags among the classes that score at
    least as high; the result is the mean over the tags.

    Args:
        tags: Tags of the videos.
        score: Score of each class in each video; larger is more probable.

    Returns:
        One number a video, in [0, 1]; NaN for a video without tags.

    >>> ranking_precision(np.array([[True, False, True]]), np.array([[0.9, 0.8, 0.7]])).round(3)
    array([0.833])
    """
    # axes: video, class, competing class
    is_as_high = score[:, None, :] >= score[:, :, None]
    is_tag_as_high = is_as_high & tags[:, None]
    rank = is_as_high.sum(axis=2)
    precision = is_tag_as_high.sum(axis=2) / rank
    precision_sum = (precision * tags).sum(axis=1)
    tag_count = tags.sum(axis=1)
    mean = precision_sum / np.maximum(tag_count, 1)
    return np.where(tag_count > 0, mean, np.nan)

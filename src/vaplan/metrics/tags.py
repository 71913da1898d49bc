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
    scores_as_high = score[:, None, :] >= score[:, :, None]  # video, class, competitor
    tags_as_high = (scores_as_high & tags[:, None]).sum(axis=2)
    precision = tags_as_high / scores_as_high.sum(axis=2)
    total = (precision * tags).sum(axis=1)
    count = tags.sum(axis=1)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)

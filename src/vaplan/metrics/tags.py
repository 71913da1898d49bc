"""How well a video's tags are told, by the order of its classes alone: no threshold, no
calibration.

Source: label ranking average precision, Schapire, Singer, Machine Learning, 2000.
"""

import numpy as np
from jaxtyping import Bool, Float


def ranking_precision(
    tags: Bool[np.ndarray, "video class"], score: Float[np.ndarray, "video class"]
) -> Float[np.ndarray, " video"]:
    """Per video the mean, over its tags, of the share of tags among the classes that score no
    lower; NaN without tags.

    Args:
        tags: Tags of the videos.
        score: Score of each class in each video; larger is more probable.

    >>> ranking_precision(np.array([[True, False, True]]), np.array([[0.9, 0.8, 0.7]])).round(3)
    array([0.833])
    """
    no_lower = score[:, None, :] >= score[:, :, None]  # "video class other"
    right = (no_lower & tags[:, None]).sum(axis=2) / no_lower.sum(axis=2)
    count = tags.sum(axis=1)
    return np.where(
        count > 0, (right * tags).sum(axis=1) / np.maximum(count, 1), np.nan
    )

"""Labels from probabilities: the segments of an event with the highest expected F.

A threshold of one half maximises the number of right labels. The metric of the field is the F
of each class in each video. There a missed event costs more than a few superfluous
segments, so that uncertain segments of a probable event are labelled too.

Source of the plug-in rule: Ye, Chai, Lee, Chieu, Optimizing F-measure, ICML 2012. The gate is our
own choice.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from vaplan.pseudo_labels.hmm import LabelProbability
from vaplan.ragged import Index, Ragged

GATE = 0.1  # least probability that a class occurs in a modality of a video


def labels_of_highest_expected_f(
    probability: LabelProbability, *, gate: float = GATE
) -> Ragged[Tensor]:
    """Mark the segments of each class, modality and video with the highest expected F.

    Args:
        probability: Probabilities of the labels.
        gate: Least probability that a class occurs in a modality; below it no segment is
            marked.

    Returns:
        Labels, Bool "segment modality class".
    """
    segment = probability.segment
    occurs = probability.modality >= gate

    def mark(videos: Index) -> Tensor:
        return mark_most_probable(segment.batch(videos)) & occurs[videos][:, None]

    return Ragged.from_groups(segment.lengths, mark)


def mark_most_probable(
    probability: Float[Tensor, "video time modality class"],
) -> Bool[Tensor, "video time modality class"]:
    """Mark the k most probable segments; k maximises an estimate of the expected F.

    The estimate is `2 * p / (k + n)`, where p is the sum of the probabilities of the marked
    segments and n is that of all segments.

    Args:
        probability: Probability of each label; segments of probability 0 are not marked.
    """
    descending, order = probability.sort(dim=1, descending=True, stable=True)
    total = probability.sum(dim=1, keepdim=True)
    count = torch.arange(1, probability.shape[1] + 1)[:, None, None]
    f = 2 * descending.cumsum(dim=1) / (count + total)
    last = f.argmax(dim=1, keepdim=True)
    rank = order.argsort(dim=1)
    return (rank <= last) & (probability > 0)

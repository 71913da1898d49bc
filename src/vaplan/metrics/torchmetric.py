"""The numbers of LLP and AVE as `torchmetrics.Metric`.

Metrics are updated batch by batch and added up over processes. As in all torchmetrics
classes, `update` takes the estimate first and the reference second, unlike the other
functions of this package. Counting is done on the CPU.
"""

import math
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Int
from torch import Tensor

from vaplan.errors import MissingExtra
from vaplan.metrics.ave import ave_scores
from vaplan.metrics.llp import KINDS, LEVELS, LLPSum, llp_scores

try:
    from torchmetrics import Metric
except ImportError as error:
    raise MissingExtra(
        "torchmetrics is not installed", fix="pip install 'vaplan[torchmetrics]'"
    ) from error


class LLPMetric(Metric):
    """The ten LLP numbers in percent.

    The state is that of `LLPSum`: the numbers do not depend on how the videos are split
    over batches and processes.
    """

    full_state_update = False
    total: Tensor
    videos: Tensor

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        zeros = torch.zeros(len(LEVELS), len(KINDS), dtype=torch.float64)
        self.add_state("total", default=zeros, dist_reduce_fx="sum")
        self.add_state("videos", default=torch.tensor(0), dist_reduce_fx="sum")

    def update(
        self,
        estimate: Bool[Tensor, "video time modality class"],
        reference: Bool[Tensor, "video time modality class"],
        mask: Bool[Tensor, "video time"] | None = None,
    ) -> None:
        """Add a batch of videos.

        Args:
            estimate: Estimated labels of the same videos.
            reference: Dense labels of the videos.
            mask: Segments that exist; other segments do not count.
        """
        exists = None if mask is None else _array(mask)
        scores = llp_scores(_array(reference), _array(estimate), mask=exists)
        batch = scores.sum()
        self.total += torch.from_numpy(batch.total).to(self.total)
        self.videos += batch.videos

    def compute(self) -> dict[str, Tensor]:
        """Compute the ten numbers of all videos so far.

        Returns:
            `{"segment_audio": …, …, "event_event": …}`; NaN without videos.
        """
        videos = int(self.videos)
        if videos:
            numbers = LLPSum(self.total.cpu().double().numpy(), videos).percent()
        else:
            numbers = {level: dict.fromkeys(KINDS, math.nan) for level in LEVELS}

        return {
            f"{level}_{kind}": self.total.new_tensor(number)
            for level, row in numbers.items()
            for kind, number in row.items()
        }


class AVEAccuracy(Metric):
    """The official segment accuracy of AVE in percent.

    Args:
        classes: Number of classes without background; also the label of background.
    """

    full_state_update = False
    higher_is_better = True
    right: Tensor
    segments: Tensor

    def __init__(self, classes: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.classes = classes
        self.add_state("right", default=torch.tensor(0), dist_reduce_fx="sum")
        self.add_state("segments", default=torch.tensor(0), dist_reduce_fx="sum")

    def update(
        self,
        estimate: Int[Tensor, "video time"],
        reference: Int[Tensor, "video time"],
        mask: Bool[Tensor, "video time"] | None = None,
    ) -> None:
        """Add a batch of videos.

        Args:
            estimate: Estimated labels of the same videos.
            reference: Dense labels of the videos.
            mask: Segments that exist; other segments do not count.
        """
        exists = None if mask is None else _array(mask)
        scores = ave_scores(
            _array(reference), _array(estimate), classes=self.classes, mask=exists
        )
        self.right += int(scores.confusion.trace())
        self.segments += int(scores.confusion.sum())

    def compute(self) -> Tensor:
        """Compute the accuracy of all segments so far; NaN without segments."""
        return 100 * self.right.double() / self.segments


def _array(tensor: Tensor) -> np.ndarray:
    return tensor.detach().cpu().numpy()

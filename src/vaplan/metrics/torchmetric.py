"""The numbers of LLP and AVE as `torchmetrics.Metric`: updated batch by batch, added up over
processes.

As everywhere in torchmetrics, and unlike everywhere else here, `update` takes the estimate first
and the reference second (these numbers are the same either way). Counting happens on the CPU.
"""

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
    """The ten LLP numbers in percent: `compute()` gives `{"segment_audio": …, "event_event": …}`.

    The state is that of `LLPSum`, so any split of the videos over batches and processes gives the
    same numbers.
    """

    full_state_update = False
    total: Tensor
    videos: Tensor

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        nothing = torch.zeros(len(LEVELS), len(KINDS), dtype=torch.float64)
        self.add_state("total", default=nothing, dist_reduce_fx="sum")
        self.add_state("videos", default=torch.tensor(0), dist_reduce_fx="sum")

    def update(
        self,
        estimate: Bool[Tensor, "video time modality class"],
        reference: Bool[Tensor, "video time modality class"],
        mask: Bool[Tensor, "video time"] | None = None,
    ) -> None:
        """Add some videos. The estimate comes first, as torchmetrics has it.

        Args:
            estimate: Estimated labels of the same videos.
            reference: Dense labels of the videos.
            mask: Segments that exist; other segments do not count.
        """
        scores = llp_scores(
            _array(reference),
            _array(estimate),
            mask=None if mask is None else _array(mask),
        ).sum()
        self.total += torch.from_numpy(scores.total).to(self.total)
        self.videos += scores.videos

    def compute(self) -> dict[str, Tensor]:
        """The ten numbers of all videos so far; NaN where there are none."""
        videos = int(self.videos)
        if not videos:
            return {
                f"{level}_{kind}": self.total.new_tensor(torch.nan)
                for level in LEVELS
                for kind in KINDS
            }
        numbers = LLPSum(self.total.cpu().double().numpy(), videos).percent()
        return {
            f"{level}_{kind}": self.total.new_tensor(number)
            for level, row in numbers.items()
            for kind, number in row.items()
        }


class AVEAccuracy(Metric):
    """AVE's official segment accuracy in percent.

    Args:
        classes: How many there are without background, whose label is this number.
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
        """Add some videos. The estimate comes first, as torchmetrics has it.

        Args:
            estimate: Estimated labels of the same videos.
            reference: Dense labels of the videos.
            mask: Segments that exist; other segments do not count.
        """
        exists = None if mask is None else _array(mask)
        confusion = ave_scores(
            _array(reference), _array(estimate), classes=self.classes, mask=exists
        ).confusion
        self.right += int(confusion.trace())
        self.segments += int(confusion.sum())

    def compute(self) -> Tensor:
        """The accuracy of all segments so far; NaN where there are none."""
        return 100 * self.right.double() / self.segments


def _array(tensor: Tensor) -> np.ndarray:
    return tensor.detach().cpu().numpy()

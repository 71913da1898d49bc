"""Labels from two witnesses, each weighed by what it was worth on densely labelled videos.

Source: Wolpert, Stacked generalization, Neural Networks 5, 1992: a second learner is fitted on what first ones say of
samples that they did not learn from. That the first ones are an encoder's evidence and a parser, and which of their
words count, is ours. The parser must not have learned from the videos that it speaks of; see `stages.folds`.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from vaplan.arrays import Prediction
from vaplan.errors import RecipeError
from vaplan.pseudo_labels.posterior import SURE

RIDGE = 1.0  # what holds the weights small
RIDGE_CLASS = 10.0  # what holds the classes alike: as many tagged segments as a class needs to be judged on its own
STEPS = 200  # of the fit; it has settled long before


@dataclass(frozen=True)
class Stack:
    """A logistic regression per modality, with an offset per class; see `fit_stack`."""

    weight: Float[Tensor, "modality feature"]
    bias: Float[Tensor, " modality"]
    offset: Float[Tensor, "modality class"]

    def probability(
        self,
        first: Float[Tensor, "video time modality class"],
        said: Prediction,
        weak_label: Bool[Tensor, "video class"],
    ) -> Float[Tensor, "video time modality class"]:
        """The probability of each label by both witnesses, 0 where there can be none."""
        cells = _possible(weak_label, said.mask)
        fused = torch.zeros_like(first)
        fused[cells] = (
            self._logit(_features(first, said, cells), *cells[2:])
            .sigmoid()
            .to(first.dtype)
        )
        return fused

    def _logit(
        self,
        features: Float[Tensor, "cell feature"],
        modality: Int[Tensor, " cell"],
        label: Int[Tensor, " cell"],
    ) -> Float[Tensor, " cell"]:
        weighed = (features * self.weight[modality]).sum(dim=1)
        return weighed + self.bias[modality] + self.offset[modality, label]


def fit_stack(
    first: Float[Tensor, "video time modality class"],
    said: Prediction,
    weak_label: Bool[Tensor, "video class"],
    truth: Bool[Tensor, "video time modality class"],
) -> Stack:
    """Weigh two witnesses by densely labelled videos that neither has learned from.

    Each speaks in log-odds of the segment, of its neighbours, of the video's mean and of the same segment in the other
    modality; the parser also of the modality and of the video as a whole. Large weights and large differences between
    classes are held down, so that some dozens of videos are enough.

    Args:
        first: By the encoder, such as `Mixture.probability`.
        said: By a parser.
    """
    cells = _possible(weak_label, said.mask)
    if not len(cells[0]):
        raise RecipeError(
            "no segment of a tag to weigh the witnesses by",
            fix="give densely labelled, tagged videos",
        )
    features, wanted = _features(first, said, cells), truth[cells].double()
    modalities, classes = truth.shape[2:]
    numbers = [
        torch.zeros(modalities, size, dtype=torch.float64)
        for size in (features.shape[1], 1, classes)
    ]
    weight, bias, offset = (number.requires_grad_() for number in numbers)
    optimiser = torch.optim.LBFGS(
        numbers, max_iter=STEPS, line_search_fn="strong_wolfe"
    )

    def loss() -> Tensor:
        optimiser.zero_grad()
        logit = Stack(weight, bias[:, 0], offset)._logit(features, *cells[2:])
        wrong = binary_cross_entropy_with_logits(logit, wanted, reduction="sum")
        total = (
            wrong
            + (RIDGE * weight.square().sum() + RIDGE_CLASS * offset.square().sum()) / 2
        )
        total.backward()  # type: ignore[no-untyped-call]
        return total

    optimiser.step(loss)  # type: ignore[no-untyped-call]
    return Stack(weight.detach(), bias[:, 0].detach(), offset.detach())


Cells = tuple[Tensor, ...]  # indices of video, time, modality and class


def _possible(
    weak_label: Bool[Tensor, "video class"], mask: Bool[Tensor, "video time modality"]
) -> Cells:
    """Where a label can be: segments that exist, of the video's tags."""
    return (weak_label[:, None, None] & mask[..., None]).nonzero(as_tuple=True)


def _features(
    first: Float[Tensor, "video time modality class"], said: Prediction, cells: Cells
) -> Float[Tensor, "cell feature"]:
    """What both witnesses say of the cells, in log-odds; of segments that do not exist they say 0, a toss-up."""
    video, _, modality, label = cells
    columns = [
        _log_odds(said.modality[video, modality, label]),
        _log_odds(said.video[video, label]),
    ]
    exists = said.mask[..., None].double()
    for witness in (first, said.segment):
        odds = _log_odds(witness) * exists
        columns += [
            view[cells]
            for view in (odds, _around(odds, exists), _over(odds, exists), odds.flip(2))
        ]
    return torch.stack(columns, dim=1)


def _log_odds(probability: Tensor) -> Tensor:
    return probability.double().clamp(SURE, 1 - SURE).logit()


def _around(odds: Tensor, exists: Tensor) -> Tensor:
    """The mean of the neighbours in time; 0 where there are none."""
    return _beside(odds) / _beside(exists).clamp(min=1)


def _beside(values: Tensor) -> Tensor:
    """The sum of the segments before and after each."""
    summed = torch.zeros_like(values)
    summed[:, :-1] += values[:, 1:]
    summed[:, 1:] += values[:, :-1]
    return summed


def _over(odds: Tensor, exists: Tensor) -> Tensor:
    """The mean of the video's segments, in each of them."""
    mean = odds.sum(dim=1, keepdim=True) / exists.sum(dim=1, keepdim=True).clamp(min=1)
    return mean.expand_as(odds)

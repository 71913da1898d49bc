"""How likely a label is right, without any dense label: from tagged and from untagged videos.

A class cannot occur in a video that is not tagged with it, so such videos show how much evidence there is for it where
it is absent. A tagged video holds segments of both kinds, in unknown shares: its evidence is a mixture of that known
spread and of a higher one, which is fitted here by expectation and maximisation. Both are taken as normal with one
width, so that the probability rises with the evidence: a threshold on one is a threshold on the other.
Source of learning from known negatives and a mixture of unknown share: Elkan, Noto, KDD 2008; Blanchard, Lee, Scott,
JMLR 2010. That untagged videos are the negatives, and the normal form, are ours.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from vaplan.arrays import MODALITIES
from vaplan.errors import RecipeError

STEPS = 100  # of the fit; it has settled long before
LEAST_LIFT = 0.5  # widths; two normal spreads that are nearer cannot be told apart
PRIOR = (
    2.0  # segments of each kind that a class begins with, so that no share is 0 or 1
)

Parameter = Float[Tensor, "modality class"]


@dataclass(frozen=True)
class Mixture:
    """Where the evidence for each class lies in each modality; see `fit_mixture`.

    Args:
        absent: The mean evidence where the class cannot be.
        width: The standard deviation, of absent and of present classes alike.
        lift: How many widths higher the mean is where the class is present.
        share: The share of the segments of tagged videos in which it is.
        odds: Whether all this is about the log-odds of the evidence.
    """

    absent: Parameter
    width: Parameter
    lift: Parameter
    share: Parameter
    odds: bool = False

    def probability(
        self, evidence: Float[Tensor, "video time modality class"]
    ) -> Float[Tensor, "video time modality class"]:
        """How likely a class is in a segment of a video that is tagged with it."""
        above = (_spread(evidence, odds=self.odds) - self.absent) / self.width
        return (
            (self.lift * above - self.lift.square() / 2 + self.share.logit())
            .sigmoid()
            .float()
        )

    def thresholds(self, probability: float = 0.5) -> Parameter:
        """The evidence at which a label is as likely as that."""
        wanted = torch.tensor(probability, dtype=torch.float64).logit()
        above = (wanted - self.share.logit()) / self.lift + self.lift / 2
        least = self.absent + above * self.width
        return (least.sigmoid() if self.odds else least).float()


def fit_mixture(
    evidence: Float[Tensor, "video time modality class"],
    weak_label: Bool[Tensor, "video class"],
    mask: Bool[Tensor, "video time modality"],
    *,
    odds: bool = False,
) -> Mixture:
    """Fit every class in every modality by itself.

    What a class cannot show, because all videos are tagged with it or none, is taken from the other classes.

    Args:
        odds: Take the log-odds of the evidence, which for a softmax are nearer to normal.
    """
    cells, tagged = (
        _spread(evidence, odds=odds),
        weak_label[:, None, None].expand(evidence.shape),
    )
    absent, width = _by_class(cells, mask[..., None] & ~tagged, _mean_and_width)
    for m, name in enumerate(MODALITIES):
        if absent[m].isnan().any() and mask[:, :, m].any():
            what = f"no {name} segment without some class: nothing shows what an absent class is like"
            raise RecipeError(what, fix=f"give --threshold {name}=…")
    absent, width = (
        absent.nan_to_num(0.0),
        width.nan_to_num(1.0),
    )  # of a modality that nowhere exists
    lift, share = _by_class(
        (cells - absent) / width, mask[..., None] & tagged, _lift_and_share
    )
    return Mixture(
        absent, width, lift.nan_to_num(LEAST_LIFT), share.nan_to_num(0.5), odds
    )


def _spread(evidence: Tensor, *, odds: bool) -> Tensor:
    return evidence.double().logit(1e-7) if odds else evidence.double()


def _by_class(
    cells: Float[Tensor, "video time modality class"],
    chosen: Bool[Tensor, "video time modality class"],
    fit: Callable[[Tensor], tuple[Tensor, Tensor]],
) -> tuple[Parameter, Parameter]:
    """Two numbers of the chosen cells of each class in each modality; where there are none, the mean of the others."""
    found = torch.full((2, *cells.shape[2:]), torch.nan, dtype=torch.float64)
    for m, c in torch.nonzero(chosen.any(dim=0).any(dim=0)).tolist():
        found[:, m, c] = torch.stack(fit(cells[:, :, m, c][chosen[:, :, m, c]]))
    first, second = torch.where(
        found.isnan(), found.nanmean(dim=2, keepdim=True), found
    )
    return first, second


def _mean_and_width(values: Float[Tensor, " cell"]) -> tuple[Tensor, Tensor]:
    return values.mean(), values.std(correction=0).clamp(min=1e-6)


def _lift_and_share(above: Float[Tensor, " cell"]) -> tuple[Tensor, Tensor]:
    """Expectation and maximisation, of cells in widths above where the class is absent."""
    lift, share = (
        above.quantile(0.75).clamp(min=1.0),
        torch.tensor(0.5, dtype=torch.float64),
    )
    for _ in range(STEPS):
        present = (lift * above - lift.square() / 2 + share.logit()).sigmoid()
        share = (present.sum() + PRIOR) / (len(above) + 2 * PRIOR)
        lift = ((present @ above) / present.sum().clamp(min=1e-9)).clamp(min=LEAST_LIFT)
    return lift, share

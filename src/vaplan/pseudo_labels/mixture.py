"""Label probabilities without dense labels: a mixture model of tagged and untagged videos.

A class does not occur in a video without its tag, so these videos show the evidence for an
absent class. A tagged video contains segments with and without the class in unknown
shares: its evidence is a mixture of the absent distribution, which is known, and of a
higher one, which is fitted by expectation maximisation. Both are normal with equal width,
so the probability rises with the evidence, and a threshold on one is a threshold on the
other.

Source of learning from known negatives and a mixture with unknown shares: Elkan, Noto,
KDD 2008; Blanchard, Lee, Scott, JMLR 2010. Untagged videos as negatives and the normal
form are our own choice.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from vaplan.arrays import MODALITIES
from vaplan.errors import RecipeError

STEPS = 100  # of the fit, which converges far earlier
MIN_LIFT = 0.5  # in widths; nearer distributions cannot be separated
PRIOR_SEGMENTS = 2.0  # of each kind per class, so that no share becomes 0 or 1
MIN_WIDTH = 1e-6
LOG_ODDS_CLIP = 1e-7

Parameter = Float[Tensor, "modality class"]


@dataclass(frozen=True)
class Mixture:
    """Distribution of the evidence for each class in each modality; see `fit_mixture`.

    Attributes:
        absent: Mean evidence of segments without the class.
        width: Standard deviation, equal for absent and present classes.
        lift: Mean evidence of segments with the class, in widths above `absent`.
        share: Share of the segments of tagged videos that contain the class.
        log_odds: Whether the distributions are of the log odds of the evidence.
    """

    absent: Parameter
    width: Parameter
    lift: Parameter
    share: Parameter
    log_odds: bool = False

    def probability(
        self, evidence: Float[Tensor, "video time modality class"]
    ) -> Float[Tensor, "video time modality class"]:
        """Compute the probability of a class in segments of videos tagged with it."""
        values = transform(evidence, log_odds=self.log_odds)
        standardised = (values - self.absent) / self.width
        logit = _present_logit(standardised, self.lift, self.share)
        return logit.sigmoid().float()

    def thresholds(self, probability: float = 0.5) -> Parameter:
        """Compute the evidence at which a label has the given probability."""
        logit = torch.tensor(probability, dtype=torch.float64).logit()
        update = logit - self.share.logit()
        standardised = update / self.lift + self.lift / 2
        values = self.absent + standardised * self.width
        if self.log_odds:
            values = values.sigmoid()
        return values.float()


def fit_mixture(
    evidence: Float[Tensor, "video time modality class"],
    weak_label: Bool[Tensor, "video class"],
    mask: Bool[Tensor, "video time modality"],
    *,
    log_odds: bool = False,
) -> Mixture:
    """Fit the mixture of each class in each modality.

    A class that all videos or no video is tagged with takes the missing parameters from
    the mean of the other classes.

    Args:
        evidence: Evidence for each class in each segment.
        weak_label: Tags of the videos.
        mask: Segments that exist.
        log_odds: Fit the log odds of the evidence, which for a softmax are closer to
            normal.

    Raises:
        RecipeError: All videos are tagged with all classes, so nothing shows the evidence
            for an absent class.
    """
    absent, width = absent_distribution(evidence, weak_label, mask, log_odds=log_odds)
    standardised = (transform(evidence, log_odds=log_odds) - absent) / width
    is_tagged = weak_label[:, None, None] & mask[..., None]
    lift, share = _fit_by_class(standardised, is_tagged, _fit_lift_and_share)
    lift = lift.nan_to_num(MIN_LIFT)
    share = share.nan_to_num(0.5)
    return Mixture(absent, width, lift, share, log_odds)


def absent_distribution(
    evidence: Float[Tensor, "video time modality class"],
    weak_label: Bool[Tensor, "video class"],
    mask: Bool[Tensor, "video time modality"],
    *,
    log_odds: bool,
) -> tuple[Parameter, Parameter]:
    """Compute mean and standard deviation of the evidence of untagged videos.

    A class that all videos are tagged with takes the mean of the other classes.

    Args:
        evidence: Evidence for each class in each segment.
        weak_label: Tags of the videos.
        mask: Segments that exist.
        log_odds: Take the log odds of the evidence.

    Raises:
        RecipeError: All videos are tagged with all classes.
    """
    values = transform(evidence, log_odds=log_odds)
    is_untagged = ~weak_label[:, None, None] & mask[..., None]
    absent, width = _fit_by_class(values, is_untagged, _mean_and_width)
    for m, name in enumerate(MODALITIES):
        if absent[m].isnan().any() and mask[:, :, m].any():
            raise RecipeError(
                f"every {name} segment is tagged with every class: "
                "no video shows the evidence for an absent class",
                fix=f"give --threshold {name}=…",
            )

    # of a modality without any segment
    return absent.nan_to_num(0.0), width.nan_to_num(1.0)


def transform(evidence: Tensor, *, log_odds: bool) -> Tensor:
    """Return evidence, or its log odds, in double precision.

    Args:
        evidence: Evidence.
        log_odds: Whether to take the log odds.
    """
    values = evidence.double()
    if log_odds:
        return values.logit(LOG_ODDS_CLIP)
    return values


def _present_logit(standardised: Tensor, lift: Tensor, share: Tensor) -> Tensor:
    """Compute the log odds that a class is present, by Bayes' rule for equal widths."""
    log_ratio = lift * standardised - lift.square() / 2
    return log_ratio + share.logit()


def _fit_by_class(
    values: Float[Tensor, "video time modality class"],
    selected: Bool[Tensor, "video time modality class"],
    fit: Callable[[Tensor], tuple[Tensor, Tensor]],
) -> tuple[Parameter, Parameter]:
    """Fit two parameters of each class; a class without values takes the others' mean."""
    shape = (2, *values.shape[2:])
    parameters = torch.full(shape, torch.nan, dtype=torch.float64)
    has_values = selected.any(dim=0).any(dim=0)
    for m, c in has_values.nonzero().tolist():
        of_class = values[:, :, m, c]
        is_selected = selected[:, :, m, c]
        fitted = fit(of_class[is_selected])
        parameters[:, m, c] = torch.stack(fitted)
    mean = parameters.nanmean(dim=2, keepdim=True)
    first, second = torch.where(parameters.isnan(), mean, parameters)
    return first, second


def _mean_and_width(values: Float[Tensor, " cell"]) -> tuple[Tensor, Tensor]:
    width = values.std(correction=0)
    return values.mean(), width.clamp(min=MIN_WIDTH)


def _fit_lift_and_share(
    standardised: Float[Tensor, " cell"],
) -> tuple[Tensor, Tensor]:
    """Fit the present distribution by expectation maximisation."""
    lift = standardised.quantile(0.75).clamp(min=1.0)
    share = torch.tensor(0.5, dtype=torch.float64)
    prior_total = len(standardised) + 2 * PRIOR_SEGMENTS
    for _ in range(STEPS):
        logit = _present_logit(standardised, lift, share)
        present = logit.sigmoid()
        total = present.sum()
        share = (total + PRIOR_SEGMENTS) / prior_total
        mean = (present @ standardised) / total.clamp(min=1e-9)
        lift = mean.clamp(min=MIN_LIFT)
    return lift, share

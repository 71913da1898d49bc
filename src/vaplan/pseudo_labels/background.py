"""The margins of segments without a class, so that one threshold suits every encoder.

Encoders differ in the scale of their margins, and in how well a class's prompts fit any
segment at all. Most segments of a collection contain neither a given class nor a given
background prompt. So the spread of the margins of background prompts, and a low quantile of
the margins of the class, show how a segment without the class scores. In standard deviations
from there, a threshold means the same for every encoder: it does not change with the logit
scale, and an offset of a class cancels out.
"""

from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

MIN_SEGMENTS = 100  # of a modality; fewer show no distribution
MAX_SEGMENTS = 20_000  # of a modality that are read, evenly spaced
# So low that a class may occur in most segments.
CENTRE_QUANTILE = 0.1
MIN_SPREAD = 1e-6


@dataclass(frozen=True)
class Background:
    """Distribution of the margins of segments without a class, in one modality.

    Attributes:
        centre: Mean margin of each class.
        spread: Standard deviation, equal for all classes.
    """

    centre: Float[Tensor, " class"]
    spread: Float[Tensor, ""]

    def standardise(
        self, margin: Float[Tensor, "*segments class"]
    ) -> Float[Tensor, "*segments class"]:
        """Return margins in standard deviations from the background.

        Args:
            margin: Margins of the same classes and encoder.
        """
        return (margin - self.centre) / self.spread

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle numbers: tensors for another process would need shared memory."""
        return _from_numbers, (self.centre.tolist(), float(self.spread))


def _from_numbers(centre: list[float], spread: float) -> Background:
    return Background(torch.tensor(centre), torch.tensor(spread))


def fit_background(
    margin: Float[Tensor, "segment class"],
    prompt_margin: Float[Tensor, "segment prompt"],
    tagged: Bool[Tensor, "segment class"] | None = None,
) -> Background | None:
    """Fit the background of a modality on the user's own files.

    The spread is that of the lower half of the margins of all background prompts, each
    around its median. The centre of a class is its mean margin in the untagged segments if
    there are `MIN_SEGMENTS`, else that of a normal distribution with the same 10 % quantile.

    Args:
        margin: Margins of the classes in segments that exist.
        prompt_margin: Margins of the background prompts in the same segments.
        tagged: Segments of videos that are tagged with the class, if there are tags.

    Returns:
        The background; None if there are fewer than `MIN_SEGMENTS` segments.
    """
    if len(margin) < MIN_SEGMENTS:
        return None
    spread = _lower_spread(prompt_margin)
    centre = _centre(margin, spread)
    if tagged is not None:
        untagged_mean = margin.where(~tagged, torch.nan).nanmean(dim=0)
        has_enough = (~tagged).sum(dim=0) >= MIN_SEGMENTS
        centre = torch.where(has_enough, untagged_mean, centre)
    return Background(centre, spread)


def sample_segments(count: int, largest: int = MAX_SEGMENTS) -> Tensor:
    """Return indices, evenly spaced if there are more than the largest number.

    >>> sample_segments(7, 3)
    tensor([0, 2, 4])
    """
    if count <= largest:
        return torch.arange(count)
    return torch.arange(largest) * count // largest


def _lower_spread(margin: Float[Tensor, "segment prompt"]) -> Float[Tensor, ""]:
    """Compute the standard deviation below the medians of the prompts."""
    residual = margin - margin.median(dim=0).values
    below = residual[residual <= 0]
    return below.square().mean().sqrt().clamp(min=MIN_SPREAD)


def _centre(
    margin: Float[Tensor, "segment class"], spread: Tensor
) -> Float[Tensor, " class"]:
    """Compute the mean of a normal distribution with this spread and low quantile."""
    low = torch.quantile(margin, CENTRE_QUANTILE, dim=0)
    return low - NormalDist().inv_cdf(CENTRE_QUANTILE) * spread

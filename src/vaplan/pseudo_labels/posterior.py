"""Labels from two witnesses: the encoder's evidence, and what a parser says that was trained on other labels.

An alternative to PLD. The parser's probabilities should come from a network that never saw these very labels (see
`stages.folds`): one that has learned wrong labels by heart repeats them.
"""

from jaxtyping import Bool, Float
from torch import Tensor

from vaplan.errors import RecipeError


def fuse(
    first: Float[Tensor, "video time modality class"],
    second: Float[Tensor, "video time modality class"],
    weak_label: Bool[Tensor, "video class"],
    mask: Bool[Tensor, "video time modality"],
    *,
    trust: float = 1.0,
) -> Float[Tensor, "video time modality class"]:
    """The probability of each label by both, 0 where there can be none.

    By Bayes' rule for witnesses that err independently, log-odds add up, and what both knew before, the share of tagged
    segments that hold the class, counts once. It is the mean of `first` per modality and class.

    Args:
        first: By the encoder, such as `Mixture.probability`.
        second: By a parser, given the tags; see `given_tags`.
        trust: How much the second's log-odds count; below 1 as it knows some of what the first does.
    """
    if not 0 <= trust < float("inf"):
        raise RecipeError(f"trust must be a number of 0 or more, not {trust}")
    possible = weak_label[:, None, None] & mask[..., None]
    share = (first * possible).sum(dim=(0, 1)) / possible.sum(dim=(0, 1)).clamp(min=1)
    said = second.logit(SURE) - share.logit(SURE)
    return (first.logit(SURE) + trust * said).sigmoid() * possible


SURE = 1e-4  # no witness is surer than that

"""How well a segment fits a class when nothing else is known: no tags, no dense label, perhaps no other class.

A softmax over the user's classes says which of them fits best, and nothing where there is one class, or where none of
them is there. So each class is compared with everyday things instead, which stand for whatever else may be there.
"""

from jaxtyping import Float
from torch import Tensor

from vaplan.arrays import MODALITIES

MARGINS = dict.fromkeys(
    MODALITIES, 5.0
)  # to exceed, in logits, where nothing is known to choose one by


def above_everyday(
    text: Float[Tensor, "class feature"], everyday: Float[Tensor, "thing feature"]
) -> Float[Tensor, "class feature"]:
    """Text vectors whose product with a segment is its cosine less the mean cosine of everyday things.

    At the encoder's own logit scale that is the margin: the logarithm of how many times likelier the class is than an
    average thing, for an encoder that was trained to tell sentences apart by a softmax. It does not depend on which
    other classes are asked for, and what makes a segment fit every sentence a little better cancels out.

    Args:
        everyday: One vector for each thing, in the same templates as the classes.
    """
    return text - everyday.mean(dim=0)

"""Decision rules: from probabilities to marked segments.

`DECISIONS` maps names to rules. A rule is a function of a prediction, `threshold` and, for
rules of video parsing, `segment_thresholds`; it returns Bool "video time modality class".
"""

from collections.abc import Callable

from jaxtyping import Bool, Float
from torch import Tensor

from vaplan.arrays import Prediction
from vaplan.decisions.fitting import fit_thresholds, match_label_shares
from vaplan.decisions.gates import GATED_RULES
from vaplan.decisions.localisation import LOCALISATION_RULES, keep_one_label
from vaplan.errors import RecipeError, unknown

DECISIONS: dict[str, Callable[..., Bool[Tensor, "video time modality class"]]] = {
    **GATED_RULES,
    **LOCALISATION_RULES,
}

__all__ = [
    "DECISIONS",
    "decide",
    "fit_thresholds",
    "keep_one_label",
    "match_label_shares",
]


def decide(
    prediction: Prediction,
    *,
    rule: str = "global_gate",
    threshold: float = 0.5,
    segment_thresholds: Float[Tensor, "modality class"] | None = None,
) -> Bool[Tensor, "video time modality class"]:
    """Mark segments by a decision rule.

    Args:
        prediction: Probabilities of a parser.
        rule: Name of a rule in `DECISIONS`.
        threshold: Threshold of the gate, and of the segments unless they have their own.
        segment_thresholds: Thresholds of the segments per modality and class; see
            `fit_thresholds`. A localisation rule has one threshold: the first of these.

    Raises:
        RecipeError: The rule does not exist.
    """
    if rule not in DECISIONS:
        raise RecipeError(unknown("decision rule", rule, DECISIONS))
    if rule not in LOCALISATION_RULES:
        return DECISIONS[rule](
            prediction, threshold=threshold, segment_thresholds=segment_thresholds
        )
    if segment_thresholds is not None:
        threshold = float(segment_thresholds[0, 0])
    return DECISIONS[rule](prediction, threshold=threshold)

"""Rules that decide which segments are labelled.

`LABEL_RULES` maps names to rules. A rule is a function from `Evidence` to `ChosenLabels`.
The rules of `thresholds` compare the evidence with thresholds; `hmm` compares whole
timelines with those of untagged videos.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from torch import Tensor

from vaplan.errors import RecipeError, unknown
from vaplan.pseudo_labels.evidence import Evidence
from vaplan.pseudo_labels.expected_f import labels_of_highest_expected_f
from vaplan.pseudo_labels.thresholds import (
    THRESHOLD_RULES,
    ThresholdRule,
    Thresholds,
    ThresholdSpec,
    choose_thresholds,
)
from vaplan.ragged import Ragged

VAL = "val"
HMM = "hmm"
CHANCE = "chance"
GIVEN = "given"


@dataclass(frozen=True)
class ChosenLabels:
    """Pseudo labels of a data set, and how they were chosen.

    Attributes:
        labels: The labels, Bool "segment modality class".
        rule: Name of the rule; `given` for thresholds that were all given.
        reason: Phrase that explains the rule.
        thresholds: Thresholds per modality and class, if the rule has them.
        probability: Probability of every label, if the rule computes it.
        wrong_tag: Probability that a tag is wrong, Float "video class", if the rule computes
            it.
    """

    labels: Ragged[Tensor]
    rule: str
    reason: str
    thresholds: Thresholds | None = None
    probability: Ragged[Tensor] | None = None
    wrong_tag: Tensor | None = None


def choose_labels(
    evidence: Evidence,
    *,
    thresholds: ThresholdSpec | None = None,
    rule: str | None = None,
) -> ChosenLabels:
    """Label the segments of a data set by a rule, or by given thresholds.

    Args:
        evidence: Evidence of the data set.
        thresholds: Thresholds by modality. A modality without one is labelled by the rule,
            which must be a rule with thresholds.
        rule: Name of a rule in `LABEL_RULES`. The default is `val` if split val has densely
            labelled videos, else `hmm`; `chance` if tags exclude few classes of few videos,
            or there are none.

    Raises:
        RecipeError: The rule does not exist or cannot be applied to the data.
    """
    if rule is not None and rule not in LABEL_RULES:
        raise RecipeError(unknown("label rule", rule, LABEL_RULES))
    if thresholds and rule == HMM:
        raise RecipeError(
            "the label rule hmm has no thresholds",
            fix="omit --threshold, or give another --rule",
        )
    if not thresholds:
        rule = rule or _default_rule(evidence)
        if rule:
            return LABEL_RULES[rule](evidence)
    chosen, reason = choose_thresholds(evidence, values=thresholds, rule=rule)
    name = rule or (GIVEN if thresholds else CHANCE)
    return ChosenLabels(evidence.generate(chosen), name, reason, chosen)


def _default_rule(evidence: Evidence) -> str | None:
    """Return the default rule; None if the tags exclude too little to fit anything."""
    if evidence.dense:
        return VAL
    return HMM if evidence.tags_are_informative else None


def label_by_threshold(
    evidence: Evidence, *, name: str, choose: ThresholdRule
) -> ChosenLabels:
    """Label the segments with evidence above the thresholds of a rule.

    Args:
        evidence: Evidence of the data set.
        name: Name of the rule.
        choose: Function that chooses the thresholds.
    """
    thresholds, reason = choose(evidence)
    return ChosenLabels(evidence.generate(thresholds), name, reason, thresholds)


def label_by_hmm(evidence: Evidence) -> ChosenLabels:
    """Label the segments with the highest expected F under a hidden Markov model."""
    probability = evidence.hidden_markov_model().probability(
        evidence.values, evidence.weak_label, evidence.mask
    )
    return ChosenLabels(
        labels_of_highest_expected_f(probability),
        HMM,
        "by a hidden Markov model of tagged and untagged videos",
        probability=probability.segment,
        wrong_tag=probability.wrong_tag,
    )


LABEL_RULES: dict[str, Callable[[Evidence], ChosenLabels]] = {
    HMM: label_by_hmm,
    **{
        name: partial(label_by_threshold, name=name, choose=choose)
        for name, choose in THRESHOLD_RULES.items()
    },
}

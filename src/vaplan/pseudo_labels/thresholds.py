"""Thresholds of pseudo labels, and the rules that choose them.

`THRESHOLD_RULES` maps names to rules. A rule is a function from `Evidence` to thresholds
per modality and class and a phrase that explains them.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from vaplan.arrays import MODALITIES
from vaplan.errors import RecipeError, unknown
from vaplan.metrics.llp import label_f
from vaplan.pseudo_labels.evidence import DEVIATION, LOGIT, MARGIN, Evidence
from vaplan.pseudo_labels.generate import generate_pseudo_labels

# of 1 / classes; with LLP's 25 classes 0.038 and 0.041
CHANCE_MULTIPLES = {"audio": 0.95, "visual": 1.025}
# in logits; without tags nothing can be fitted
MARGINS = dict.fromkeys(MODALITIES, 5.0)
# in standard deviations from the background, for every encoder
DEVIATIONS = dict.fromkeys(MODALITIES, 3.0)
ThresholdSpec = Mapping[str, float | Sequence[float]]
Thresholds = Float[Tensor, "modality class"]
ThresholdRule = Callable[[Evidence], tuple[Thresholds, str]]
Score = Callable[[Tensor, int], float]


def make_thresholds(classes: int, spec: ThresholdSpec | None = None) -> Thresholds:
    """Arrange thresholds per modality and class.

    Args:
        classes: Number of classes.
        spec: By modality one value, or one for each class. A modality without a value
            gets the paper's multiple of chance, which suits CLIP and CLAP at scale 1.

    Raises:
        RecipeError: A modality does not exist, or the number of values is wrong.

    >>> make_thresholds(2, {"visual": [0.5, 0.75]})
    tensor([[0.4750, 0.4750],
            [0.5000, 0.7500]])
    """
    spec = spec or {}
    for name in spec:
        if name not in MODALITIES:
            raise RecipeError(unknown("modality", name, MODALITIES))
    rows = list[Tensor]()
    for name in MODALITIES:
        default = CHANCE_MULTIPLES[name] / classes
        value = spec.get(name, default)
        rows.append(_expand(value, classes))
    return torch.stack(rows)


def _expand(value: float | Sequence[float], classes: int) -> Float[Tensor, " class"]:
    row = torch.as_tensor(value, dtype=torch.float32)
    if row.ndim and len(row) != classes:
        raise RecipeError(
            f"{len(row)} thresholds for {classes} classes",
            fix="give one threshold, or one for each class",
        )
    return row.expand(classes)


def choose_thresholds(
    evidence: Evidence, *, values: ThresholdSpec | None = None, rule: str | None = None
) -> tuple[Thresholds, str]:
    """Choose thresholds by a rule, or take given values.

    Args:
        evidence: Evidence of the data set.
        values: Values by modality. A modality without a value is chosen by the rule.
        rule: Name of a rule in `THRESHOLD_RULES`. The default is `val` if split val has
            densely labelled videos, else `mixture`; `chance` if tags exclude few classes of
            few videos.

    Returns:
        The thresholds, and a phrase that explains them.

    Raises:
        RecipeError: The rule does not exist or cannot be applied to the data.
    """
    from_values = make_thresholds(evidence.classes, values or {})
    if values and set(MODALITIES) <= set(values):
        return from_values, "given"

    from_rule, reason = _apply_rule(evidence, rule)
    if not values:
        return from_rule, reason

    is_given = torch.tensor([name in values for name in MODALITIES])
    thresholds = torch.where(is_given[:, None], from_values, from_rule)
    return thresholds, f"{', '.join(values)} given, else {reason}"


def _apply_rule(evidence: Evidence, rule: str | None) -> tuple[Thresholds, str]:
    if rule is None:
        if evidence.dense:
            rule = "val"
        elif evidence.tags_are_informative:
            rule = "mixture"
        elif evidence.strategy in (MARGIN, DEVIATION):
            thresholds, reason = multiply_chance(evidence)
            cause = (
                "tags exclude too little" if evidence.has_tags else "there are no tags"
            )
            return thresholds, f"{reason}, because {cause}"
        else:
            rule = "chance"

    if rule not in THRESHOLD_RULES:
        raise RecipeError(unknown("threshold rule", rule, THRESHOLD_RULES))
    return THRESHOLD_RULES[rule](evidence)


def fit_on_val(evidence: Evidence) -> tuple[Thresholds, str]:
    """Fit one threshold per modality: the highest segment-level F on split val."""
    if not evidence.dense or evidence.reference is None:
        raise RecipeError(
            "the threshold rule val needs densely labelled videos in split val",
            fix="use --rule hmm, which needs tags only",
        )
    reference = evidence.reference.numpy()
    dense = list(evidence.dense)
    values = evidence.values[dense]

    def segment_f(
        labels: Bool[Tensor, "video time modality class"], modality: int
    ) -> float:
        scores = label_f(reference, values.from_rows(labels).numpy())
        of_modality = scores[MODALITIES[modality]]
        return of_modality["segment"]

    thresholds = fit_thresholds_to_score(
        values.rows(),
        values.rows_of(evidence.weak_label[dense]),
        evidence.mask[dense].rows(),
        segment_f,
    )
    return thresholds, f"fitted on {len(dense)} densely labelled videos of split val"


def fit_by_mixture(evidence: Evidence) -> tuple[Thresholds, str]:
    """Take the evidence at which a label is as probably right as wrong."""
    return (
        evidence.mixture().thresholds(),
        "where a label is as probably right as wrong, from tagged and untagged videos",
    )


def fit_by_false_positive_rate(evidence: Evidence) -> tuple[Thresholds, str]:
    """Take thresholds that classes outside the tags rarely exceed."""
    thresholds = thresholds_at_false_positive_rate(*evidence.rows())
    return thresholds, "by the false positive rate of classes outside the tags"


def multiply_chance(evidence: Evidence) -> tuple[Thresholds, str]:
    """Take the paper's multiples of chance, or the default margin or deviation."""
    if evidence.strategy == LOGIT:
        raise RecipeError(
            "the threshold rule chance does not apply to logits",
            fix="give --threshold",
        )
    classes = evidence.classes
    if evidence.strategy == MARGIN:
        return make_thresholds(classes, MARGINS), "the default margin"
    if evidence.strategy == DEVIATION:
        return make_thresholds(classes, DEVIATIONS), "the default deviation"
    return make_thresholds(classes), "the paper's multiples of chance"


THRESHOLD_RULES: dict[str, ThresholdRule] = {
    "val": fit_on_val,
    "mixture": fit_by_mixture,
    "false_positive_rate": fit_by_false_positive_rate,
    "chance": multiply_chance,
}


def fit_thresholds_to_score(
    evidence: Float[Tensor, "video time modality class"],
    weak_label: Bool[Tensor, "video class"],
    mask: Bool[Tensor, "video time modality"],
    score: Score,
    *,
    candidates: int = 64,
) -> Thresholds:
    """Fit one threshold per modality that maximises a score.

    The candidates are evenly spaced quantiles of the evidence for tagged classes in
    segments that exist. The first candidate marks everything. Of equally good candidates
    the lowest is taken.

    Args:
        evidence: Evidence of densely labelled videos.
        weak_label: Tags of the videos.
        mask: Segments that exist.
        score: Function of pseudo labels and a modality, such as the segment-level F.
        candidates: Number of candidates.

    Raises:
        RecipeError: A modality has no tagged segment.
    """
    modalities, classes = evidence.shape[2:]
    thresholds = torch.empty(modalities, 1)
    for m in range(modalities):
        is_tagged = mask[:, :, m, None] & weak_label[:, None]
        tagged = evidence[:, :, m][is_tagged]
        if not len(tagged):
            raise RecipeError(
                f"no tagged {MODALITIES[m]} segment to fit a threshold on",
                fix="give thresholds",
            )
        scores = list[tuple[float, float]]()
        for value in _candidates(tagged, candidates):
            threshold = value.expand(modalities, classes)
            labels = generate_pseudo_labels(
                evidence, weak_label, mask, threshold=threshold
            )
            scores.append((score(labels, m), -float(value)))
        # of equal scores, the highest negative value is the lowest threshold
        _, negative_value = max(scores)
        thresholds[m] = -negative_value
    return thresholds.repeat(1, classes)


def _candidates(
    tagged: Float[Tensor, " cell"], count: int
) -> Float[Tensor, " candidate"]:
    """Return evenly spaced quantiles; every value exceeds the first one."""
    values = tagged.numpy(force=True)
    shares = np.linspace(0, 1, count + 1)
    quantiles = np.quantile(values, shares[:-1]).astype(np.float32)
    quantiles[0] = np.nextafter(quantiles[0], np.float32(-np.inf))
    return torch.from_numpy(quantiles)


def thresholds_at_false_positive_rate(
    evidence: Float[Tensor, "video time modality class"],
    weak_label: Bool[Tensor, "video class"],
    mask: Bool[Tensor, "video time modality"],
    *,
    rate: float = 0.05,
) -> Thresholds:
    """Find one threshold per modality that untagged classes exceed at a given rate.

    A class outside the tags does not occur, so each of its segments above the threshold
    is a false positive. Tagged classes get the same threshold.

    Args:
        evidence: Evidence for each class in each segment.
        weak_label: Tags of the videos.
        mask: Segments that exist.
        rate: Share of the segments of untagged classes above the threshold.

    Raises:
        RecipeError: In a modality every class of every segment is tagged.
    """
    values = list[Tensor]()
    for m, name in enumerate(MODALITIES):
        is_untagged = mask[:, :, m, None] & ~weak_label[:, None]
        untagged = evidence[:, :, m][is_untagged]
        if not len(untagged):
            raise RecipeError(
                f"every {name} segment is tagged with every class",
                fix=f"give --threshold {name}=…",
            )
        rank = max(1, round((1 - rate) * len(untagged)))
        values.append(untagged.kthvalue(rank).values)

    classes = evidence.shape[-1]
    return torch.stack(values)[:, None].repeat(1, classes)

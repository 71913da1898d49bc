"""Diagnostics of pseudo labels without dense labels, per modality and class."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from vaplan.pseudo_labels.evidence import Evidence
from vaplan.ragged import Ragged

MIN_TAGGED_VIDEOS = 5
MIN_PRECISION = 0.75
MIN_SEPARATION = 1.0  # in standard deviations
MAX_UNTAGGED_RATIO = 0.5  # of the firing rates in untagged and in tagged videos
MAX_ENTROPY = 0.75  # in bits; 1 is a toss-up
MIN_PROMPT_AGREEMENT = 0.5
MAX_RATE_FOR_CONTINUITY = 0.9  # above it nearly every neighbour is labelled anyway


@dataclass(frozen=True)
class LabelDiagnostics:
    """Diagnostics of the labels of one class in one modality.

    Attributes:
        videos: Number of videos that are tagged with the class and have the modality.
        rate: Share of their segments that are labelled.
        rate_untagged: Share of the segments of other videos above the threshold.
        precision: Share of the labels that are right, estimated by the mixture model.
        separation: Distance between the evidence with and without the class, in standard
            deviations.
        entropy: Mean uncertainty of a segment of a tagged video in bits; 1 is a toss-up.
        continuity: Share of the neighbours of labelled segments that are labelled; NaN
            without neighbours.
        prompt_agreement: Agreement of the labels of single prompts with the labels of all
            prompts, as intersection over union; NaN for classes with one prompt.
    """

    videos: int
    rate: float
    rate_untagged: float
    precision: float
    separation: float
    entropy: float
    continuity: float
    prompt_agreement: float = float("nan")

    @property
    def reasons(self) -> list[str]:
        """Reasons to doubt the labels, as phrases."""
        if self.videos < MIN_TAGGED_VIDEOS:
            return [f"only {self.videos} videos are tagged with it"]
        if not self.rate:
            return ["no segment is labelled"]
        reasons = []
        if self.precision < MIN_PRECISION:
            reasons.append(f"about {self.precision:.0%} of the labels are right")
        if self.rate_untagged > MAX_UNTAGGED_RATIO * self.rate:
            reasons.append(
                f"{self.rate_untagged:.0%} of the segments of untagged videos exceed "
                f"the threshold, {self.rate:.0%} of those of tagged videos"
            )
        if self.separation < MIN_SEPARATION:
            reasons.append(
                "tagged and untagged videos have similar evidence, "
                f"{self.separation:.1f} standard deviations apart"
            )
        if self.entropy > MAX_ENTROPY:
            reasons.append(
                f"most segments are close to a toss-up, {self.entropy:.2f} bits"
            )
        if self.rate < MAX_RATE_FOR_CONTINUITY and self.continuity <= self.rate:
            reasons.append(
                f"the labels are scattered in time: {self.continuity:.0%} of the "
                f"neighbours are labelled, {self.rate:.0%} of all segments"
            )
        if self.prompt_agreement < MIN_PROMPT_AGREEMENT:
            reasons.append(
                f"its prompts agree on {self.prompt_agreement:.0%} of the labels only"
            )
        return reasons

    @property
    def verdict(self) -> str:
        """`trustworthy`, `doubtful`, or `unknown` if too few videos are tagged."""
        if self.videos < MIN_TAGGED_VIDEOS:
            return "unknown"
        return "doubtful" if self.reasons else "trustworthy"

    def document(self) -> dict[str, Any]:
        """Return all values as JSON values; NaN becomes null."""
        document = dict[str, Any]()
        for name, value in asdict(self).items():
            document[name] = None if math.isnan(value) else value
        document["verdict"] = self.verdict
        document["reasons"] = self.reasons
        return document


def diagnose_labels(
    evidence: Evidence,
    labels: Ragged[Tensor],
    *,
    threshold: Float[Tensor, "modality class"] | None = None,
    probability: Ragged[Tensor] | None = None,
    prompt_agreement: Float[Tensor, "modality class"] | None = None,
) -> list[list[LabelDiagnostics]]:
    """Diagnose labels.

    Args:
        evidence: Evidence for each class in each segment.
        labels: Labels of the same segments, Bool "segment modality class".
        threshold: Threshold of the labels; by default that of the mixture model.
        probability: Probability of every label; by default that of the mixture model.
        prompt_agreement: Agreement of the prompts of each class; see `label_agreement`.

    Returns:
        Diagnostics per modality and class.
    """
    values, weak_label, mask = evidence.rows()
    exists = mask[..., None]
    is_tagged = weak_label[:, None, None]
    tagged_cells = is_tagged & exists
    untagged_cells = ~is_tagged & exists
    label = labels.rows()
    mixture = evidence.mixture()
    is_above = values > (mixture.thresholds() if threshold is None else threshold)
    if probability is None:
        probabilities = mixture.probability(values)
    else:
        probabilities = probability.rows()
    if prompt_agreement is None:
        prompt_agreement = torch.full_like(mixture.lift, torch.nan)
    numbers = {
        "rate": _mean_over(label, tagged_cells),
        "rate_untagged": _mean_over(is_above, untagged_cells),
        "precision": _mean_over(probabilities, label),
        "separation": mixture.lift,
        "entropy": _mean_over(_entropy(probabilities), tagged_cells),
        "continuity": _continuity(labels, evidence.mask),
        "prompt_agreement": prompt_agreement,
    }
    present = evidence.mask.per_video(lambda exists: exists.any(dim=1))
    videos = (evidence.weak_label[:, None] & present[..., None]).sum(dim=0)
    modalities, classes = videos.shape
    return [
        [
            LabelDiagnostics(
                videos=int(videos[m, c]),
                **{name: float(value[m, c]) for name, value in numbers.items()},
            )
            for c in range(classes)
        ]
        for m in range(modalities)
    ]


def label_agreement(
    label: Bool[Tensor, "video time modality class"],
    alternatives: Sequence[Bool[Tensor, "video time modality class"]],
) -> Float[Tensor, "modality class"]:
    """Compute the mean intersection over union of labels and alternative labels.

    Args:
        label: Labels.
        alternatives: Other labels of the same segments.

    Returns:
        Intersection over union per modality and class; NaN without alternatives or
        without labels.
    """
    if not alternatives:
        return torch.full(label.shape[2:], torch.nan)

    ratios = list[Tensor]()
    for alternative in alternatives:
        intersection = _count_cells(label & alternative)
        union = _count_cells(label | alternative)
        ratios.append(intersection / union)
    return torch.stack(ratios).mean(dim=0)


def _entropy(probability: Tensor) -> Tensor:
    """Compute the entropy of a binary label in bits."""
    complement = 1 - probability
    present_term = probability.xlogy(probability)
    absent_term = complement.xlogy(complement)
    nats = -(present_term + absent_term)
    return nats / torch.tensor(2.0).log()


def _continuity(
    labels: Ragged[Tensor], mask: Ragged[Tensor]
) -> Float[Tensor, "modality class"]:
    """Compute the share of labelled segments among the neighbours of labelled segments."""
    labelled_pairs: Tensor | int = 0
    neighbours: Tensor | int = 0
    for videos in labels.lengths.groups():
        label = labels.batch(videos)
        exists = mask.batch(videos)[..., None]
        earlier = label[:, :-1]
        later = label[:, 1:]
        both_exist = exists[:, 1:] & exists[:, :-1]
        labelled_pairs = labelled_pairs + _count_cells(later & earlier)
        neighbours = neighbours + _count_cells(later & both_exist)
        neighbours = neighbours + _count_cells(earlier & both_exist)
    return torch.as_tensor(2 * labelled_pairs / neighbours)


def _mean_over(
    value: Tensor, cells: Bool[Tensor, "video time modality class"]
) -> Float[Tensor, "modality class"]:
    """Average over some cells; 0 without cells."""
    total = (value * cells).sum(dim=(0, 1))
    count = _count_cells(cells).clamp(min=1)
    return total / count


def _count_cells(
    cells: Bool[Tensor, "video time modality class"],
) -> Int[Tensor, "modality class"]:
    return cells.sum(dim=(0, 1))

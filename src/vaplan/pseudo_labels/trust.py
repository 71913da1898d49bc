"""Whether pseudo labels look trustworthy where nobody labelled anything densely: per modality and class, in numbers."""

from dataclasses import asdict, dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from vaplan.pseudo_labels.mixture import Mixture

FEWEST = 5  # tagged videos, below which nothing is said of a class
LEAST_RIGHT = 0.75  # of the labels
LEAST_SEPARATION = 1.0  # widths
MOST_ELSEWHERE = 0.5  # how often untagged videos fire, of how often tagged ones do
MOST_ENTROPY = 0.75  # bits; 1 is a toss-up
LEAST_ALIKE = 0.5  # of what either of two sentences marks


@dataclass(frozen=True)
class Trust:
    """What speaks for and against the labels of one class in one modality.

    Args:
        videos: How many are tagged with it and have the modality.
        fires: The share of their segments that is labelled.
        fires_untagged: The share of the segments of all other videos that would be, were it not for the tags.
        right: The share of the labels that is right, by the mixture of tagged and untagged videos.
        separation: How far the evidence where the class is lies above that where it is not, in standard deviations.
        entropy: How unsure an average segment of a tagged video is, in bits: 0 is sure, 1 a toss-up.
        neighbours: Of the labelled segments' neighbours, the share that is labelled too; NaN without any.
        sentences: Of what each single sentence for the class marks and all together, the share that both do; NaN where
            there is one sentence only.
    """

    videos: int
    fires: float
    fires_untagged: float
    right: float
    separation: float
    entropy: float
    neighbours: float
    sentences: float = float("nan")

    @property
    def reasons(self) -> list[str]:
        """What speaks against the labels, in plain words."""
        if self.videos < FEWEST:
            return [f"only {self.videos} videos are tagged with it"]
        if not self.fires:
            return ["no segment is labelled"]
        found = {
            f"about {self.right:.0%} of the labels are right": self.right < LEAST_RIGHT,
            f"fires in {self.fires_untagged:.0%} of untagged videos' segments, in {self.fires:.0%} of tagged ones'": (
                self.fires_untagged > MOST_ELSEWHERE * self.fires
            ),
            f"tagged and untagged videos look alike, {self.separation:.1f} deviations apart": (
                self.separation < LEAST_SEPARATION
            ),
            f"most segments are nearly a toss-up, {self.entropy:.2f} bits": self.entropy
            > MOST_ENTROPY,
            f"labels come and go: {self.neighbours:.0%} of neighbours are labelled, {self.fires:.0%} of all": (
                self.fires < 0.9 and self.neighbours <= self.fires
            ),
            f"its sentences agree on {self.sentences:.0%} of the labels only": self.sentences
            < LEAST_ALIKE,
        }
        return [reason for reason, holds in found.items() if holds]

    @property
    def verdict(self) -> str:
        """`trustworthy`, `doubtful`, or `unknown` where there is too little to go by."""
        if self.videos < FEWEST:
            return "unknown"
        return "doubtful" if self.reasons else "trustworthy"

    def document(self) -> dict[str, Any]:
        """Everything, as JSON values."""
        numbers = {
            name: None if value != value else value
            for name, value in asdict(self).items()
        }
        return numbers | {"verdict": self.verdict, "reasons": self.reasons}


def assess(
    evidence: Float[Tensor, "video time modality class"],
    weak_label: Bool[Tensor, "video class"],
    mask: Bool[Tensor, "video time modality"],
    *,
    threshold: Float[Tensor, "modality class"],
    mixture: Mixture,
    sentences: Float[Tensor, "modality class"] | None = None,
) -> list[list[Trust]]:
    """Per modality and class, whether the labels above `threshold` look right.

    Args:
        sentences: How much the sentences of a class agree, where it has several.
    """
    tagged, exists = weak_label[:, None, None], mask[..., None]
    inside, outside = tagged & exists, ~tagged & exists
    above = evidence > threshold
    label, probability = above & inside, mixture.probability(evidence)
    unsure = (
        -(probability.xlogy(probability) + (1 - probability).xlogy(1 - probability))
        / torch.tensor(2.0).log()
    )
    labelled_pairs, pairs = label[:, 1:] & label[:, :-1], exists[:, 1:] & exists[:, :-1]
    asked = (label[:, 1:] & pairs).sum(dim=(0, 1)) + (label[:, :-1] & pairs).sum(
        dim=(0, 1)
    )
    numbers = {
        "fires": _share(above, inside),
        "fires_untagged": _share(above, outside),
        "right": _share(probability, label),
        "separation": mixture.lift,
        "entropy": _share(unsure, inside),
        "neighbours": 2 * labelled_pairs.sum(dim=(0, 1)) / asked,
        "sentences": torch.full_like(mixture.lift, torch.nan)
        if sentences is None
        else sentences,
    }
    videos = (weak_label[:, None] & mask.any(dim=1)[..., None]).sum(dim=0)
    rows = torch.stack([*map(torch.Tensor.double, numbers.values())], dim=-1).tolist()
    return [
        [
            Trust(count, **dict(zip(numbers, row, strict=True)))
            for count, row in zip(counts, of_modality, strict=True)
        ]
        for counts, of_modality in zip(videos.tolist(), rows, strict=True)
    ]


def _share(
    value: Tensor, where: Bool[Tensor, "video time modality class"]
) -> Float[Tensor, "modality class"]:
    """The mean over the chosen cells; 0 where there are none."""
    return (value * where).sum(dim=(0, 1)) / where.sum(dim=(0, 1)).clamp(min=1)

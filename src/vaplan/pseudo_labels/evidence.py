"""Evidence for every class in every segment: segments compared with text prompts.

Evidence is a confidence (PLG), a logit (VALOR), a margin over background prompts, or the
deviation of the margin from the `background` of the files. A threshold turns evidence into
pseudo labels; see `thresholds`.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from vaplan.errors import RecipeError, unknown
from vaplan.pseudo_labels.generate import generate_pseudo_labels
from vaplan.pseudo_labels.hmm import HiddenMarkovModel, fit_hidden_markov_model
from vaplan.pseudo_labels.mixture import Mixture, fit_mixture
from vaplan.ragged import Lengths, Ragged

SMOOTHING_BLOCK = (
    256  # segments smoothed at once, so that memory is linear in the length
)
REACH = 15.0  # widths; float32 weights farther away are 0

CONFIDENCE = "confidence"
LOGIT = "logit"
MARGIN = "margin"
DEVIATION = "deviation"  # the margin in standard deviations from the background
# Share of the pairs of a segment and a class that tags allow. Above it, too few pairs
# show the evidence for an absent class.
MAX_TAGGED_SHARE = 0.8


@dataclass(frozen=True)
class Evidence:
    """Evidence for each class in each segment of a collection of videos.

    Attributes:
        values: The evidence, Float "segment modality class"; larger means more probable.
        weak_label: Filter of the pseudo labels: the tags, or all classes if the data set
            has no tags.
        mask: Segments that exist, Bool "segment modality".
        strategy: Name of the strategy that computed the values.
        has_tags: Whether the data set has tags.
        dense: Indices of densely labelled videos on which thresholds can be fitted.
        reference: Dense labels of these videos, Bool "segment modality class".
        training: Indices of the videos that models of the evidence are fitted on; all by
            default.
    """

    values: Ragged[Tensor]
    weak_label: Bool[Tensor, "video class"]
    mask: Ragged[Tensor]
    strategy: str = CONFIDENCE
    has_tags: bool = True
    dense: tuple[int, ...] = ()
    reference: Ragged[Tensor] | None = None
    training: tuple[int, ...] | None = None

    @property
    def classes(self) -> int:
        """Number of classes."""
        return self.values.values.shape[-1]

    @property
    def tags_are_informative(self) -> bool:
        """Whether enough segments lack a tag, so that a model can be fitted on tags."""
        return are_informative(self.weak_label, self.values.lengths)

    def rows(self) -> tuple[Tensor, Tensor, Tensor]:
        """Return evidence, filter and mask for functions that read each segment alone."""
        weak_label = self.values.rows_of(self.weak_label)
        return self.values.rows(), weak_label, self.mask.rows()

    def generate(self, threshold: Float[Tensor, "modality class"]) -> Ragged[Tensor]:
        """Generate pseudo labels; see `generate_pseudo_labels`.

        Args:
            threshold: Threshold of each modality and class.
        """
        labels = generate_pseudo_labels(*self.rows(), threshold=threshold)
        return self.values.from_rows(labels)

    def mixture(self) -> Mixture:
        """Fit the probability that a label is right, from tagged and untagged videos."""
        values, weak_label, mask = self._training_videos()
        return fit_mixture(
            values.rows(),
            values.rows_of(weak_label),
            mask.rows(),
            log_odds=self.strategy == CONFIDENCE,
        )

    def hidden_markov_model(self) -> HiddenMarkovModel:
        """Fit the model of the timelines of tagged videos."""
        return fit_hidden_markov_model(
            *self._training_videos(), log_odds=self.strategy == CONFIDENCE
        )

    def _training_videos(self) -> tuple[Ragged[Tensor], Tensor, Ragged[Tensor]]:
        if self.training is None:
            return self.values, self.weak_label, self.mask
        index = list(self.training)
        return self.values[index], self.weak_label[index], self.mask[index]

    def label_probability(self) -> Ragged[Tensor]:
        """Compute the probability of every label of the tags by the mixture model."""
        probability = self.mixture().probability(self.values.rows())
        return self.values.from_rows(probability)


def are_informative(weak_label: Bool[Tensor, "video class"], lengths: Lengths) -> bool:
    """Return whether tags exclude enough pairs of a segment and a class.

    A long video has nearly all classes of a small taxonomy, so its tags exclude few.

    Args:
        weak_label: Tags of the videos.
        lengths: Number of segments of each video.

    >>> are_informative(torch.eye(2, dtype=torch.bool), Lengths.of([3, 9]))
    True
    """
    if weak_label.all():
        return False
    counts = torch.from_numpy(lengths.counts)
    tagged = int((counts[:, None] * weak_label).sum())
    return tagged <= MAX_TAGGED_SHARE * lengths.total * weak_label.shape[1]


def similarity(
    features: Float[Tensor, "*video time feature"],
    text: Float[Tensor, "class feature"],
    *,
    scale: float = 1.0,
) -> Float[Tensor, "*video time class"]:
    """Compute the cosine of each segment with the prompt of each class.

    Args:
        features: L2-normalised segment vectors.
        text: L2-normalised prompt vectors.
        scale: Factor of the cosines.
    """
    scaled = features if scale == 1.0 else scale * features
    return scaled @ text.T


def confidence(
    similarity: Float[Tensor, "*cells class"],
) -> Float[Tensor, "*cells class"]:
    """Compute the softmax over classes; at scale 1 all values are close to chance."""
    return similarity.softmax(dim=-1)


def logit(
    cosine: Float[Tensor, "*cells class"], *, scale: float
) -> Float[Tensor, "*cells class"]:
    """Compute VALOR's evidence: the cosine at the encoder's own logit scale.

    Args:
        cosine: `similarity` at scale 1.
        scale: Logit scale of the encoder, about 100 for CLIP.
    """
    return scale * cosine


def _confidence_of_cosine(
    cosine: Tensor,
    *,
    scale: float,  # noqa: ARG001 - PLG takes the softmax at scale 1
) -> Tensor:
    return confidence(cosine)


STRATEGIES: dict[str, Callable[..., Tensor]] = {
    CONFIDENCE: _confidence_of_cosine,
    LOGIT: logit,
}


def compute_evidence(
    cosine: Float[Tensor, "*cells class"],
    *,
    strategy: str = CONFIDENCE,
    scale: float = 1.0,
) -> Float[Tensor, "*cells class"]:
    """Compute the evidence that is compared with thresholds.

    Args:
        cosine: `similarity` at scale 1.
        strategy: `confidence` (PLG's softmax over classes) or `logit` (VALOR).
        scale: Logit scale of the encoder, about 100 for CLIP.

    Raises:
        RecipeError: The strategy does not exist.
    """
    if strategy not in STRATEGIES:
        raise RecipeError(unknown("strategy", strategy, STRATEGIES))
    return STRATEGIES[strategy](cosine, scale=scale)


def subtract_background(
    text: Float[Tensor, "class feature"],
    background: Float[Tensor, "prompt feature"],
) -> Float[Tensor, "class feature"]:
    """Subtract the mean background prompt from each class prompt.

    The product of the result with a segment is the segment's cosine with the class minus
    its mean cosine with the background prompts. At the encoder's own logit scale this is
    the margin: the log ratio of the class to an average background prompt. A margin does
    not depend on the other classes, and an offset common to all prompts cancels out.

    Args:
        text: One vector for each class.
        background: One vector for each background prompt, in the same templates.
    """
    return text - background.mean(dim=0)


def smooth(
    evidence: Float[Tensor, "video time modality class"],
    mask: Bool[Tensor, "video time modality"],
    *,
    width: float,
) -> Float[Tensor, "video time modality class"]:
    """Average evidence along the timeline with Gaussian weights.

    Args:
        evidence: Evidence for each class in each segment.
        mask: Segments that exist; others have no weight.
        width: Standard deviation of the weights in segments; 0 returns the evidence
            unchanged.

    Raises:
        RecipeError: The width is negative or not finite.
    """
    if not 0 <= width < torch.inf:
        raise RecipeError(
            f"the smoothing width is {width}",
            fix="give a number of segments, such as 0.5, or 0 for no smoothing",
        )
    if not width:
        return evidence
    exists = mask.to(evidence.dtype)
    existing_evidence = evidence.masked_fill(~mask[..., None], 0)
    reach = math.ceil(width * REACH)
    means = list[Tensor]()
    time = evidence.shape[1]
    for start in range(0, time, SMOOTHING_BLOCK):
        end = min(time, start + SMOOTHING_BLOCK)
        near = slice(max(0, start - reach), end + reach)
        means.append(
            _weighted_mean(
                existing_evidence[:, near],
                exists[:, near],
                centres=torch.arange(start, end, device=evidence.device) - near.start,
                width=width,
            )
        )
    mean = torch.cat(means, dim=1)
    return torch.where(mean.isnan(), evidence, mean)


def _weighted_mean(
    evidence: Float[Tensor, "video near modality class"],
    exists: Float[Tensor, "video near modality"],
    *,
    centres: Int[Tensor, " time"],
    width: float,
) -> Float[Tensor, "video time modality class"]:
    """Average the segments near each centre; NaN where none of them exists."""
    position = torch.arange(evidence.shape[1], device=evidence.device)
    distance = (centres[:, None] - position) / width
    weights = (-0.5 * distance.square()).exp()
    total_weight = torch.einsum("ts,vsm->vtm", weights, exists)[..., None]
    weighted_sum = torch.einsum("ts,vsmc->vtmc", weights, evidence)
    smallest = torch.finfo(evidence.dtype).tiny
    mean = weighted_sum / total_weight.clamp(min=smallest)
    return mean.masked_fill(total_weight <= 0, torch.nan)

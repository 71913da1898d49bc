"""Refined labels: the encoder's evidence combined with out-of-fold predictions of a parser.

Two rules combine the sources. `fuse_log_odds` adds log odds and needs no dense labels.
`fit_stacking` fits a logistic regression on densely labelled videos. The parser must not
have been trained on the labels of the videos it predicts; see `training.cross_fitting`: a
network that was trained on wrong labels memorises them.

Source of stacking: Wolpert, Stacked generalization, Neural Networks 5, 1992. The two
sources and their features are our own choice.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from vaplan.arrays import Prediction
from vaplan.errors import RecipeError

PROBABILITY_CLIP = 1e-4  # distance of a source's probability from 0 and 1
RIDGE = 1.0  # penalty of the weights
RIDGE_CLASS = 10.0  # penalty of the class offsets, in tagged segments
STEPS = 200  # of the fit, which converges far earlier

Cells = tuple[Tensor, ...]  # indices of video, time, modality and class


@dataclass(frozen=True)
class Sources:
    """Two sources of label probabilities for the same videos.

    Attributes:
        encoder: Label probability by the encoder, such as `Mixture.probability`.
        prediction: Out-of-fold prediction of a parser.
        weak_label: Tags of the videos.
    """

    encoder: Float[Tensor, "video time modality class"]
    prediction: Prediction
    weak_label: Bool[Tensor, "video class"]


def fuse_log_odds(
    encoder: Float[Tensor, "video time modality class"],
    parser: Float[Tensor, "video time modality class"],
    weak_label: Bool[Tensor, "video class"],
    mask: Bool[Tensor, "video time modality"],
    *,
    parser_weight: float = 1.0,
) -> Float[Tensor, "video time modality class"]:
    """Combine two label probabilities by adding their log odds.

    This is Bayes' rule for sources with independent errors. Both contain the prior, the
    share of tagged segments in which the class occurs; it is counted once. It is the mean
    of `encoder` per modality and class.

    Args:
        encoder: Label probability by the encoder, such as `Mixture.probability`.
        parser: Label probability by a parser, given the tags; see `condition_on_tags`.
        weak_label: Tags of the videos.
        mask: Segments that exist.
        parser_weight: Weight of the parser's log odds; below 1 because the two sources
            are not fully independent.

    Returns:
        The probability of each label, 0 outside the tags and the mask.

    Raises:
        RecipeError: The weight is negative or not finite.
    """
    if not 0 <= parser_weight < float("inf"):
        raise RecipeError(f"the parser weight must be 0 or more, not {parser_weight}")

    possible = weak_label[:, None, None] & mask[..., None]
    cells = possible.sum(dim=(0, 1)).clamp(min=1)
    total = (encoder * possible).sum(dim=(0, 1))
    prior = total / cells
    prior_log_odds = prior.logit(PROBABILITY_CLIP)

    parser_log_odds = parser.logit(PROBABILITY_CLIP)
    encoder_log_odds = encoder.logit(PROBABILITY_CLIP)
    update = parser_log_odds - prior_log_odds
    log_odds = encoder_log_odds + parser_weight * update
    return log_odds.sigmoid() * possible


@dataclass(frozen=True)
class StackingModel:
    """Logistic regression per modality with an offset per class; see `fit_stacking`.

    Attributes:
        weight: Weight of each feature.
        bias: Bias of each modality.
        offset: Offset of each class.
    """

    weight: Float[Tensor, "modality feature"]
    bias: Float[Tensor, " modality"]
    offset: Float[Tensor, "modality class"]

    def probability(
        self, sources: Sources
    ) -> Float[Tensor, "video time modality class"]:
        """Compute the probability of each label, 0 outside the tags and the mask.

        Args:
            sources: Label probabilities of the videos.
        """
        cells = _possible_cells(sources)
        modality, label = cells[2:]
        fused = torch.zeros_like(sources.encoder)
        logit = self.logit(_features(sources, cells), modality, label)
        fused[cells] = logit.sigmoid().to(fused.dtype)
        return fused

    def logit(
        self,
        features: Float[Tensor, "cell feature"],
        modality: Int[Tensor, " cell"],
        label: Int[Tensor, " cell"],
    ) -> Float[Tensor, " cell"]:
        """Compute the logit of some labels.

        Args:
            features: Features of each label.
            modality: Modality of each label.
            label: Class of each label.
        """
        weighted = features * self.weight[modality]
        score = weighted.sum(dim=1)
        bias = self.bias[modality]
        offset = self.offset[modality, label]
        return score + bias + offset


def fit_stacking(
    batches: Sequence[tuple[Sources, Tensor]],
) -> StackingModel:
    """Fit a logistic regression of dense labels on the two sources.

    Features are the log odds of each source in the segment, in its neighbours, averaged
    over the video and in the other modality, and the parser's log odds of the modality and
    of the video. Ridge penalties on weights and class offsets make some dozens of videos
    enough.

    Args:
        batches: Label probabilities and dense labels, Bool "video time modality class", of
            some videos; each batch has videos of similar length.

    Raises:
        RecipeError: No video has a tag.

    Source: Wolpert, Stacked generalization, Neural Networks 5, 1992.
    """
    cells_of = [_possible_cells(sources) for sources, _ in batches]
    if not any(len(cells[0]) for cells in cells_of):
        raise RecipeError(
            "no tagged segment to fit the stacking model on",
            fix="give densely labelled videos with tags",
        )

    pairs = [*zip(batches, cells_of, strict=True)]
    features = torch.cat([_features(sources, cells) for (sources, _), cells in pairs])
    label = torch.cat([reference[cells] for (_, reference), cells in pairs]).double()
    modality = torch.cat([cells[2] for cells in cells_of])
    class_index = torch.cat([cells[3] for cells in cells_of])

    modalities, classes = batches[0][1].shape[2:]
    weight = torch.zeros(modalities, features.shape[1], dtype=torch.float64)
    bias = torch.zeros(modalities, 1, dtype=torch.float64)
    offset = torch.zeros(modalities, classes, dtype=torch.float64)
    parameters = [weight, bias, offset]
    for parameter in parameters:
        parameter.requires_grad_()
    optimiser = torch.optim.LBFGS(
        parameters, max_iter=STEPS, line_search_fn="strong_wolfe"
    )

    def objective() -> Tensor:
        optimiser.zero_grad()
        model = StackingModel(weight, bias[:, 0], offset)
        logit = model.logit(features, modality, class_index)
        loss = binary_cross_entropy_with_logits(logit, label, reduction="sum")
        weight_penalty = RIDGE * weight.square().sum()
        offset_penalty = RIDGE_CLASS * offset.square().sum()
        total = loss + (weight_penalty + offset_penalty) / 2
        total.backward()  # type: ignore[no-untyped-call]
        return total

    optimiser.step(objective)  # type: ignore[no-untyped-call]
    return StackingModel(weight.detach(), bias[:, 0].detach(), offset.detach())


def _possible_cells(sources: Sources) -> Cells:
    """Return the indices of labels that can be 1: tagged classes in existing segments."""
    is_tagged = sources.weak_label[:, None, None]
    exists = sources.prediction.mask[..., None]
    possible = is_tagged & exists
    return possible.nonzero(as_tuple=True)


def _features(sources: Sources, cells: Cells) -> Float[Tensor, "cell feature"]:
    """Compute the features of each label; log odds of missing segments are 0."""
    prediction = sources.prediction
    video, _, modality, label = cells
    columns = [
        _log_odds(prediction.modality[video, modality, label]),
        _log_odds(prediction.video[video, label]),
    ]
    exists = prediction.mask[..., None].double()
    for source in (sources.encoder, prediction.segment):
        log_odds = _log_odds(source) * exists
        columns += [
            log_odds[cells],
            _mean_of_neighbours(log_odds, exists)[cells],
            _mean_of_video(log_odds, exists)[cells],
            log_odds.flip(2)[cells],
        ]
    return torch.stack(columns, dim=1)


def _log_odds(probability: Tensor) -> Tensor:
    clipped = probability.double().clamp(PROBABILITY_CLIP, 1 - PROBABILITY_CLIP)
    return clipped.logit()


def _mean_of_neighbours(log_odds: Tensor, exists: Tensor) -> Tensor:
    """Average the neighbours in time; 0 without neighbours."""
    total = _sum_of_neighbours(log_odds)
    count = _sum_of_neighbours(exists)
    return total / count.clamp(min=1)


def _sum_of_neighbours(values: Tensor) -> Tensor:
    total = torch.zeros_like(values)
    total[:, :-1] += values[:, 1:]
    total[:, 1:] += values[:, :-1]
    return total


def _mean_of_video(log_odds: Tensor, exists: Tensor) -> Tensor:
    """Average all segments of the video and repeat the mean in each."""
    total = log_odds.sum(dim=1, keepdim=True)
    segments = exists.sum(dim=1, keepdim=True)
    mean = total / segments.clamp(min=1)
    return mean.expand_as(log_odds)

"""Stacking of two sources: compared with a slow restatement, and in cases with a known result."""

import math
from dataclasses import replace

import pytest
import torch

from vaplan.arrays import Prediction
from vaplan.errors import RecipeError
from vaplan.pseudo_labels import Sources, fit_stacking
from vaplan.pseudo_labels.fusion import PROBABILITY_CLIP, RIDGE, RIDGE_CLASS

VIDEOS, TIME, MODALITIES, CLASSES = 12, 4, 2, 3


def random_sources(seed):
    """Make videos, some with missing segments, and two sources that are correlated with the truth."""
    draw = torch.Generator().manual_seed(seed)
    shape = (VIDEOS, TIME, MODALITIES, CLASSES)
    mask = torch.rand(shape[:3], generator=draw) > 0.2
    weak = torch.rand(VIDEOS, CLASSES, generator=draw) > 0.3
    truth = (
        (torch.rand(shape, generator=draw) > 0.5)
        & weak[:, None, None]
        & mask[..., None]
    )
    hints = [
        torch.randn(shape, generator=draw) + strength * truth for strength in (1.5, 1.0)
    ]
    first, segment = (hint.sigmoid() for hint in hints)
    modality, video = (
        torch.rand(VIDEOS, MODALITIES, CLASSES, generator=draw),
        torch.rand(VIDEOS, CLASSES, generator=draw),
    )
    return first, Prediction(segment, modality, video, mask), weak, truth


def fit_model(first, prediction, weak, truth):
    return fit_stacking([(Sources(first, prediction, weak), truth)])


def slow_features(first, prediction, v, t, m, c):
    """Compute the features of one cell, one number after the other."""

    def odds(probability):
        p = min(max(float(probability), PROBABILITY_CLIP), 1 - PROBABILITY_CLIP)
        return math.log(p / (1 - p))

    def mean(values):
        return sum(values) / len(values) if values else 0.0

    found = [odds(prediction.modality[v, m, c]), odds(prediction.video[v, c])]
    for source in (first, prediction.segment):
        there = {
            s: odds(source[v, s, m, c]) for s in range(TIME) if prediction.mask[v, s, m]
        }
        found += [
            odds(source[v, t, m, c]),
            mean([there[s] for s in (t - 1, t + 1) if s in there]),
        ]
        found += [
            mean(list(there.values())),
            odds(source[v, t, 1 - m, c]) if prediction.mask[v, t, 1 - m] else 0.0,
        ]
    return found


def slow_logit(model, features, m, c):
    weighed = sum(
        w * x for w, x in zip(model.weight[m].tolist(), features, strict=True)
    )
    return weighed + float(model.bias[m] + model.offset[m, c])


def cells(weak, mask):
    return [
        tuple(cell)
        for cell in (weak[:, None, None] & mask[..., None]).nonzero().tolist()
    ]


def test_the_probability_equals_a_slow_restatement_and_is_zero_outside_tags_and_mask():
    first, prediction, weak, truth = random_sources(3)
    model = fit_model(first, prediction, weak, truth)
    found = model.probability(Sources(first, prediction, weak))
    expected = torch.zeros_like(first)
    for v, t, m, c in cells(weak, prediction.mask):
        expected[v, t, m, c] = 1 / (
            1
            + math.exp(
                -slow_logit(model, slow_features(first, prediction, v, t, m, c), m, c)
            )
        )
    assert torch.allclose(found, expected, atol=1e-5)


def test_no_other_weights_fit_better():
    first, prediction, weak, truth = random_sources(4)
    model = fit_model(first, prediction, weak, truth)
    slope = {
        "weight": RIDGE * model.weight,
        "bias": torch.zeros_like(model.bias),
        "offset": RIDGE_CLASS * model.offset,
    }
    for v, t, m, c in cells(weak, prediction.mask):
        features = slow_features(first, prediction, v, t, m, c)
        wrong = 1 / (1 + math.exp(-slow_logit(model, features, m, c))) - float(
            truth[v, t, m, c]
        )
        slope["weight"][m] += wrong * torch.tensor(features, dtype=torch.float64)
        slope["bias"][m] += wrong
        slope["offset"][m, c] += wrong
    assert max(float(values.abs().max()) for values in slope.values()) < 1e-3


@pytest.mark.parametrize("random_source", ["encoder", "parser"])
def test_with_one_random_source_the_labels_are_those_of_the_other(random_source):
    first, prediction, weak, truth = random_sources(5)
    sure = torch.where(truth, 0.95, 0.05)
    if random_source == "encoder":
        prediction = replace(prediction, segment=sure)
    else:
        first = sure
    fused = fit_model(first, prediction, weak, truth).probability(
        Sources(first, prediction, weak)
    )
    assert torch.equal(fused > 0.5, truth)


def test_missing_segments_change_nothing():
    first, prediction, weak, truth = random_sources(6)
    absent = ~prediction.mask[..., None].expand_as(first)
    other = replace(prediction, segment=prediction.segment.masked_fill(absent, 0.99))
    one, two = (
        fit_model(first, what, weak, truth).probability(Sources(first, what, weak))
        for what in (prediction, other)
    )
    assert torch.equal(one, two)


def test_stacking_needs_a_tagged_segment():
    first, prediction, weak, truth = random_sources(7)
    with pytest.raises(
        RecipeError, match="no tagged segment to fit the stacking model on"
    ):
        fit_model(first, prediction, torch.zeros_like(weak), truth)


def test_videos_in_several_batches_are_fitted_together():
    first, prediction, weak, truth = random_sources(8)
    batches = [
        (Sources(first[part], prediction[part], weak[part]), truth[part])
        for part in (slice(0, 5), slice(5, None))
    ]
    apart, together = fit_stacking(batches), fit_model(first, prediction, weak, truth)
    assert torch.allclose(apart.weight, together.weight, atol=1e-4)

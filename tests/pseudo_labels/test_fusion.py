"""Stacking of two sources: against a slow restatement, and where the answer is known."""

import math
from dataclasses import replace

import pytest
import torch

from vaplan.arrays import Prediction
from vaplan.errors import RecipeError
from vaplan.pseudo_labels import Sources, fit_stacking
from vaplan.pseudo_labels.fusion import PROBABILITY_CLIP, RIDGE, RIDGE_CLASS

VIDEOS, TIME, MODALITIES, CLASSES = 12, 4, 2, 3


def drawn(seed):
    """Videos, some with missing segments, whose truth both sources know a little of."""
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


def fitted(first, said, weak, truth):
    return fit_stacking([(Sources(first, said, weak), truth)])


def slow_features(first, said, v, t, m, c):
    """One cell's features, one number after the other."""

    def odds(probability):
        p = min(max(float(probability), PROBABILITY_CLIP), 1 - PROBABILITY_CLIP)
        return math.log(p / (1 - p))

    def mean(values):
        return sum(values) / len(values) if values else 0.0

    found = [odds(said.modality[v, m, c]), odds(said.video[v, c])]
    for source in (first, said.segment):
        there = {s: odds(source[v, s, m, c]) for s in range(TIME) if said.mask[v, s, m]}
        found += [
            odds(source[v, t, m, c]),
            mean([there[s] for s in (t - 1, t + 1) if s in there]),
        ]
        found += [
            mean(list(there.values())),
            odds(source[v, t, 1 - m, c]) if said.mask[v, t, 1 - m] else 0.0,
        ]
    return found


def slow_logit(stack, features, m, c):
    weighed = sum(
        w * x for w, x in zip(stack.weight[m].tolist(), features, strict=True)
    )
    return weighed + float(stack.bias[m] + stack.offset[m, c])


def cells(weak, mask):
    return [
        tuple(cell)
        for cell in (weak[:, None, None] & mask[..., None]).nonzero().tolist()
    ]


def test_the_probability_is_that_of_a_slow_restatement_and_nought_where_no_label_can_be():
    first, said, weak, truth = drawn(3)
    stack = fitted(first, said, weak, truth)
    found = stack.probability(Sources(first, said, weak))
    expected = torch.zeros_like(first)
    for v, t, m, c in cells(weak, said.mask):
        expected[v, t, m, c] = 1 / (
            1
            + math.exp(-slow_logit(stack, slow_features(first, said, v, t, m, c), m, c))
        )
    assert torch.allclose(found, expected, atol=1e-5)


def test_no_other_weights_fit_better():
    first, said, weak, truth = drawn(4)
    stack = fitted(first, said, weak, truth)
    slope = {
        "weight": RIDGE * stack.weight,
        "bias": torch.zeros_like(stack.bias),
        "offset": RIDGE_CLASS * stack.offset,
    }
    for v, t, m, c in cells(weak, said.mask):
        features = slow_features(first, said, v, t, m, c)
        wrong = 1 / (1 + math.exp(-slow_logit(stack, features, m, c))) - float(
            truth[v, t, m, c]
        )
        slope["weight"][m] += wrong * torch.tensor(features, dtype=torch.float64)
        slope["bias"][m] += wrong
        slope["offset"][m, c] += wrong
    assert max(float(values.abs().max()) for values in slope.values()) < 1e-3


@pytest.mark.parametrize("liar", ["encoder", "parser"])
def test_a_witness_who_only_guesses_is_not_believed(liar):
    first, said, weak, truth = drawn(5)
    sure = torch.where(truth, 0.95, 0.05)
    if liar == "encoder":
        said = replace(said, segment=sure)
    else:
        first = sure
    fused = fitted(first, said, weak, truth).probability(Sources(first, said, weak))
    assert torch.equal(fused > 0.5, truth)


def test_segments_that_do_not_exist_have_no_say():
    first, said, weak, truth = drawn(6)
    absent = ~said.mask[..., None].expand_as(first)
    other = replace(said, segment=said.segment.masked_fill(absent, 0.99))
    one, two = (
        fitted(first, what, weak, truth).probability(Sources(first, what, weak))
        for what in (said, other)
    )
    assert torch.equal(one, two)


def test_without_a_tagged_segment_there_is_nothing_to_weigh_by():
    first, said, weak, truth = drawn(7)
    with pytest.raises(
        RecipeError, match="no tagged segment to fit the stacking model on"
    ):
        fitted(first, said, torch.zeros_like(weak), truth)


def test_videos_in_several_batches_are_fitted_together():
    first, said, weak, truth = drawn(8)
    batches = [
        (Sources(first[part], said[part], weak[part]), truth[part])
        for part in (slice(0, 5), slice(5, None))
    ]
    apart, together = fit_stacking(batches), fitted(first, said, weak, truth)
    assert torch.allclose(apart.weight, together.weight, atol=1e-4)

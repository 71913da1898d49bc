"""Label probabilities as targets and as weights."""

import math
from dataclasses import replace

import pytest
import torch

from vaplan.arrays import Prediction, Target
from vaplan.errors import RecipeError
from vaplan.losses import LOSSES, check
from vaplan.recipe import parse

NAMES = ("segment", "segment_logit", "modality")


def random_prediction_and_target(seed=0, videos=4, time=5, classes=3):
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape):
        return torch.rand(*shape, generator=generator)

    logit, mask = 3 * draw(videos, time, 2, classes) - 1, draw(videos, time, 2) < 0.8
    arrays = logit.sigmoid(), draw(videos, 2, classes), draw(videos, classes)
    pseudo = draw(videos, time, 2, classes) < 0.4
    soft = torch.where(
        pseudo, 0.5 + 0.5 * draw(*pseudo.shape), 0.5 * draw(*pseudo.shape)
    )
    return Prediction(*arrays, mask, logit), Target(
        draw(videos, classes) < 0.5, pseudo, soft
    )


@pytest.mark.parametrize("name", NAMES)
def test_all_three_kinds_are_equal_for_certain_labels(name):
    prediction, target = random_prediction_and_target()
    certain = replace(target, label_probability=target.pseudo.float())
    hard = LOSSES[name](prediction, replace(target, label_probability=None))
    for kind in ("hard", "soft", "weighted"):
        assert torch.allclose(LOSSES[name](prediction, certain, labels=kind), hard)


@pytest.mark.parametrize("name", NAMES)
def test_hard_labels_ignore_the_label_probabilities(name):
    prediction, target = random_prediction_and_target(1)
    assert torch.equal(
        LOSSES[name](prediction, target),
        LOSSES[name](prediction, replace(target, label_probability=None)),
    )


@pytest.mark.parametrize("name", ["segment", "segment_logit"])
def test_a_probability_of_one_half_has_weight_zero_and_is_a_soft_target_of_one_half(
    name,
):
    prediction, target = random_prediction_and_target(2)
    uncertain = replace(
        target, label_probability=torch.full_like(target.label_probability, 0.5)
    )
    assert LOSSES[name](prediction, uncertain, labels="weighted") == 0
    half = replace(
        prediction,
        segment=torch.full_like(prediction.segment, 0.5),
        logit=torch.zeros_like(prediction.segment),
    )
    least = LOSSES[name](half, uncertain, labels="soft")
    assert least.item() == pytest.approx(2 * math.log(2), abs=1e-5)
    assert LOSSES[name](prediction, uncertain, labels="soft") > least


def test_a_weighted_segment_counts_by_its_confidence():
    prediction = Prediction(
        torch.full((1, 2, 2, 1), 0.5),
        torch.ones(1, 2, 1),
        torch.ones(1, 1),
        torch.ones(1, 2, 2) > 0,
    )
    soft = torch.tensor([0.9, 0.7]).reshape(1, 2, 1, 1).expand(1, 2, 2, 1)
    target = Target(torch.tensor([[True]]), soft > 0.5, soft)
    found = LOSSES["segment"](prediction, target, labels="weighted").item()
    assert found == pytest.approx(2 * math.log(2) * (0.8 + 0.4) / 2, abs=1e-6)


def test_the_label_probability_of_a_modality_is_the_maximum_over_segments():
    prediction, target = random_prediction_and_target(3)
    whole = replace(prediction, mask=torch.ones_like(prediction.mask))
    likeliest = target.label_probability.amax(dim=1, keepdim=True).expand_as(
        target.label_probability
    )
    one, other = (
        LOSSES["modality"](whole, replace(target, label_probability=s), labels="soft")
        for s in (target.label_probability, likeliest)
    )
    assert torch.equal(one, other)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", ["soft", "weighted"])
def test_values_under_a_mask_are_not_learned(name, kind):
    prediction, target = random_prediction_and_target(4)
    wild = torch.where(
        prediction.mask[..., None],
        target.label_probability,
        torch.ones_like(target.label_probability),
    )
    assert torch.equal(
        LOSSES[name](prediction, target, labels=kind),
        LOSSES[name](prediction, replace(target, label_probability=wild), labels=kind),
    )


def test_missing_label_probabilities_and_unknown_kinds_are_errors():
    prediction, target = random_prediction_and_target(5)
    with pytest.raises(RecipeError, match="labels: soft needs label probabilities"):
        LOSSES["segment"](
            prediction, replace(target, label_probability=None), labels="soft"
        )
    with pytest.raises(
        RecipeError, match="unknown kind of labels 'sotf'; did you mean 'soft'"
    ):
        LOSSES["segment"](prediction, target, labels="sotf")


def test_a_recipe_selects_the_kind_of_labels():
    recipe = parse(
        "losses: {video: 1, segment: {labels: soft, weight: 0.5}}\nlabel_probability: soft.csv"
    )
    assert recipe.losses["segment"] == {"weight": 0.5, "labels": "soft"}
    check(recipe.losses)

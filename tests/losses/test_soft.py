"""Labels that are not sure: as targets, and as weights."""

import math
from dataclasses import replace

import pytest
import torch

from vaplan.arrays import Prediction, Target
from vaplan.errors import RecipeError
from vaplan.losses import LOSSES, check
from vaplan.recipe import parse

NAMES = ("segment", "segment_logit", "modality")


def said_and_target(seed=0, videos=4, time=5, classes=3):
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
def test_labels_that_are_sure_make_all_three_kinds_the_same(name):
    said, target = said_and_target()
    sure = replace(target, label_probability=target.pseudo.float())
    hard = LOSSES[name](said, replace(target, label_probability=None))
    for kind in ("hard", "soft", "weighted"):
        assert torch.allclose(LOSSES[name](said, sure, labels=kind), hard)


@pytest.mark.parametrize("name", NAMES)
def test_hard_labels_are_learned_to_the_bit_as_if_nobody_knew_how_sure_they_are(name):
    said, target = said_and_target(1)
    assert torch.equal(
        LOSSES[name](said, target),
        LOSSES[name](said, replace(target, label_probability=None)),
    )


@pytest.mark.parametrize("name", ["segment", "segment_logit"])
def test_a_toss_up_weighs_nothing_and_pulls_to_one_half(name):
    said, target = said_and_target(2)
    toss_up = replace(
        target, label_probability=torch.full_like(target.label_probability, 0.5)
    )
    assert LOSSES[name](said, toss_up, labels="weighted") == 0
    half = replace(
        said,
        segment=torch.full_like(said.segment, 0.5),
        logit=torch.zeros_like(said.segment),
    )
    least = LOSSES[name](half, toss_up, labels="soft")
    assert least.item() == pytest.approx(2 * math.log(2), abs=1e-5)
    assert LOSSES[name](said, toss_up, labels="soft") > least


def test_a_weighted_segment_counts_by_how_sure_it_is():
    said = Prediction(
        torch.full((1, 2, 2, 1), 0.5),
        torch.ones(1, 2, 1),
        torch.ones(1, 1),
        torch.ones(1, 2, 2) > 0,
    )
    soft = torch.tensor([0.9, 0.7]).reshape(1, 2, 1, 1).expand(1, 2, 2, 1)
    target = Target(torch.tensor([[True]]), soft > 0.5, soft)
    found = LOSSES["segment"](said, target, labels="weighted").item()
    assert found == pytest.approx(2 * math.log(2) * (0.8 + 0.4) / 2, abs=1e-6)


def test_a_modality_is_as_likely_to_hold_a_class_as_its_likeliest_segment():
    said, target = said_and_target(3)
    whole = replace(said, mask=torch.ones_like(said.mask))
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
def test_what_lies_under_a_mask_is_not_learned(name, kind):
    said, target = said_and_target(4)
    wild = torch.where(
        said.mask[..., None],
        target.label_probability,
        torch.ones_like(target.label_probability),
    )
    assert torch.equal(
        LOSSES[name](said, target, labels=kind),
        LOSSES[name](said, replace(target, label_probability=wild), labels=kind),
    )


def test_without_soft_labels_or_with_another_kind_there_is_one_clear_line():
    said, target = said_and_target(5)
    with pytest.raises(RecipeError, match="labels: soft needs label probabilities"):
        LOSSES["segment"](said, replace(target, label_probability=None), labels="soft")
    with pytest.raises(
        RecipeError, match="unknown kind of labels 'sotf'; did you mean 'soft'"
    ):
        LOSSES["segment"](said, target, labels="sotf")


def test_a_recipe_turns_it_on():
    recipe = parse(
        "losses: {video: 1, segment: {labels: soft, weight: 0.5}}\nlabel_probability: soft.csv"
    )
    assert recipe.losses["segment"] == {"weight": 0.5, "labels": "soft"}
    check(recipe.losses)

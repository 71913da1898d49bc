"""The tags that MA and JoMoLD remove, compared with slow restatements; VALOR's thresholds and prompts."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.oracles import tags as oracle
from vaplan.arrays import AUDIO, VISUAL
from vaplan.errors import RecipeError
from vaplan.pseudo_labels import (
    NoiseEstimate,
    compute_evidence,
    draw_partners,
    error_rates,
    noise_ratios,
    noisy_tags,
    removed_by_exchange,
    valor_prompts,
    valor_thresholds,
)
from vaplan.taxonomy import LLP

seeds = st.integers(0, 10_000)


def places(grid):
    return {tuple(cell) for cell in torch.nonzero(grid).tolist()}


@given(seeds)
def test_the_exchange_equals_its_slow_restatement(seed):
    random = torch.Generator().manual_seed(seed)
    weak = torch.rand(9, 4, generator=random) < 0.6
    foreign = (
        torch.rand(9, 2, 4, generator=random),
        torch.rand(9, 2, 4, generator=random),
    )
    error = torch.rand(2, 4, generator=random)
    error[:, 0] = 0
    removed = removed_by_exchange(weak, foreign, error)
    assert places(removed) == oracle.removed_by_exchange(weak, *foreign, error)
    assert not removed[..., 0].any()  # a class without errors loses no tag


@given(seeds)
def test_partners_share_no_tag_and_are_missing_only_if_there_is_none(seed):
    random = torch.Generator().manual_seed(seed)
    weak = torch.rand(12, 3, generator=random) < 0.5
    partner = draw_partners(weak, seed=seed)
    for v, p in enumerate(partner.tolist()):
        possible = [u for u in range(12) if u != v and not (weak[u] & weak[v]).any()]
        assert p in possible if possible else p == -1
    assert torch.equal(partner, draw_partners(weak, seed=seed))


def test_error_rates_by_hand():
    probability = torch.tensor([[[0.9], [0.1]], [[0.2], [0.8]]])
    weak, present = (
        torch.tensor([[True], [False]]),
        torch.tensor([[True, True], [True, False]]),
    )
    assert error_rates(probability, weak, present).tolist() == [[0.0], [1.0]]


@given(seeds, st.integers(1, 24))
def test_the_removal_equals_its_slow_restatement(seed, videos):
    random = torch.Generator().manual_seed(seed)
    weak = torch.rand(videos, 5, generator=random) < 0.7
    loss, ratios = (
        torch.rand(videos, 2, 5, generator=random),
        torch.rand(2, 5, generator=random),
    )
    present = torch.ones(videos, 2, dtype=torch.bool)
    assert places(noisy_tags(loss, weak, present, ratios)) == oracle.noisy_tags(
        loss, weak, ratios
    )


def test_a_class_with_few_tags_in_the_batch_loses_none():
    weak, present = (
        torch.ones(3, 1, dtype=torch.bool),
        torch.ones(3, 2, dtype=torch.bool),
    )
    loss = torch.tensor([[[3.0], [0.0]], [[2.0], [1.0]], [[1.0], [2.0]]])
    assert not noisy_tags(loss, weak, present, torch.full((2, 1), 0.33)).any()
    assert places(noisy_tags(loss, weak, present, torch.full((2, 1), 0.34))) == {
        (0, AUDIO, 0),
        (2, VISUAL, 0),
    }


def test_noise_ratios_by_hand():
    probability = torch.tensor([[[0.9], [0.9]], [[0.1], [0.9]], [[0.5], [0.3]]])
    weak, present = (
        torch.tensor([[True], [True], [False]]),
        torch.ones(3, 2, dtype=torch.bool),
    )
    assert noise_ratios(probability, weak, present).tolist() == [
        [0.5],
        [1.0],
    ]  # means 0.5 and 0.7; bars 0.3 and 1.26
    strict = NoiseEstimate(below=(0.6, 1.26))  # 0.9 / 0.7 is above, 0.95 of it is not
    assert noise_ratios(probability, weak, present, strict).tolist() == [[0.5], [0.0]]
    official = NoiseEstimate(below=(0.6, 1.26), official=True)
    assert noise_ratios(probability, weak, present, official).tolist() == [[0.5], [1.0]]


def test_valor_has_a_threshold_and_a_sentence_for_every_class_of_llp():
    logits = valor_thresholds(["Dog", "Speech"])
    assert logits == {"audio": [4.0, 0.0], "visual": [14.0, 20.0]}
    assert valor_prompts(["Dog"], AUDIO) == [["This is a sound of dog"]]
    assert valor_prompts(["Dog"], VISUAL) == [["A photo of a dog."]]
    assert all(
        len(values) == len(LLP) for values in valor_thresholds(LLP.classes).values()
    )
    with pytest.raises(
        RecipeError, match="unknown class of VALOR 'Dgo'; did you mean 'Dog'"
    ):
        valor_thresholds(["Dgo"])


def test_a_logit_is_the_cosine_at_the_encoders_scale_and_a_confidence_sums_to_one():
    cosine = torch.tensor([[0.25, 0.2]])
    assert torch.equal(
        compute_evidence(cosine, strategy="logit", scale=100.0), 100 * cosine
    )
    assert compute_evidence(cosine, scale=100.0).sum().item() == pytest.approx(1)
    with pytest.raises(RecipeError, match="did you mean 'logit'"):
        compute_evidence(cosine, strategy="logits")

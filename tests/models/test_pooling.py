import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.oracles import han as oracle
from vaplan.models.pooling import (
    AttentiveMMIL,
    masked_softmax,
    weighted_mean,
    weighted_sum,
)
from vaplan.training import seeded


def random_pooling(seed, *, pool=weighted_sum, time=4, classes=3):
    with seeded(seed):
        module = AttentiveMMIL(5, classes, pool=pool)
        hidden, probability = (
            torch.randn(2, time, 2, 5),
            torch.rand(2, time, 2, classes),
        )
    return module, hidden, probability, torch.ones(2, time, 2, dtype=torch.bool)


@settings(deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 6), st.integers(1, 4))
def test_the_pooling_equals_the_loops_of_the_paper(seed, time, classes):
    module, hidden, probability, mask = random_pooling(seed, time=time, classes=classes)
    module.requires_grad_(False)
    modality, video = module(hidden, probability, mask)
    logits = module.time_attention(hidden), module.modality_attention(hidden)
    for v in range(len(mask)):
        expected = oracle.pool(probability[v], logits[0][v], logits[1][v])
        assert torch.allclose(modality[v], expected[0], atol=1e-6)
        assert torch.allclose(video[v], expected[1], atol=1e-6)


def test_the_published_sum_reaches_two_when_modalities_attend_to_different_seconds():
    weight = torch.zeros(1, 2, 2, 1)
    weight[0, 0, 0] = weight[0, 1, 1] = 1
    certain = torch.ones(1, 2, 2, 1)
    assert weighted_sum(certain, weight).item() == 2
    assert weighted_mean(certain, weight).item() == 1


@settings(deadline=None)
@given(st.integers(0, 10_000))
def test_the_mean_is_a_probability_between_the_lowest_and_the_highest(seed):
    module, hidden, probability, mask = random_pooling(seed, pool=weighted_mean)
    _, video = module(hidden, probability, mask)
    cells = probability.flatten(1, 2)
    assert (video >= cells.amin(1) - 1e-6).all()
    assert (video <= cells.amax(1) + 1e-6).all()


def test_softmax_over_no_cell_is_zero_and_has_no_gradient():
    logit = torch.randn(1, 3, 2, 2, requires_grad=True)
    mask = torch.tensor([[[True, False]] * 3])
    weight = masked_softmax(logit, mask, dim=1)
    assert torch.allclose(weight.sum(1), torch.tensor([[[1.0, 1.0], [0.0, 0.0]]]))
    weight.square().sum().backward()
    assert not logit.grad[:, :, 1].any()

"""The hidden Markov model against an enumeration of all timelines, and on data it generated."""

from dataclasses import replace
from itertools import pairwise, product

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from jaxtyping import Bool, Float
from torch import Tensor

from vaplan.arrays import AUDIO, MODALITIES, VISUAL
from vaplan.errors import RecipeError
from vaplan.pseudo_labels import (
    HiddenMarkovModel,
    fit_hidden_markov_model,
    hmm,
    labels_of_highest_expected_f,
)
from vaplan.pseudo_labels.expected_f import mark_most_probable
from vaplan.pseudo_labels.hmm import (
    ABSENT_SHIFT,
    WRONG_TAGS,
    LabelProbability,
)
from vaplan.ragged import Lengths, Ragged

CLASSES = 2


def make_model(seed: int) -> HiddenMarkovModel:
    """Draw parameters of a model of standardised evidence."""
    generator = torch.Generator().manual_seed(seed)

    def uniform(low: float, high: float, *shape: int) -> Tensor:
        size = torch.rand(*shape, generator=generator, dtype=torch.float64)
        return low + (high - low) * size

    present = uniform(1.5, 3.5, 2, CLASSES)
    mean = torch.stack([torch.full_like(present, ABSENT_SHIFT), present], dim=-1)
    transition = uniform(0.1, 0.9, 2, 2, 1)
    first = uniform(0.1, 0.9, 2, CLASSES, 1)
    occurrence = uniform(0.1, 1, CLASSES, 2, 2)
    return HiddenMarkovModel(
        absent=torch.zeros(2, CLASSES, dtype=torch.float64),
        width=torch.ones(2, CLASSES, dtype=torch.float64),
        correlation=uniform(0, 0.9, 2),
        mean=mean,
        variance=uniform(0.5, 2, 2, 2),
        innovation=uniform(0.3, 1, 2, 2),
        transition=torch.cat([transition, 1 - transition], dim=-1),
        initial=torch.cat([first, 1 - first], dim=-1),
        occurrence=occurrence / occurrence.sum(dim=(1, 2), keepdim=True),
    )


def density(error: Tensor, variance: Tensor) -> Tensor:
    return torch.distributions.Normal(0.0, variance.sqrt()).log_prob(error).exp()


def timelines(
    model: HiddenMarkovModel, values: Float[Tensor, " time"], m: int, c: int
) -> dict[tuple[int, ...], Tensor]:
    """Return the likelihood of the evidence under every timeline of states."""
    mean, correlation = model.mean[m, c], model.correlation[m]
    likelihood = {}
    for states in product((0, 1), repeat=len(values)):
        total = torch.ones((), dtype=torch.float64)
        for t, state in enumerate(states):
            if t == 0:
                total *= density(values[0] - mean[state], model.variance[m, state])
                continue
            before = states[t - 1]
            expected = mean[state] + correlation * (values[t - 1] - mean[before])
            total *= density(values[t] - expected, model.innovation[m, state])
        likelihood[states] = total
    return likelihood


def prior(model: HiddenMarkovModel, states: tuple[int, ...], m: int, c: int) -> Tensor:
    """Return the probability of a timeline of a class that occurs in the modality."""

    def chain(states: tuple[int, ...]) -> Tensor:
        total = model.initial[m, c, states[0]].clone()
        for before, after in pairwise(states):
            total *= model.transition[m, before, after]
        return total

    if not any(states):
        return torch.zeros((), dtype=torch.float64)
    return chain(states) / (1 - chain((0,) * len(states)))


def enumerate_probabilities(
    model: HiddenMarkovModel, values: Tensor, mask: Tensor, c: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Compute the probabilities of one tag by an enumeration of both modalities.

    Returns:
        Probabilities of the labels, of the modalities, and of a wrong tag.
    """
    never, occurs, present = [], [], []
    for m in range(2):
        existing = values[mask[:, m], m, c]
        likelihood = timelines(model, existing, m, c)
        weighted = {s: prior(model, s, m, c) * value for s, value in likelihood.items()}
        never.append(likelihood[(0,) * len(existing)])
        occurs.append(sum(weighted.values()))
        share = torch.zeros(len(mask), dtype=torch.float64)
        for states, weight in weighted.items():
            share[mask[:, m]] += weight * torch.tensor(states) / occurs[-1]
        present.append(share)
    joint = torch.stack(
        [
            torch.stack(
                [occurs[AUDIO] * occurs[VISUAL], occurs[AUDIO] * never[VISUAL]]
            ),
            torch.stack([never[AUDIO] * occurs[VISUAL], never[AUDIO] * never[VISUAL]]),
        ]
    )
    joint = model.occurrence[c] * joint
    joint = joint / joint.sum()
    modality = torch.stack([joint[0].sum(), joint[:, 0].sum()])
    return torch.stack(present, dim=1) * modality, modality, joint[1, 1]


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1000), st.lists(st.integers(1, 5), min_size=1, max_size=4))
def test_probabilities_equal_an_enumeration_of_all_timelines(
    seed: int, counts: list[int]
) -> None:
    model = make_model(seed)
    generator = torch.Generator().manual_seed(seed)
    lengths = Lengths.of(counts)
    values = 2 * torch.randn(
        lengths.total, 2, CLASSES, generator=generator, dtype=torch.float64
    )
    mask = torch.rand(lengths.total, 2, generator=generator) < 0.8
    for start in lengths.starts:
        mask[start] = True  # each modality has a segment
    tags = torch.rand(len(counts), CLASSES, generator=generator) < 0.6
    evidence, exists = Ragged(values, lengths), Ragged(mask, lengths)
    found = model.probability(evidence, tags, exists)
    videos = zip(
        evidence.by_video(), exists.by_video(), found.segment.by_video(), strict=True
    )
    for v, (value, of_video, segment) in enumerate(videos):
        for c in range(CLASSES):
            if not tags[v, c]:
                assert not segment[..., c].any()
                assert not found.modality[v, :, c].any()
                continue
            expected, modality, wrong = enumerate_probabilities(
                model, value, of_video, c
            )
            assert torch.allclose(found.wrong_tag[v, c].double(), wrong, atol=1e-5)
            assert torch.allclose(segment[..., c].double(), expected, atol=1e-5)
            assert torch.allclose(found.modality[v, :, c].double(), modality, atol=1e-5)


def test_a_missing_modality_has_probability_zero() -> None:
    model = make_model(0)
    evidence = torch.randn(1, 4, 2, CLASSES, dtype=torch.float64)
    mask = torch.ones(1, 4, 2, dtype=torch.bool)
    mask[..., AUDIO] = False
    tags = torch.tensor([[True, False]])
    found = model.probability(Ragged.of(evidence), tags, Ragged.of(mask))
    assert not found.segment.batch()[:, :, AUDIO].any()
    assert not found.modality[:, AUDIO].any()
    assert found.segment.batch()[0, :, VISUAL, 0].all()


def generate(
    videos: int, seed: int, *, counts: tuple[int, int] = (10, 10)
) -> tuple[Ragged[Tensor], Bool[Tensor, "video class"], Ragged[Tensor], Ragged[Tensor]]:
    """Generate evidence, tags, masks and labels; a class is often in one modality only."""
    generator = torch.Generator().manual_seed(seed)

    def chance(probability: float, *shape: int) -> Tensor:
        return torch.rand(*shape, generator=generator) < probability

    low, high = counts
    lengths = Lengths.of(
        torch.randint(low, high + 1, (videos,), generator=generator).tolist()
    )
    tags = chance(0.5, videos, CLASSES)
    time = lengths.longest
    occurs = torch.stack(
        [chance(0.9, videos, CLASSES), chance(0.6, videos, CLASSES)], 1
    )
    occurs[:, VISUAL] |= ~occurs[:, AUDIO]
    state = chance(0.6, videos, 2, CLASSES)
    truth = torch.zeros(videos, time, 2, CLASSES, dtype=torch.bool)
    noise = torch.randn(videos, 2, CLASSES, generator=generator)
    values = torch.zeros(truth.shape)
    for t in range(time):
        state = torch.where(chance(0.15, *state.shape), ~state, state)
        truth[:, t] = state & occurs & tags[:, None]
        fresh = torch.randn(noise.shape, generator=generator)
        noise = 0.7 * noise + (1 - 0.7**2) ** 0.5 * fresh
        values[:, t] = noise + 2.5 * truth[:, t]
    mask = torch.ones(videos, time, 2, dtype=torch.bool)
    parts = (Ragged(lengths.flatten(array), lengths) for array in (values, mask, truth))
    values_, mask_, truth_ = parts
    return values_, tags, mask_, truth_


def test_the_fit_finds_the_parameters_that_generated_the_data() -> None:
    values, tags, mask, _ = generate(1500, seed=1)
    model = fit_hidden_markov_model(values, tags, mask)
    assert torch.allclose(model.correlation, torch.tensor(0.7).double(), atol=0.04)
    assert torch.allclose(model.mean[..., 1], torch.tensor(2.5).double(), atol=0.3)
    stays = model.transition.diagonal(dim1=1, dim2=2)
    assert torch.allclose(stays, torch.tensor(0.85).double(), atol=0.08)
    never = 1 - torch.tensor([0.9, 0.64])
    audio = model.occurrence.mean(dim=0)[1].sum()
    visual = model.occurrence.mean(dim=0)[:, 1].sum()
    assert torch.allclose(torch.stack([audio, visual]).float(), never, atol=0.12)
    assert torch.allclose(model.occurrence[:, 1, 1], torch.tensor(WRONG_TAGS).double())


@pytest.mark.parametrize("counts", [(10, 10), (3, 40)])
def test_the_model_is_better_than_the_best_threshold_on_single_segments(
    counts: tuple[int, int],
) -> None:
    values, tags, mask, truth = generate(600, seed=2, counts=counts)
    model = fit_hidden_markov_model(values, tags, mask)
    probability = model.probability(values, tags, mask)
    marked = (probability.segment.values > 0.5) == truth.values
    best = max(
        float(
            ((values.values > t) & values.lengths.repeat(tags)[:, None] == truth.values)
            .double()
            .mean()
        )
        for t in torch.linspace(-1, 4, 51)
    )  # of one threshold fitted on the truth
    assert float(marked.double().mean()) > best + 0.01


def test_the_result_does_not_depend_on_the_groups_of_videos() -> None:
    values, tags, mask, _ = generate(80, seed=3, counts=(3, 40))
    model = fit_hidden_markov_model(values, tags, mask)
    together = model.probability(values, tags, mask)
    for v in (0, 17, 79):
        alone = model.probability(values[[v]], tags[[v]], mask[[v]])
        part = together.segment[[v]].values
        assert torch.allclose(alone.segment.values, part, atol=1e-6)
        assert torch.allclose(alone.modality[0], together.modality[v], atol=1e-6)


def test_the_result_does_not_depend_on_the_scale_of_the_evidence() -> None:
    values, tags, mask, _ = generate(200, seed=4)
    scaled = replace(values, values=1000 + 0.01 * values.values.double())
    first = fit_hidden_markov_model(values, tags, mask).probability(values, tags, mask)
    second = fit_hidden_markov_model(scaled, tags, mask)
    again = second.probability(scaled, tags, mask)
    assert torch.allclose(first.segment.values, again.segment.values, atol=1e-3)


def test_data_without_untagged_videos_is_an_error() -> None:
    values, tags, mask, _ = generate(20, seed=5)
    with pytest.raises(RecipeError, match="every audio segment is tagged"):
        fit_hidden_markov_model(values, torch.ones_like(tags), mask)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(0.01, 1), min_size=1, max_size=7))
def test_no_other_set_of_segments_has_a_higher_expected_f(values: list[float]) -> None:
    probability = torch.tensor(values, dtype=torch.float64)
    marked = mark_most_probable(probability[None, :, None, None])[0, :, 0, 0]

    def estimate(chosen: Tensor) -> float:
        return float(2 * probability[chosen].sum() / (chosen.sum() + probability.sum()))

    subsets = product((False, True), repeat=len(values))
    best = max(estimate(torch.tensor(chosen)) for chosen in subsets if any(chosen))
    assert estimate(marked) == pytest.approx(best)


def test_nothing_is_marked_below_the_gate_or_at_probability_zero() -> None:
    segment = torch.full((2, 3, len(MODALITIES), 1), 0.3)
    segment[:, 0] = 0
    modality = torch.full((2, len(MODALITIES), 1), 0.05)
    modality[0, AUDIO] = 0.9
    no_tag = torch.zeros(len(modality), modality.shape[-1])
    probability = LabelProbability(Ragged.of(segment), modality, no_tag)
    labels = labels_of_highest_expected_f(probability, gate=0.1).batch()
    assert labels[0, :, AUDIO, 0].tolist() == [False, True, True]
    assert int(labels.sum()) == 2


def test_of_a_large_data_set_some_videos_are_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    values, tags, mask, _ = generate(40, seed=1)
    every_second = fit_hidden_markov_model(values[::2], tags[::2], mask[::2])
    segments = int(values.lengths.counts @ tags.sum(dim=1).numpy())
    monkeypatch.setattr(hmm, "MAX_FIT_SEGMENTS", segments // 2 + 1)
    sampled = fit_hidden_markov_model(values, tags, mask)
    assert torch.equal(sampled.mean, every_second.mean)
    assert torch.equal(sampled.occurrence, every_second.occurrence)

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.oracles import denoise as oracle
from vaplan.arrays import AUDIO, VISUAL, Prediction
from vaplan.errors import RecipeError
from vaplan.pseudo_labels import (
    Denoising,
    condition_on_tags,
    flip_suspicious,
    forward_loss,
)

BOTH = ("audio", "visual")


def random_case(seed, videos=3, time=7, classes=3):
    generator = torch.Generator().manual_seed(seed)
    probability = torch.rand(videos, time, 2, classes, generator=generator) ** 3
    label = torch.rand(videos, time, 2, classes, generator=generator) < 0.4
    weak = torch.rand(videos, classes, generator=generator) < 0.7
    mask = torch.rand(videos, time, 2, generator=generator) < 0.8
    return label, forward_loss(probability, label), weak, mask


def one_event(losses):
    """One video, one class, marked in every segment of both modalities; the losses are those of visual."""
    loss = torch.zeros(1, len(losses), 2, 1)
    loss[0, :, VISUAL, 0] = torch.tensor(losses)
    label = torch.ones(1, len(losses), 2, 1, dtype=torch.bool)
    return (
        label,
        loss,
        torch.ones(1, 1, dtype=torch.bool),
        torch.ones(1, len(losses), 2, dtype=torch.bool),
    )


@settings(deadline=None)
@given(
    st.integers(0, 10_000),
    st.integers(1, 9),
    st.integers(1, 8),
    st.floats(1.1, 20),
    st.booleans(),
    st.booleans(),
    st.sampled_from([("visual",), ("audio",), BOTH, ()]),
)
def test_it_equals_a_slow_restatement(
    seed, time, keep, ratio, floor, keep_presence, modalities
):
    label, loss, weak, mask = random_case(seed, time=time)
    switches = {"floor": floor, "keep_presence": keep_presence}
    chosen = Denoising(keep=keep, ratio=ratio, modalities=modalities, **switches)
    flipped = flip_suspicious(label, loss, weak, mask, chosen)
    indices = [BOTH.index(name) for name in modalities]
    expected = oracle.flip(
        label, loss, weak, mask, keep=keep, ratio=ratio, modalities=indices, **switches
    )
    assert flipped.tolist() == expected.tolist()


def test_one_hard_segment_among_easy_ones_is_flipped():
    label, *case = one_event([0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 2.0])
    flipped = flip_suspicious(label, *case)
    assert flipped[0, :, VISUAL, 0].tolist() == [True] * 9 + [False]
    assert flipped[0, :, AUDIO].all()


def test_an_event_that_is_hard_throughout_keeps_its_labels():
    label, *case = one_event([2.0] * 10)
    assert torch.equal(flip_suspicious(label, *case), label)


def test_the_floor_keeps_labels_that_the_parser_agrees_with():
    label, *case = one_event([1e-8] * 9 + [1e-3])
    assert torch.equal(flip_suspicious(label, *case), label)
    literal = flip_suspicious(label, *case, Denoising(floor=False))
    assert literal[0, :, VISUAL, 0].tolist() == [True] * 9 + [False]


def test_denoising_moves_onsets_and_offsets_but_never_changes_presence():
    label, *case = one_event([0.1] * 9 + [2.0])
    absent = torch.zeros_like(label)
    assert torch.equal(flip_suspicious(absent, *case), absent)
    assert flip_suspicious(absent, *case, Denoising(keep_presence=False)).any()
    alone = absent.clone()
    alone[0, -1] = True
    assert torch.equal(flip_suspicious(alone, *case), alone)
    assert not flip_suspicious(alone, *case, Denoising(keep_presence=False))[
        0, :, VISUAL
    ].any()


def test_in_a_short_video_the_baseline_is_its_easier_half():
    label, *case = one_event([0.1, 0.1, 3.0, 3.0])
    assert flip_suspicious(label, *case)[0, :, VISUAL, 0].tolist() == [
        True,
        True,
        False,
        False,
    ]


def test_masked_and_untagged_cells_never_flip_and_masked_losses_do_not_matter():
    label, loss, weak, mask = random_case(0, videos=40)
    chosen = Denoising(ratio=1.5, modalities=BOTH)
    flipped = flip_suspicious(label, loss, weak, mask, chosen)
    assert (flipped != label).any()
    untouchable = ~(weak[:, None, None] & mask[..., None])
    assert not ((flipped != label) & untouchable).any()
    for value in (0.0, math.inf, math.nan):
        other = loss.masked_fill(~mask[..., None], value)
        assert torch.equal(flip_suspicious(label, other, weak, mask, chosen), flipped)


def test_the_forward_loss_is_the_negative_log_probability_of_the_label():
    probability = torch.tensor([0.25, 0.25, 0.0, 1.0]).view(1, 4, 1, 1)
    label = torch.tensor([True, False, True, True]).view(1, 4, 1, 1)
    loss = forward_loss(probability, label).flatten()
    assert loss[:2].tolist() == pytest.approx([math.log(4), math.log(4 / 3)])
    assert loss[2].item() == pytest.approx(-math.log(1e-7), rel=1e-4)
    assert loss[3].item() == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize(
    "settings", [{"keep": 0}, {"ratio": 1.0}, {"modalities": ("video",)}]
)
def test_invalid_settings_are_refused(settings):
    with pytest.raises(RecipeError):
        Denoising(**settings)


def test_a_tag_raises_the_probabilities_of_the_segments() -> None:
    segment = torch.tensor([0.3, 0.1, 0.0])[None, :, None, None]
    prediction = Prediction(
        segment,
        torch.zeros(1, 1, 1),
        torch.tensor([[0.4]]),
        torch.ones(1, 3, 1, dtype=torch.bool),
    )
    assert condition_on_tags(prediction)[0, :, 0, 0].tolist() == pytest.approx(
        [0.75, 0.25, 0.0]
    )


def test_a_certain_tag_changes_no_probability_and_none_exceeds_one() -> None:
    segment = torch.tensor([0.9, 0.2])[None, :, None, None]
    for video in (1.0, 1.7):  # HAN's own pooling can exceed 1
        prediction = Prediction(
            segment,
            torch.zeros(1, 1, 1),
            torch.tensor([[video]]),
            torch.ones(1, 2, 1, dtype=torch.bool),
        )
        assert torch.equal(condition_on_tags(prediction), segment)
    unsure = Prediction(
        segment,
        torch.zeros(1, 1, 1),
        torch.zeros(1, 1),
        torch.ones(1, 2, 1, dtype=torch.bool),
    )
    assert torch.equal(condition_on_tags(unsure), torch.ones_like(segment))

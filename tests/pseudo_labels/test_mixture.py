"""The mixture of tagged and untagged videos, smoothing, and fusion."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from vaplan.errors import RecipeError
from vaplan.pseudo_labels import (
    fit_mixture,
    fuse_log_odds,
    generate_pseudo_labels,
    smooth,
)

VIDEOS, TIME, CLASSES = 600, 10, 3
SHARE, LIFT = 0.4, 3.0


def videos(seed=0, *, lift=LIFT, share=SHARE):
    """Simulate evidence with known truth; offsets and widths differ between classes and modalities."""
    generator = torch.Generator().manual_seed(seed)
    weak = torch.rand(VIDEOS, CLASSES, generator=generator) < 0.5
    truth = (torch.rand(VIDEOS, TIME, 2, CLASSES, generator=generator) < share) & weak[
        :, None, None
    ]
    offset, width = (
        torch.tensor([[0.0, 5.0, -3.0], [1.0, 2.0, 3.0]]),
        torch.tensor([[1.0, 0.1, 4.0], [1.0, 1.0, 2.0]]),
    )
    noise = torch.randn(truth.shape, generator=generator)
    mask = torch.rand(VIDEOS, TIME, 2, generator=generator) < 0.9
    return offset + width * (noise + lift * truth), weak, mask, truth, (offset, width)


def test_the_mixture_recovers_shares_and_lifts():
    evidence, weak, mask, _, (offset, width) = videos()
    found = fit_mixture(evidence, weak, mask)
    assert torch.allclose(found.share, torch.full_like(found.share, SHARE), atol=0.03)
    assert torch.allclose(found.lift, torch.full_like(found.lift, LIFT), atol=0.15)
    assert ((found.absent - offset).abs() < 0.06 * width).all()
    assert torch.allclose(found.width, width.double(), rtol=0.05)


def test_of_labels_with_probability_p_the_share_p_is_right():
    evidence, weak, mask, truth, _ = videos(1)
    probability = fit_mixture(evidence, weak, mask).probability(evidence)
    possible = weak[:, None, None] & mask[..., None]
    for low in (0.0, 0.2, 0.4, 0.6, 0.8):
        those = possible & (probability >= low) & (probability < low + 0.2)
        assert float(truth[those].float().mean()) == pytest.approx(
            float(probability[those].mean()), abs=0.06
        )


@given(st.floats(0.05, 0.95), st.booleans())
def test_a_threshold_on_the_evidence_is_a_threshold_on_the_probability(p, odds):
    evidence, weak, mask, _, _ = videos(2)
    evidence = (evidence / 10).sigmoid() if odds else evidence
    found = fit_mixture(evidence, weak, mask, log_odds=odds)
    above, likely = evidence > found.thresholds(p), found.probability(evidence) > p
    nearly = (found.probability(evidence) - p).abs() < 1e-4
    assert torch.equal(above | nearly, likely | nearly)


def test_the_threshold_at_one_half_is_nearly_as_good_as_the_best_one():
    evidence, weak, mask, truth, _ = videos(3)

    def errors(thresholds):
        labels = generate_pseudo_labels(evidence, weak, mask, threshold=thresholds)
        return ((labels ^ truth) & mask[..., None]).sum(dim=(0, 1))

    found = fit_mixture(evidence, weak, mask)
    best = torch.stack(
        [errors(found.thresholds(p)) for p in torch.linspace(0.02, 0.98, 49).tolist()]
    ).amin(dim=0)
    assert (errors(found.thresholds()) <= 1.1 * best + 5).all()


def test_uninformative_evidence_gives_no_confident_label():
    evidence, weak, mask, _, _ = videos(4, lift=0.0)
    found = fit_mixture(evidence, weak, mask)
    assert not (found.probability(evidence) > 0.9)[
        weak[:, None, None] & mask[..., None]
    ].any()


def test_values_under_a_mask_change_nothing():
    evidence, weak, mask, _, _ = videos(5)
    other = torch.where(mask[..., None], evidence, torch.full_like(evidence, 1e4))
    one, two = fit_mixture(evidence, weak, mask), fit_mixture(other, weak, mask)
    assert torch.equal(one.thresholds(), two.thresholds())


def test_a_class_tagged_in_all_or_no_videos_uses_the_parameters_of_the_others():
    evidence, weak, mask, _, _ = videos(6)
    for tagged in (True, False):
        weak[:, 0] = tagged
        found = fit_mixture(evidence, weak, mask)
        assert found.thresholds().isfinite().all()
    weak[:] = True
    with pytest.raises(
        RecipeError, match="every audio segment is tagged with every class"
    ):
        fit_mixture(evidence, weak, mask)


def test_a_modality_may_be_missing_in_all_videos():
    evidence, weak, mask, _, _ = videos(3)
    silent = mask.clone()
    silent[:, :, 0] = False
    found = fit_mixture(evidence, weak, silent)
    assert torch.isfinite(found.probability(evidence)).all()
    assert torch.equal(
        found.thresholds()[1], fit_mixture(evidence, weak, mask).thresholds()[1]
    )


def test_smoothing_is_a_mean_of_the_existing_segments_around():
    evidence = (
        torch.tensor([0.0, 1.0, 0.0, 7.0])
        .reshape(1, 4, 1, 1)
        .expand(1, 4, 2, 1)
        .clone()
    )
    mask = torch.tensor([True, True, True, False])[None, :, None].expand(1, 4, 2)
    near = math.exp(-0.5)
    far = math.exp(-2.0)
    expected = [near / (1 + near + far), 1 / (1 + 2 * near), near / (1 + near + far)]
    found = smooth(evidence, mask, width=1.0)
    assert found[0, :3, 0, 0].tolist() == pytest.approx(expected)
    evidence[0, 3] = -1e6
    assert torch.equal(smooth(evidence, mask, width=1.0)[:, :3], found[:, :3])


def test_smoothing_by_zero_and_of_a_constant_changes_nothing():
    evidence, _, mask, _, _ = videos(7)
    assert torch.equal(smooth(evidence, mask, width=0.0), evidence)
    constant = torch.full_like(evidence, 0.3)
    assert torch.allclose(smooth(constant, mask, width=2.0), constant)
    with pytest.raises(RecipeError, match="the smoothing width is -1"):
        smooth(evidence, mask, width=-1.0)


def grid(*values):
    return (
        torch.tensor(values).reshape(1, len(values), 1, 1).expand(1, len(values), 2, 1)
    )


def test_two_sources_that_agree_are_more_confident_and_an_uninformative_one_adds_nothing():
    weak, mask = (
        torch.ones(1, 1, dtype=torch.bool),
        torch.ones(1, 4, 2, dtype=torch.bool),
    )
    first = grid(0.8, 0.8, 0.2, 0.2)  # holds the class in half of the segments
    fused = fuse_log_odds(first, grid(0.8, 0.5, 0.5, 0.9), weak, mask)[
        0, :, 0, 0
    ].tolist()
    assert fused == pytest.approx([16 / 17, 0.8, 0.2, 9 / 13])
    assert torch.allclose(
        fuse_log_odds(first, grid(0.9, 0.1, 0.9, 0.1), weak, mask, parser_weight=0.0),
        first,
    )


def test_the_prior_of_both_sources_counts_once():
    weak, mask = (
        torch.ones(1, 1, dtype=torch.bool),
        torch.ones(1, 4, 2, dtype=torch.bool),
    )
    share = grid(0.1, 0.1, 0.1, 0.1)
    assert torch.allclose(fuse_log_odds(share, share, weak, mask), share)


def test_fusion_makes_no_label_outside_the_tags_and_the_mask():
    weak, mask = (
        torch.zeros(1, 1, dtype=torch.bool),
        torch.ones(1, 2, 2, dtype=torch.bool),
    )
    assert not fuse_log_odds(grid(0.9, 0.9), grid(0.9, 0.9), weak, mask).any()
    assert not fuse_log_odds(grid(0.9, 0.9), grid(0.9, 0.9), ~weak, ~mask).any()

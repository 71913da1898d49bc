"""Segment thresholds that follow from labels."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from vaplan.arrays import Prediction
from vaplan.decisions import decide, match_label_shares
from vaplan.errors import RecipeError
from vaplan.recipe import Decision


def make_prediction(seed: int, *, certain: float = 1.0) -> Prediction:
    """Draw a prediction of 20 videos of 10 segments with 4 classes."""
    generator = torch.Generator().manual_seed(seed)
    segment = certain * torch.rand(20, 10, 2, 4, generator=generator)
    mask = torch.rand(20, 10, 2, generator=generator) < 0.9
    return Prediction(
        segment * mask[..., None],
        modality=torch.rand(20, 2, 4, generator=generator),
        video=torch.rand(20, 4, generator=generator),
        mask=mask,
    )


def test_as_many_segments_are_marked_as_are_labelled() -> None:
    prediction = make_prediction(0, certain=0.6)
    labels = prediction.segment > torch.tensor([[0.2], [0.35]])
    thresholds = match_label_shares(prediction, labels, rule="segment")
    expected = torch.tensor([[0.2], [0.35]]).expand(2, 4)
    assert torch.allclose(thresholds, expected, atol=0.011)


def test_low_probabilities_get_lower_thresholds_and_the_gate_is_applied() -> None:
    sure, unsure = (make_prediction(1, certain=share) for share in (1.0, 0.5))
    labels = sure.segment > 0.5
    of_sure = match_label_shares(sure, labels, rule="segment")
    of_unsure = match_label_shares(unsure, labels, rule="segment")
    assert torch.allclose(of_unsure, of_sure / 2, atol=0.011)
    gated = match_label_shares(sure, labels, rule="global_gate", threshold=0.6)
    assert (gated < of_sure).all()


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1000), st.floats(0.1, 0.9))
def test_no_candidate_is_closer(seed: int, level: float) -> None:
    prediction = make_prediction(seed)
    labels = torch.rand(
        prediction.segment.shape, generator=torch.Generator().manual_seed(seed)
    ).gt(level)

    def distance(thresholds: torch.Tensor) -> torch.Tensor:
        marked = decide(prediction, rule="segment", segment_thresholds=thresholds)
        expected = labels & prediction.mask[..., None]
        return (marked.sum((0, 1, 3)) - expected.sum((0, 1, 3))).abs()

    best = distance(match_label_shares(prediction, labels, rule="segment"))
    for value in (0.05, 0.3, 0.5, 0.7, 0.95):
        assert (best <= distance(torch.full((2, 4), value))).all()


def test_of_equally_good_thresholds_the_one_nearest_to_the_gate_is_chosen() -> None:
    prediction = make_prediction(2)
    segment = (prediction.segment > 0.5).float()  # any threshold marks the same
    certain = Prediction(
        segment, prediction.modality, prediction.video, prediction.mask
    )
    thresholds = match_label_shares(certain, segment > 0, rule="segment")
    assert torch.allclose(thresholds, torch.full((2, 4), 0.5))


def test_a_localisation_rule_has_no_matched_thresholds() -> None:
    with pytest.raises(RecipeError, match="segment_label has no segment thresholds"):
        Decision(rule="segment_label", segments="matched")

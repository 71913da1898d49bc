import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from vaplan.arrays import AUDIO, VISUAL
from vaplan.errors import RecipeError
from vaplan.pseudo_labels import (
    confidence,
    fit_thresholds_to_score,
    generate_pseudo_labels,
    make_thresholds,
    similarity,
    video_level,
)

sizes = st.integers(1, 6)


def random_videos(seed, videos=4, time=5, classes=6):
    generator = torch.Generator().manual_seed(seed)
    confident = torch.randn(videos, time, 2, classes, generator=generator).softmax(-1)
    weak = torch.rand(videos, classes, generator=generator) < 0.5
    return confident, weak, torch.rand(videos, time, 2, generator=generator) < 0.8


@settings(deadline=None)
@given(st.integers(0, 10_000), sizes, sizes, sizes)
def test_a_label_is_a_tagged_class_above_the_threshold_in_an_existing_segment(
    seed, videos, time, classes
):
    confident, weak, mask = random_videos(seed, videos, time, classes)
    threshold = make_thresholds(classes)
    label = generate_pseudo_labels(confident, weak, mask, threshold=threshold)
    for v, t, m, c in (
        torch.cartesian_prod(*map(torch.arange, label.shape)).reshape(-1, 4).tolist()
    ):
        wanted = bool(
            weak[v, c] and mask[v, t, m] and confident[v, t, m, c] > threshold[m, c]
        )
        assert bool(label[v, t, m, c]) == wanted


def test_a_missing_segment_is_never_labelled_although_the_audio_threshold_lies_below_chance():
    uninformed = torch.full((1, 2, 2, 4), 0.25)
    mask = torch.tensor([[[True, True], [False, False]]])
    label = generate_pseudo_labels(
        uninformed,
        torch.ones(1, 4, dtype=torch.bool),
        mask,
        threshold=make_thresholds(4),
    )
    assert label[0, 0, AUDIO].all()
    assert not label[0, 0, VISUAL].any()
    assert not label[0, 1].any()


def test_similarity_is_the_scaled_cosine_and_confidence_its_softmax():
    features, text = torch.eye(3)[None], torch.eye(3)[:2]
    assert torch.equal(
        similarity(features, text, scale=2.0),
        torch.tensor([[[2.0, 0], [0, 2], [0, 0]]]),
    )
    assert torch.allclose(
        confidence(similarity(features, text))[0, 2], torch.tensor([0.5, 0.5])
    )


def test_default_thresholds_are_the_papers_at_25_classes():
    assert torch.allclose(make_thresholds(25)[:, 0], torch.tensor([0.038, 0.041]))


def test_thresholds_are_one_value_or_one_for_each_class():
    threshold = make_thresholds(3, {"audio": 0.2, "visual": [0.1, 0.2, 0.3]})
    assert torch.allclose(threshold, torch.tensor([[0.2, 0.2, 0.2], [0.1, 0.2, 0.3]]))
    with pytest.raises(RecipeError, match="2 thresholds for 3 classes"):
        make_thresholds(3, {"audio": [0.1, 0.2]})
    with pytest.raises(RecipeError, match="unknown modality"):
        make_thresholds(3, {"sight": 0.1})


def test_a_class_occurs_in_a_modality_if_any_segment_has_it():
    label = torch.zeros(1, 3, 2, 2, dtype=torch.bool)
    label[0, 2, VISUAL, 1] = True
    assert video_level(label).tolist() == [[[False, False], [False, True]]]


@pytest.mark.parametrize("true_threshold", [0.1, 0.2, 0.35])
def test_a_fitted_threshold_recovers_the_labels_of_the_true_threshold(true_threshold):
    confident, weak, mask = random_videos(0, videos=200)
    reference = generate_pseudo_labels(
        confident,
        weak,
        mask,
        threshold=make_thresholds(
            6, dict.fromkeys(("audio", "visual"), true_threshold)
        ),
    )

    def agreement(estimate, m):
        return float((estimate[:, :, m] == reference[:, :, m]).float().mean())

    fitted = fit_thresholds_to_score(confident, weak, mask, agreement, candidates=200)
    assert fitted.shape == (2, 6)
    assert torch.allclose(fitted, torch.full((2, 6), true_threshold), atol=0.01)


def test_if_every_tagged_segment_is_right_the_fitted_threshold_marks_all():
    confident, weak, mask = random_videos(1)
    fitted = fit_thresholds_to_score(
        confident, weak, mask, lambda estimate, m: float(estimate[:, :, m].sum())
    )
    everything = weak[:, None, None] & mask[..., None]
    assert torch.equal(
        generate_pseudo_labels(confident, weak, mask, threshold=fitted), everything
    )


def test_a_threshold_needs_a_tagged_segment():
    confident, weak, mask = random_videos(2)
    with pytest.raises(RecipeError, match="no tagged audio segment"):
        fit_thresholds_to_score(confident, weak & False, mask, lambda estimate, m: 0.0)

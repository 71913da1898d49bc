from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.objectives import HAN_OBJECTIVE
from tests.oracles import losses as oracle
from vaplan.arrays import AUDIO, VISUAL, Prediction, SegmentVectors, Target
from vaplan.errors import RecipeError
from vaplan.losses import LOSSES, total
from vaplan.losses.localisation import LOCALISATION

OF_PARSERS = [
    name for name in LOSSES if name not in LOCALISATION
]  # those of localisation: test_localisation.py
sizes = st.integers(1, 4)


def random_case(seed, videos=3, time=4, classes=3, *, missing=0.3):
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape):
        return torch.rand(*shape, generator=generator)

    mask = draw(videos, time, 2) >= missing
    segment = draw(videos, time, 2, classes) * mask[..., None]
    modality = draw(videos, 2, classes) * mask.any(1)[..., None]
    video = 1.2 * draw(videos, classes) * mask.any(1).any(1)[:, None]
    target = Target(draw(videos, classes) < 0.5, draw(videos, time, 2, classes) < 0.4)
    logit = 20 * draw(videos, time, 2, classes) - 10
    projected, attended = draw(videos, time, 2, 6) - 0.5, draw(videos, time, 2, 6) - 0.5
    vectors = SegmentVectors(projected, attended, mask)
    return Prediction(segment, modality, video, mask, logit, vectors), target


def parts(prediction):
    """The arrays of a prediction, without its mask."""
    names = ("segment", "modality", "video", "logit")
    arrays = {name: getattr(prediction, name) for name in names}
    vectors = prediction.vectors
    return arrays | {"projected": vectors.projected, "attended": vectors.attended}


def joined(arrays, mask):
    """A prediction of arrays, the opposite of `parts`."""
    arrays = dict(arrays)
    vectors = SegmentVectors(arrays.pop("projected"), arrays.pop("attended"), mask)
    return Prediction(**arrays, mask=mask, vectors=vectors)


def existing(mask, name):
    """Return the existing cells of an array of a prediction."""
    if name == "video":
        return mask.any(1).any(1)[:, None]
    return mask.any(1)[..., None] if name == "modality" else mask[..., None]


@pytest.mark.parametrize("name", OF_PARSERS)
@settings(deadline=None)
@given(st.integers(0, 10_000), sizes, sizes, sizes)
def test_every_loss_equals_its_slow_restatement(name, seed, videos, time, classes):
    prediction, target = random_case(seed, videos, time, classes)
    expected = getattr(oracle, name)(prediction, target)
    assert LOSSES[name](prediction, target).item() == pytest.approx(
        expected, rel=1e-4, abs=1e-5
    )


@pytest.mark.parametrize("name", OF_PARSERS)
@pytest.mark.parametrize("value", [0.9, 7.0, float("nan")])
def test_values_under_a_mask_change_nothing(name, value):
    prediction, target = random_case(0, videos=5)
    mask = prediction.mask.clone()
    mask[0, :, VISUAL], mask[1] = False, False
    results = []
    for fill in (0.0, value):
        arrays = {
            name: array.masked_fill(~existing(mask, name), fill).requires_grad_()
            for name, array in parts(prediction).items()
        }
        pseudo = torch.where(mask[..., None], target.pseudo, torch.tensor(fill > 0))
        loss = LOSSES[name](joined(arrays, mask), Target(target.weak, pseudo))
        loss.backward()
        gradients = [x.grad for x in arrays.values() if x.grad is not None]
        results.append((loss, torch.cat([g.flatten() for g in gradients])))
    (plain, plain_gradient), (other, other_gradient) = results
    assert torch.equal(plain, other)
    assert torch.equal(plain_gradient, other_gradient)
    assert plain_gradient.isfinite().all()
    assert plain_gradient.any()


@pytest.mark.parametrize("name", OF_PARSERS)
def test_padding_changes_no_loss(name):
    prediction, target = random_case(3)
    pad = (0, 0, 0, 0, 0, 5)
    arrays = {
        name: array
        if name in ("modality", "video")
        else torch.nn.functional.pad(array, pad)
        for name, array in parts(prediction).items()
    }
    padded = joined(arrays, torch.nn.functional.pad(prediction.mask, pad[2:]))
    longer = Target(target.weak, torch.nn.functional.pad(target.pseudo, pad))
    assert torch.allclose(
        LOSSES[name](prediction, target), LOSSES[name](padded, longer)
    )


@pytest.mark.parametrize("name", OF_PARSERS)
def test_a_fully_masked_batch_has_loss_zero(name):
    prediction, target = random_case(4, missing=1.1)
    assert LOSSES[name](prediction, target).item() == 0


def certain(pseudo):
    """Make a prediction that equals the labels."""
    label = pseudo.float()
    mask = torch.ones(pseudo.shape[:3], dtype=torch.bool)
    return Prediction(label, label.amax(1), label.amax(1).amax(1), mask)


@pytest.mark.parametrize("name", ["video", "modality", "segment"])
def test_a_prediction_equal_to_the_labels_has_loss_zero(name):
    _, target = random_case(5)
    prediction = certain(target.pseudo)
    agreed = Target(target.pseudo.any(1).any(1), target.pseudo)
    assert LOSSES[name](prediction, agreed).item() == pytest.approx(0, abs=1e-5)


@pytest.mark.parametrize("name", ["category_richness", "segment_richness"])
def test_the_right_richness_has_the_lowest_loss(name):
    _, target = random_case(6)
    right = certain(target.pseudo)
    segment = (0.8 * right.segment + 0.1).requires_grad_()
    optimiser = torch.optim.Adam([segment], lr=1e-2)
    for _ in range(20):
        optimiser.zero_grad()
        LOSSES[name](
            Prediction(segment, right.modality, right.video, right.mask), target
        ).backward()
        optimiser.step()
        segment.data.clamp_(0, 1)
    found = LOSSES[name](
        Prediction(segment, right.modality, right.video, right.mask), target
    )
    assert found >= LOSSES[name](right, target) - 1e-6


def test_richness_by_hand():
    """One video, two segments, two classes: the first is audible in both seconds, the second in the first only."""
    pseudo = torch.zeros(1, 2, 2, 2, dtype=torch.bool)
    pseudo[0, 0, AUDIO] = torch.tensor([True, True])
    pseudo[0, 1, AUDIO] = torch.tensor([True, False])
    segment = torch.full((1, 2, 2, 2), 0.5)
    mask = torch.tensor([[[True, False], [True, False]]])  # nothing visible
    prediction = Prediction(segment, segment.amax(1), segment.amax(1).amax(1), mask)
    target = Target(torch.tensor([[True, True]]), pseudo)
    ln2 = torch.tensor(2.0).log()
    assert torch.allclose(
        LOSSES["category_richness"](prediction, target), ln2
    )  # predicted 1/2 in both seconds
    assert torch.allclose(LOSSES["segment_richness"](prediction, target), ln2)


def test_han_smooths_the_weak_label_of_the_visual_modality():
    p = torch.full((1, 2, 1), 0.95)
    mask = torch.ones(1, 1, 2, dtype=torch.bool)
    prediction = Prediction(p[:, None], p, p[:, 0], mask)
    loss = LOSSES["modality_weak"](prediction, Target(torch.tensor([[True]])))
    audio, visual = (
        -torch.tensor(0.95).log(),
        -(0.95 * torch.tensor(0.95).log() + 0.05 * torch.tensor(0.05).log()),
    )
    assert torch.allclose(loss, audio + visual)


def test_probabilities_above_one_are_clamped():
    prediction, target = random_case(7)
    sure = Prediction(
        prediction.segment,
        prediction.modality,
        torch.full_like(prediction.video, 1.9),
        prediction.mask,
    )
    assert LOSSES["video"](
        sure, Target(torch.ones_like(target.weak))
    ).item() == pytest.approx(0, abs=1e-6)


def test_the_total_is_the_weighted_sum_of_its_parts():
    prediction, target = random_case(8)
    objective = {"video": 1.0, "modality": 2.0, "segment_richness": 0.5}
    summed, parts = total(prediction, target, objective)
    assert list(parts) == list(objective)
    assert summed.item() == pytest.approx(
        sum(w * parts[name].item() for name, w in objective.items())
    )


def test_weak_objectives_need_no_pseudo_labels_and_others_raise_an_error():
    prediction, target = random_case(9)
    weak = Target(target.weak)
    assert total(prediction, weak, HAN_OBJECTIVE)[0].isfinite()
    with pytest.raises(RecipeError, match="needs pseudo labels"):
        total(prediction, weak, {"segment": 1.0})


def test_an_unknown_loss_is_named_with_the_nearest_one():
    prediction, target = random_case(10)
    with pytest.raises(RecipeError, match="did you mean 'segment'"):
        total(prediction, target, {"segmet": 1.0})
    with pytest.raises(RecipeError, match="without losses"):
        total(prediction, target, {})


@pytest.mark.parametrize("removed", ["smoothed", "zero"])
@settings(deadline=None)
@given(st.integers(0, 10_000))
def test_smoothing_balance_and_removed_labels_equal_their_slow_restatement(
    removed, seed
):
    prediction, target = random_case(seed, videos=4)
    given_settings = {"smoothing": (0.0, 0.1), "balance": (2.0, 1.0)}
    value = LOSSES["modality"](prediction, target, **given_settings, removed=removed)
    expected = oracle.modality_smoothed(
        prediction, target, (0.0, 0.1), (2.0, 1.0), removed_is_zero=removed == "zero"
    )
    assert value.item() == pytest.approx(expected, rel=1e-4, abs=1e-5)


def test_unsmoothed_weak_labels_are_pseudo_labels_that_keep_every_tag():
    prediction, target = random_case(11)
    everywhere = Target(
        target.weak, target.weak[:, None, None].expand_as(target.pseudo)
    )
    for smoothing in ((0.0, 0.0), (0.0, 0.1)):
        weak = LOSSES["modality_weak"](prediction, target, smoothing=smoothing)
        assert torch.equal(
            weak, LOSSES["modality"](prediction, everywhere, smoothing=smoothing)
        )


def test_the_logarithm_outside_the_sum_is_the_smaller_loss():
    """Jensen: the two published forms of one smoothed contrast, on the same vectors."""
    prediction, target = random_case(12, videos=6, time=5, missing=0.0)
    vectors = replace(prediction.vectors, projected=prediction.vectors.attended)
    same = replace(prediction, vectors=vectors)
    assert LOSSES["contrastive_ma"](same, target) > LOSSES["contrastive_jomold"](
        same, target
    )


def test_a_single_segment_has_no_contrastive_loss():
    prediction, target = random_case(13, time=1, missing=0.0)
    for name in ("contrastive_ma", "contrastive_jomold"):
        assert LOSSES[name](prediction, target).item() == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize(
    "name", ["segment_logit", "contrastive_ma", "contrastive_jomold"]
)
def test_a_loss_that_needs_more_than_probabilities_raises_an_error(name):
    prediction, target = random_case(14)
    plain = replace(prediction, logit=None, vectors=None)
    with pytest.raises(RecipeError, match=f"{name} needs a network that returns"):
        LOSSES[name](plain, target)


def test_a_loss_takes_its_settings_from_the_objective():
    prediction, target = random_case(15)
    objective = {"modality": {"weight": 3.0, "smoothing": (0.0, 0.1)}, "video": 1.0}
    summed, _ = total(prediction, target, objective)
    smooth = LOSSES["modality"](prediction, target, smoothing=(0.0, 0.1))
    assert summed.item() == pytest.approx(
        3 * smooth.item() + LOSSES["video"](prediction, target).item()
    )


@pytest.mark.parametrize(
    ("term", "message"),
    [
        (
            {"smothing": (0.0, 0.1)},
            "unknown setting of modality 'smothing'; did you mean 'smoothing'",
        ),
        ({"smoothing": (0.1,)}, "modality.smoothing has 1 values, expected 2"),
        ({"weight": -1.0}, "modality.weight is -1.0, expected numbers of 0 or more"),
        ({"removed": "no"}, "unknown treatment of removed labels 'no'"),
        (float("nan"), "modality.weight is nan"),
    ],
)
def test_invalid_settings_of_a_loss_are_refused(term, message):
    prediction, target = random_case(16)
    with pytest.raises(RecipeError, match=message):
        total(prediction, target, {"modality": term})

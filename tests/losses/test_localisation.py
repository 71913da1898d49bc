import math
from dataclasses import replace

import pytest
import torch

from tests.oracles import localisation as oracle
from vaplan.arrays import Prediction, Target
from vaplan.decisions.localisation import LOCALISATION_RULES
from vaplan.errors import RecipeError
from vaplan.localisation import make_localisation
from vaplan.losses import LOSSES
from vaplan.losses.localisation import (
    LOCALISATION,
    event_and_class,
    segment_label,
    video_label,
    video_label_official,
)

VIDEOS, TIME, CLASSES = 4, 5, 3


def random_prediction(seed=0, *, videos=VIDEOS, classes=CLASSES):
    """Make random values of every output that a localisation network can have."""
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape):
        return torch.randn(
            *shape, generator=generator, dtype=torch.float64
        ).requires_grad_()

    return make_localisation(
        draw(videos, TIME, classes + 1).log_softmax(-1),
        draw(videos, classes).softmax(-1),
        torch.ones(videos, TIME, 2, dtype=torch.bool),
        video_logit=draw(videos, classes + 1),
        event_logit=draw(videos, TIME),
        gate=draw(videos, TIME).sigmoid(),
        class_logits=(draw(videos, classes), draw(videos, classes)),
    )


@pytest.mark.parametrize("name", LOCALISATION)
@pytest.mark.parametrize("seed", range(4))
def test_every_loss_equals_its_slow_restatement(name, seed):
    prediction = random_prediction(seed, videos=6)
    generator = torch.Generator().manual_seed(seed)
    mask = torch.rand(6, TIME, 2, generator=generator) < 0.7
    pseudo = torch.rand(6, TIME, 2, CLASSES, generator=generator) < 0.5
    target = Target(torch.rand(6, CLASSES, generator=generator) < 0.3, pseudo)
    prediction = replace(prediction, mask=mask)
    assert LOSSES[name](prediction, target).item() == pytest.approx(
        getattr(oracle, name)(prediction, target), rel=1e-9
    )


def labels(*videos):
    """Make targets from one text per video: a digit for a class that is audible and visible, a dot for background."""
    pseudo = torch.zeros(len(videos), TIME, 2, CLASSES, dtype=torch.bool)
    for v, text in enumerate(videos):
        for t, letter in enumerate(text):
            if letter != ".":
                pseudo[v, t, :, int(letter)] = True
    return Target(pseudo.any(dim=2).any(dim=1), pseudo)


TARGET = labels("..11.", "00000", ".....", "2....")


def certain(label, count=29, *, strength=50.0):
    """Make the logits of one video with a certain label."""
    return strength * torch.nn.functional.one_hot(torch.tensor([label]), count).double()


@pytest.mark.parametrize(
    ("logit", "expected"), [(certain(3), 0.6800), (torch.zeros(1, 29).double(), 0.7093)]
)
def test_the_published_video_loss_is_nearly_equal_for_the_best_and_a_uniform_prediction(
    logit, expected
):
    target = Target(torch.arange(28)[None] == 3)
    prediction = replace(random_prediction(videos=1, classes=28), video_logit=logit)
    assert video_label_official(prediction, target).item() == pytest.approx(
        expected, abs=5e-5
    )


@pytest.mark.parametrize(
    ("logit", "expected"),
    [(certain(3), 0.0), (torch.zeros(1, 29).double(), math.log(29))],
)
def test_the_corrected_video_loss_goes_to_zero(logit, expected):
    target = Target(torch.arange(28)[None] == 3)
    prediction = replace(random_prediction(videos=1, classes=28), video_logit=logit)
    assert video_label(prediction, target).item() == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("loss", [video_label, video_label_official])
def test_a_video_without_a_class_is_background(loss):
    prediction = random_prediction(videos=1)
    target = Target(torch.zeros(1, CLASSES, dtype=torch.bool))
    values = [
        loss(
            replace(prediction, video_logit=certain(label, CLASSES + 1)), target
        ).item()
        for label in range(4)
    ]
    assert min(values) == values[-1] < min(values[:-1])


def test_the_segment_loss_is_the_mean_negative_log_probability_of_the_labels():
    prediction = random_prediction()
    wanted = {0: (3, 3, 1, 1, 3), 1: (0,) * 5, 2: (3,) * 5, 3: (2, 3, 3, 3, 3)}
    expected = [
        -prediction.segment_log[v, t, c].item()
        for v, row in wanted.items()
        for t, c in enumerate(row)
    ]
    assert segment_label(prediction, TARGET).item() == pytest.approx(
        sum(expected) / len(expected)
    )


def test_a_class_that_is_only_audible_is_background():
    audible = TARGET.pseudo.clone()
    audible[2, :, 0, 1] = True
    prediction = random_prediction()
    assert torch.equal(
        segment_label(prediction, Target(TARGET.weak, audible)),
        segment_label(prediction, TARGET),
    )


def test_a_video_without_events_is_of_class_0_only_as_published():
    background, prediction = labels("....."), random_prediction(videos=1)
    for name, counted in (
        ("event_and_class_official", True),
        ("event_and_class", False),
    ):
        (gradient,) = torch.autograd.grad(
            LOCALISATION[name](prediction, background),
            prediction.class_logits[0],
            retain_graph=True,
            allow_unused=True,
        )
        assert bool(gradient.any()) is counted


def test_the_published_gate_loss_is_not_zero_for_a_closed_gate():
    prediction, background = random_prediction(videos=1), labels(".....")
    closed = replace(
        prediction,
        gate=torch.full((1, TIME), 1e-12, dtype=torch.float64),
        event_logit=-50 + 0 * prediction.event_logit,
    )
    assert event_and_class(closed, background).item() == pytest.approx(0, abs=1e-9)
    without_class = LOCALISATION["event_and_class_official"](
        replace(closed, class_logits=(certain(0, CLASSES),)), background
    )
    assert without_class.item() == pytest.approx(math.log(2), abs=1e-9)


@pytest.mark.parametrize("name", LOCALISATION)
def test_segments_without_both_modalities_change_nothing(name):
    prediction = random_prediction()
    mask = prediction.mask.clone()
    mask[0, 3:, 0], mask[1] = False, False
    exists = mask.all(-1)
    results = []
    for fill in (0.25, -7.0):
        filled = {
            "segment_log": prediction.segment_log.masked_fill(~exists[..., None], fill),
            "event_logit": prediction.event_logit.masked_fill(~exists, fill),
            "gate": prediction.gate.masked_fill(~exists, fill),
        }
        pseudo = torch.where(mask[..., None], TARGET.pseudo, torch.tensor(fill > 0))
        results.append(
            LOCALISATION[name](
                replace(prediction, mask=mask, **filled), Target(TARGET.weak, pseudo)
            )
        )
    assert torch.equal(*results)
    assert results[0].isfinite()


@pytest.mark.parametrize("name", LOCALISATION)
def test_a_batch_without_segments_has_loss_zero(name):
    prediction = random_prediction()
    assert (
        LOCALISATION[name](
            replace(prediction, mask=torch.zeros_like(prediction.mask)), TARGET
        ).item()
        == 0
    )


@pytest.mark.parametrize("name", LOCALISATION)
def test_a_network_that_does_not_localise_is_refused(name):
    prediction = random_prediction()
    plain = Prediction(
        prediction.segment, prediction.modality, prediction.video, prediction.mask
    )
    with pytest.raises(RecipeError, match="localises"):
        LOCALISATION[name](plain, TARGET)


@pytest.mark.parametrize(
    "name", ["segment_label", "segment_label_official", "event_and_class"]
)
def test_segment_losses_need_pseudo_labels(name):
    with pytest.raises(RecipeError, match="pseudo labels"):
        LOCALISATION[name](random_prediction(), Target(TARGET.weak))


def one_video(segment, video):
    """A prediction of one video: per segment the probabilities of two classes, and those of the video."""
    probability = torch.tensor([segment])
    rest = 1 - probability.sum(-1, keepdim=True)
    log = torch.cat((probability, rest), dim=-1).log()
    return make_localisation(
        log, torch.tensor([video]), torch.ones(1, len(segment), 2, dtype=torch.bool)
    )


SAID = one_video([[0.7, 0.1], [0.1, 0.5], [0.3, 0.3], [0.05, 0.05]], [0.6, 0.3])


@pytest.mark.parametrize(
    ("rule", "threshold", "expected"),
    [
        ("cmbs_official", 0.5, [0, 0, 0, 0]),
        ("event_gate", 0.5, [0, 0, 0, 2]),
        ("event_gate", 0.65, [0, 2, 2, 2]),
        ("segment_label", 0.5, [0, 1, 2, 2]),
        ("segment_label", 0.3, [0, 1, 0, 2]),
    ],
)
def test_decisions_give_each_segment_one_label(rule, threshold, expected):
    grid = LOCALISATION_RULES[rule](SAID, threshold=threshold)
    assert torch.equal(grid[:, :, 0], grid[:, :, 1])
    marked = grid[0, :, 0]
    assert torch.where(marked.any(-1), marked.int().argmax(-1), 2).tolist() == expected


def test_a_background_video_has_no_event_by_the_published_rule():
    assert not LOCALISATION_RULES["cmbs_official"](
        one_video([[0.7, 0.1]], [0.3, 0.2])
    ).any()


@pytest.mark.parametrize("rule", LOCALISATION_RULES)
def test_segments_that_lack_a_modality_are_not_marked(rule):
    mask = SAID.mask.clone()
    mask[:, :, 1] = False
    assert not LOCALISATION_RULES[rule](replace(SAID, mask=mask), threshold=0.01).any()

from dataclasses import replace

import pytest
import torch

from tests.oracles import cmbs as oracle
from vaplan.arrays import AUDIO, VISUAL, Inputs, Target
from vaplan.decisions import DECISIONS
from vaplan.errors import RecipeError, UsageError
from vaplan.losses.localisation import (
    LOCALISATION,
    event_and_class_official,
    video_label_official,
)
from vaplan.models.cmbs import CMBSSettings, FullCMBS, FullCMBSSettings, WeakCMBS
from vaplan.training import seeded

PLACES, CHANNELS, HEARD, CLASSES = 6, 3, 5, 4
SIZES = ((HEARD,), (PLACES * CHANNELS,))
WIDTHS = {
    "positions": PLACES,
    "hidden": 16,
    "map_hidden": 8,
    "feedforward": 12,
    "decoder_feedforward": 10,
}
SETTINGS = {WeakCMBS: CMBSSettings(**WIDTHS), FullCMBS: FullCMBSSettings(**WIDTHS)}
networks = pytest.mark.parametrize("network", [WeakCMBS, FullCMBS])


def small(network, *, seed=0, **changes):
    with seeded(seed):
        model = network(
            replace(SETTINGS[network], **changes), feature_sizes=SIZES, classes=CLASSES
        )
    return model.double().eval()


def videos(count=3, time=10, *, seed=1):
    generator = torch.Generator().manual_seed(seed)
    streams = tuple(
        (torch.randn(count, time, *size, generator=generator, dtype=torch.float64),)
        for size in SIZES
    )
    return Inputs(streams, torch.ones(count, time, 2, dtype=torch.bool))


def restated(model, inputs, restatement):
    weights = dict(model.state_dict())
    (audio,), (visual,) = inputs.streams
    maps = visual.unflatten(-1, (PLACES, CHANNELS))
    return [
        restatement(weights, a, v, model.settings)
        for a, v in zip(audio, maps, strict=True)
    ]


def stacked(outputs, name):
    return torch.stack([one[name] for one in outputs])


def labels_of(grid):
    """One label a segment; background is the number of classes."""
    both = grid.all(dim=2)
    return torch.where(both.any(-1), both.int().argmax(-1), both.shape[-1]).tolist()


def test_the_weak_network_equals_a_slow_restatement():
    model, inputs = small(WeakCMBS), videos()
    prediction, expected = model(inputs), restated(model, inputs, oracle.weak)
    assert torch.allclose(prediction.gate, stacked(expected, "gate"), atol=1e-10)
    assert torch.allclose(
        prediction.video_logit, stacked(expected, "logits"), atol=1e-10
    )
    assert torch.allclose(
        prediction.video, stacked(expected, "event_scores")[:, :-1], atol=1e-10
    )
    gate, inside = (
        stacked(expected, "gate")[..., None],
        stacked(expected, "cas").softmax(-1),
    )
    assert torch.allclose(
        prediction.segment_log.exp()[..., :-1], gate * inside[..., :-1], atol=1e-10
    )
    assert torch.allclose(
        prediction.segment_log.exp()[..., -1:],
        1 - gate * (1 - inside[..., -1:]),
        atol=1e-10,
    )


def test_the_full_network_equals_a_slow_restatement():
    model, inputs = small(FullCMBS), videos()
    prediction, expected = model(inputs), restated(model, inputs, oracle.full)
    values = {
        "gate": prediction.gate,
        "event": prediction.event_logit,
        "class": prediction.class_logits[0],
        "av_score": prediction.class_logits[1],
    }
    for name, ours in values.items():
        assert torch.allclose(ours, stacked(expected, name), atol=1e-10)


def test_the_published_loss_of_the_weak_network_equals_a_slow_restatement():
    model, inputs = small(WeakCMBS), videos()
    weak = torch.tensor(
        [[0, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0]], dtype=torch.bool
    )  # the last is background
    label = torch.cat((weak, ~weak.any(1, keepdim=True)), dim=1)
    expected = oracle.weak_loss(restated(model, inputs, oracle.weak), label)
    assert video_label_official(model(inputs), Target(weak)).item() == pytest.approx(
        expected, abs=1e-10
    )


def test_the_published_loss_of_the_full_network_equals_a_slow_restatement():
    model, inputs = small(FullCMBS), videos()
    marked = torch.zeros(3, 10, CLASSES, dtype=torch.bool)
    marked[0, 2:7, 3], marked[1, :, 1] = True, True
    label = torch.cat((marked, ~marked.any(-1, keepdim=True)), dim=-1)
    target = Target(marked.any(1), marked[:, :, None].expand(-1, -1, 2, -1))
    expected = oracle.full_loss(restated(model, inputs, oracle.full), label)
    assert event_and_class_official(model(inputs), target).item() == pytest.approx(
        expected, abs=1e-10
    )


def test_the_published_decision_of_the_weak_network_never_gives_background_within_a_video():
    model, inputs = small(WeakCMBS), videos(8)
    expected = [
        oracle.official_labels(one) for one in restated(model, inputs, oracle.weak)
    ]
    assert labels_of(DECISIONS["cmbs_official"](model(inputs))) == expected
    assert all(len(set(labels)) == 1 for labels in expected)


def test_the_decision_of_the_full_network_is_the_published_one():
    model, inputs = small(FullCMBS), videos(8)
    # between the two middle logits, so that no segment is at the border of the decision
    model.event.bias.data -= model(inputs).event_logit.quantile(0.5)
    expected = [oracle.full_labels(one) for one in restated(model, inputs, oracle.full)]
    assert labels_of(DECISIONS["event_gate"](model(inputs))) == expected
    assert any(len(set(labels)) == 2 for labels in expected)


@pytest.mark.parametrize(
    ("network", "settings", "parameters"),
    [
        (WeakCMBS, CMBSSettings(positions=49), 9_395_518),
        (FullCMBS, FullCMBSSettings(positions=49), 9_200_473),
    ],
)
def test_the_network_has_only_used_parameters(network, settings, parameters):
    model = network(settings, feature_sizes=((128,), (49 * 512,)), classes=28)
    assert sum(parameter.numel() for parameter in model.parameters()) == parameters


@networks
def test_every_parameter_of_a_map_counts(network):
    model, inputs = small(network), videos()
    prediction = model(inputs)
    values = [prediction.segment_log.square().sum(), prediction.gate.sum()]
    torch.stack(
        [*values, *(logit.square().sum() for logit in prediction.class_logits)]
    ).sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


@networks
def test_probabilities_of_classes_and_background_sum_to_one(network):
    prediction = small(network)(videos())
    assert torch.allclose(
        prediction.segment_log.exp().sum(-1), torch.ones(3, 10, dtype=torch.float64)
    )
    assert torch.equal(
        prediction.segment[:, :, AUDIO], prediction.segment[:, :, VISUAL]
    )


@networks
def test_encoder_layers_begin_as_copies_of_one(network):
    first, second = small(network).encode[VISUAL].layers
    for name, parameter in first.named_parameters():
        assert torch.equal(parameter, second.get_parameter(name))
        assert parameter is not second.get_parameter(name)


@networks
@pytest.mark.parametrize("value", [1e4, float("nan"), float("inf")])
def test_values_under_a_mask_change_nothing(network, value):
    model, inputs = small(network), videos()
    mask = inputs.mask.clone()
    mask[0, 7:], mask[1, :, VISUAL], mask[2, 3, AUDIO], mask[2, 0, VISUAL] = (
        False,
        False,
        False,
        False,
    )
    predictions, gradients = [], []
    for fill in (0.0, value):
        streams = tuple(
            (stream.masked_fill(~mask[:, :, m, None], fill),)
            for m, (stream,) in enumerate(inputs.streams)
        )
        prediction = model(Inputs(streams, mask))
        model.zero_grad()
        (prediction.segment.sum() + prediction.video.square().sum()).backward()
        predictions.append(prediction)
        gradients.append(
            [p.grad.clone() for p in model.parameters() if p.grad is not None]
        )
    assert torch.equal(predictions[0].segment, predictions[1].segment)
    assert torch.equal(predictions[0].video, predictions[1].video)
    assert not predictions[0].segment[1].any()
    assert all(
        torch.equal(a, b) and a.isfinite().all()
        for a, b in zip(*gradients, strict=True)
    )


@networks
def test_padding_a_video_changes_nothing(network):
    model, inputs = small(network), videos()
    padded = Inputs(
        tuple((torch.nn.functional.pad(s, (0, 0, 0, 4)),) for (s,) in inputs.streams),
        torch.nn.functional.pad(inputs.mask, (0, 0, 0, 4)),
    )
    short, long = model(inputs), model(padded)
    assert torch.allclose(short.video, long.video, atol=1e-12)
    assert torch.allclose(short.segment, long.segment[:, :10], atol=1e-12)
    assert not long.segment[:, 10:].any()


@networks
def test_a_segment_in_the_middle_can_be_missing_as_if_the_video_were_shorter(network):
    model, inputs = small(network), videos()
    mask = inputs.mask.clone()
    mask[:, 4] = False
    kept = [t for t in range(10) if t != 4]
    shorter = Inputs(
        tuple((s[:, kept],) for (s,) in inputs.streams), inputs.mask[:, kept]
    )
    gapped = model(Inputs(inputs.streams, mask))
    assert torch.allclose(gapped.segment[:, kept], model(shorter).segment, atol=1e-12)
    assert torch.allclose(gapped.video, model(shorter).video, atol=1e-12)


@networks
def test_a_video_alone_is_parsed_as_in_a_batch(network):
    model, inputs = small(network), videos()
    together = model(inputs)
    for v in range(3):
        assert torch.allclose(
            model(inputs[v : v + 1]).segment[0], together.segment[v], atol=1e-12
        )


@networks
def test_one_segment_is_enough(network):
    assert small(network)(videos(1, 1)).segment.shape == (1, 1, 2, CLASSES)


@networks
def test_one_vector_a_segment_is_a_map_of_one_region(network):
    repeated, vector_sizes = small(network), ((HEARD,), (CHANNELS,))
    with seeded(0):
        vector = network(
            replace(SETTINGS[network], positions=1),
            feature_sizes=vector_sizes,
            classes=CLASSES,
        )
    vector = vector.double().eval()
    shared = repeated.state_dict()
    vector.load_state_dict({name: shared[name] for name in vector.state_dict()})
    (audio,), (visual,) = videos().streams
    same = visual[..., :CHANNELS]
    mask = videos().mask
    expected = repeated(Inputs(((audio,), (same.repeat(1, 1, PLACES),)), mask))
    assert torch.allclose(
        vector(Inputs(((audio,), (same,)), mask)).segment, expected.segment, atol=1e-12
    )


@networks
def test_two_streams_of_one_modality_are_refused(network):
    with pytest.raises(UsageError, match="one stream of each modality"):
        network(SETTINGS[network], feature_sizes=((3,), (6, 6)), classes=2)


@networks
def test_features_that_are_no_map_are_refused(network):
    with pytest.raises(UsageError, match="7 features are no map of 6 positions"):
        network(SETTINGS[network], feature_sizes=((3,), (7,)), classes=2)


@pytest.mark.parametrize(
    "settings",
    [{"heads": 3}, {"top": 0.0}, {"top": 1.5}, {"dropout": 1.0}, {"positions": 0}],
)
def test_invalid_settings_are_refused(settings):
    with pytest.raises(RecipeError):
        CMBSSettings(**settings)


@pytest.mark.parametrize(
    ("network", "loss"),
    [
        (WeakCMBS, "video_label"),
        (WeakCMBS, "video_label_official"),
        (WeakCMBS, "segment_label"),
        (FullCMBS, "event_and_class"),
        (FullCMBS, "event_and_class_official"),
    ],
)
def test_the_network_learns(network, loss):
    model, inputs = small(network), videos()
    pseudo = torch.zeros(3, 10, 2, CLASSES, dtype=torch.bool)
    pseudo[0, 2:5, :, 1], pseudo[1, :, :, 3] = True, True
    target = Target(pseudo.any(2).any(1), pseudo)
    optimiser = torch.optim.SGD(model.parameters(), lr=0.01)
    before = LOCALISATION[loss](model(inputs), target)
    before.backward()
    optimiser.step()
    assert LOCALISATION[loss](model(inputs), target) < before

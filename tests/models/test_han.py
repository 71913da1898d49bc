from dataclasses import replace

import pytest
import torch

from tests.oracles import han as oracle
from vaplan.arrays import AUDIO, VISUAL, Inputs
from vaplan.errors import RecipeError, UsageError
from vaplan.models import MODELS
from vaplan.models.han import HAN, HANSettings
from vaplan.training import seeded

SIZES = ((5,), (7, 3))
SMALL = HANSettings(hidden=16, feedforward=24, heads=2, layers=2, dropout=0.0)


def small(settings=SMALL, *, classes=4, seed=0):
    with seeded(seed):
        return HAN(settings, feature_sizes=SIZES, classes=classes).eval()


def videos(count=3, time=6, *, seed=1):
    generator = torch.Generator().manual_seed(seed)
    streams = tuple(
        tuple(torch.randn(count, time, size, generator=generator) for size in sizes)
        for sizes in SIZES
    )
    return Inputs(streams, torch.ones(count, time, 2, dtype=torch.bool))


def masked(inputs, *cells):
    """The same videos, without the segments at these indices of the mask."""
    mask = inputs.mask.clone()
    for cell in cells:
        mask[cell] = False
    return Inputs(inputs.streams, mask)


def filled(inputs, value):
    """The same videos with another value under the mask."""
    streams = tuple(
        tuple(
            s.masked_fill(~inputs.mask[:, :, m, None], value) for s in inputs.streams[m]
        )
        for m in (AUDIO, VISUAL)
    )
    return Inputs(streams, inputs.mask)


MISSING = [
    (0, slice(4, None)),
    (1, slice(None), VISUAL),
    (2, slice(None), AUDIO),
    (0, 1, VISUAL),
]


def ours_with(modules):
    """Our network with the weights of the published one."""
    model = HAN(feature_sizes=((128,), (2048, 512)), classes=25).eval()
    (audio, visual), (layer,) = model.project, model.layers
    pairs = {
        "classify": model.classify,
        "time": model.pool.time_attention,
        "modality": model.pool.modality_attention,
        "audio": audio.each[0],
        "appearance": visual.each[0],
        "motion": visual.each[1],
        "fusion": visual.fuse,
        "own": layer.own.attention,
        "cross": layer.cross.attention,
        "expand": layer.expand,
        "contract": layer.contract,
        "norm1": layer.norm_attention,
        "norm2": layer.norm_feedforward,
    }
    for name, module in pairs.items():
        module.load_state_dict(modules[name].state_dict())
    return model


@pytest.fixture(scope="module")
def official():
    with torch.random.fork_rng():
        return oracle.official_modules(seed=1)


def wave(frequency, *shape):
    return (
        (torch.arange(torch.tensor(shape).prod(), dtype=torch.float64) * frequency)
        .sin()
        .float()
        .view(shape)
    )


def published_inputs():
    frames = wave(0.11, 2, 80, 2048).view(2, 10, 8, 2048).mean(dim=2)
    streams = (wave(0.37, 2, 10, 128),), (frames, wave(0.23, 2, 10, 512))
    return Inputs(streams, torch.ones(2, 10, 2, dtype=torch.bool))


def test_forward_values_are_those_of_the_published_network(official):
    with torch.no_grad():
        prediction = ours_with(official)(published_inputs())
    assert prediction.video[0, :3].tolist() == pytest.approx(
        [0.472919, 0.531535, 0.503198], abs=1e-5
    )
    sums = [
        prediction.video.sum(),
        *prediction.modality.sum(dim=(0, 2)),
        prediction.segment.sum(),
    ]
    assert [float(s) for s in sums] == pytest.approx(
        [24.880077, 24.637221, 24.657126, 506.257605], rel=1e-6
    )


def test_forward_equals_a_slow_restatement(official):
    weights, inputs = oracle.flat(official), published_inputs()
    with torch.no_grad():
        prediction = ours_with(official)(inputs)
    streams = (inputs.streams[AUDIO][0], *inputs.streams[VISUAL])
    expected = oracle.forward(weights, *(stream[1].double() for stream in streams))
    for ours, theirs in zip(
        (prediction.segment, prediction.modality, prediction.video),
        expected,
        strict=True,
    ):
        assert torch.allclose(ours[1].double(), theirs, atol=1e-6)


def test_the_network_has_only_used_parameters():
    model = MODELS["han"][1](feature_sizes=((128,), (2048, 512)), classes=25)
    assert sum(parameter.numel() for parameter in model.parameters()) == 4_569_675


@pytest.mark.parametrize("pooling", ["mmil", "mmil_fixed"])
@pytest.mark.parametrize("update", ["parallel", "sequential"])
@pytest.mark.parametrize("value", [1e4, float("nan"), float("inf")])
def test_values_under_a_mask_change_nothing(pooling, update, value):
    model = small(replace(SMALL, pooling=pooling, update=update))
    predictions, gradients = [], []
    for inputs in (
        masked(videos(), *MISSING),
        filled(masked(videos(), *MISSING), value),
    ):
        prediction = model(inputs)
        model.zero_grad()
        (
            prediction.video.sum()
            + prediction.modality.square().sum()
            + prediction.segment.sum()
        ).backward()
        predictions.append(prediction)
        gradients.append([parameter.grad.clone() for parameter in model.parameters()])
    for name in ("segment", "modality", "video"):
        assert torch.equal(getattr(predictions[0], name), getattr(predictions[1], name))
    assert all(
        torch.equal(a, b) and a.isfinite().all()
        for a, b in zip(*gradients, strict=True)
    )


@torch.no_grad()
def test_normalised_inputs_may_have_any_scale():
    def gap(model):
        louder = tuple(
            tuple(1000 * stream for stream in streams) for streams in videos().streams
        )
        return (
            (model(videos()).segment - model(Inputs(louder, videos().mask)).segment)
            .abs()
            .mean()
        )

    assert gap(small(replace(SMALL, normalise_inputs=True))) < gap(small()) / 100


def test_padding_a_video_changes_nothing():
    model, inputs = small(), videos()
    padded = Inputs(
        tuple(
            tuple(torch.nn.functional.pad(s, (0, 0, 0, 4)) for s in streams)
            for streams in inputs.streams
        ),
        torch.nn.functional.pad(inputs.mask, (0, 0, 0, 4)),
    )
    short, long = model(inputs), model(padded)
    assert torch.allclose(short.video, long.video, atol=1e-6)
    assert torch.allclose(short.modality, long.modality, atol=1e-6)
    assert torch.allclose(short.segment, long.segment[:, :6], atol=1e-6)
    assert not long.segment[:, 6:].any()


def test_a_video_does_not_depend_on_the_others_in_its_batch():
    model, inputs = small(), masked(videos(), *MISSING)
    together = model(inputs)
    for v in range(len(inputs)):
        alone = model(inputs[v : v + 1])
        assert torch.allclose(alone.video[0], together.video[v], atol=1e-6)


def test_an_absent_modality_predicts_nothing_and_the_video_has_the_prediction_of_the_other():
    prediction = small()(masked(videos(), (slice(None), slice(None), AUDIO)))
    assert not prediction.segment[:, :, AUDIO].any()
    assert not prediction.modality[:, AUDIO].any()
    assert torch.allclose(prediction.video, prediction.modality[:, VISUAL], atol=1e-6)


def test_an_absent_modality_adds_no_attention_to_the_other():
    model, inputs = small(), masked(videos(), (slice(None), slice(None), AUDIO))
    silenced = small()
    for layer in silenced.layers:
        torch.nn.init.zeros_(layer.cross.attention.out_proj.weight)
        torch.nn.init.zeros_(layer.cross.attention.out_proj.bias)
    assert torch.allclose(model(inputs).segment, silenced(inputs).segment, atol=1e-6)


def test_a_fully_masked_video_predicts_nothing_and_has_finite_gradients():
    model = small()
    prediction = model(masked(videos(), (0,)))
    assert not prediction.segment[0].any()
    assert not prediction.video[0].any()
    prediction.video.sum().backward()
    assert all(parameter.grad.isfinite().all() for parameter in model.parameters())


def test_a_second_layer_reads_the_first():
    model, inputs = small(), videos()
    before = model(inputs).segment
    with torch.no_grad():
        model.layers[0].contract.bias[0] += 1
    assert not torch.allclose(model(inputs).segment, before)


def test_the_visual_modality_reads_updated_audio_only_in_the_sequential_form():
    predictions = {
        update: small(replace(SMALL, update=update, layers=1))(videos())
        for update in ("parallel", "sequential")
    }
    assert torch.equal(
        predictions["parallel"].segment[:, :, AUDIO],
        predictions["sequential"].segment[:, :, AUDIO],
    )
    assert not torch.allclose(
        predictions["parallel"].segment[:, :, VISUAL],
        predictions["sequential"].segment[:, :, VISUAL],
    )


@pytest.mark.parametrize(
    "settings",
    [
        {"hidden": 0},
        {"heads": 3},
        {"dropout": 1.0},
        {"update": "sideways"},
        {"pooling": "max"},
    ],
)
def test_invalid_settings_are_refused(settings):
    with pytest.raises(RecipeError):
        HANSettings(**settings)


def test_a_modality_needs_a_stream():
    with pytest.raises(UsageError, match="feature streams"):
        HAN(SMALL, feature_sizes=((), (3,)), classes=2)

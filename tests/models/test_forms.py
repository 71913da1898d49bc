"""The forms of HAN in JoMoLD and VALOR, compared with slow restatements; their settings."""

from dataclasses import replace

import pytest
import torch

from tests.models.test_han import SMALL, masked, small, videos
from tests.oracles import valor as oracle
from vaplan.arrays import AUDIO, VISUAL
from vaplan.errors import RecipeError
from vaplan.models.han import HAN, HANSettings

VALOR = HANSettings(512, 8, 1024, 1, update="sequential")
VALOR_PLUS = HANSettings(256, 8, 1024, 4, update="sequential", layer_weights="copied")
FORMS = [
    (replace(SMALL, update="sequential", layers=1), oracle.Form(1, 2, sequential=True)),
    (replace(SMALL, update="sequential", layers=4), oracle.Form(4, 2, sequential=True)),
    (
        replace(SMALL, update="sequential", norm="pre"),
        oracle.Form(2, 2, sequential=True, pre_norm=True),
    ),
    (replace(SMALL, heads=4), oracle.Form(2, 4)),
    (replace(SMALL, wiring="official", layers=3), oracle.Form(3, 2, from_source=True)),
    (replace(SMALL, cross_attention=False), oracle.Form(2, 2, cross=False)),
]


def agreed_segments(model, form, inputs, *, cross_attention=True):
    """Compare the last hidden segments of the network with those of the restatement, video by video."""
    weights = {name: tensor.double() for name, tensor in model.state_dict().items()}
    with torch.no_grad():
        prediction = model(inputs, cross_attention=cross_attention)
    for v in range(len(inputs)):
        expected = oracle.encode(
            weights,
            form,
            *(prediction.vectors.projected[v, :, m].double() for m in (AUDIO, VISUAL)),
        )
        for m, segments in enumerate(expected):
            assert torch.allclose(
                prediction.vectors.attended[v, :, m].double(), segments, atol=1e-5
            )
    return True


@pytest.mark.parametrize(("settings", "form"), FORMS)
def test_every_form_equals_its_slow_restatement(settings, form):
    assert agreed_segments(small(settings), form, videos())


def test_cross_attention_can_be_left_out_of_one_forward_call():
    form = oracle.Form(SMALL.layers, SMALL.heads, cross=False)
    assert agreed_segments(small(), form, videos(), cross_attention=False)


def test_the_size_is_that_of_the_published_networks():
    """The published networks also keep the unused last norms of the pre-norm form."""
    for settings, published in (
        (replace(VALOR, norm="pre"), 5_096_523),
        (replace(VALOR_PLUS, norm="pre"), 5_052_235),
    ):
        model = HAN(settings, feature_sizes=((128,), (2048, 512)), classes=25)
        assert sum(parameter.numel() for parameter in model.parameters()) == published


def test_copied_layers_begin_alike_and_independent_ones_do_not():
    for form, alike in (("copied", True), ("independent", False)):
        first, second = small(replace(SMALL, layer_weights=form)).layers
        assert torch.equal(first.expand.weight, second.expand.weight) is alike
        assert first.expand.weight is not second.expand.weight


def test_without_cross_attention_the_audio_does_not_depend_on_the_frames():
    model, both = small(replace(SMALL, cross_attention=False)), videos()
    blind = masked(both, (slice(None), slice(None), VISUAL))
    assert torch.equal(
        model(both).vectors.attended[:, :, AUDIO],
        model(blind).vectors.attended[:, :, AUDIO],
    )
    assert not any("cross" in name for name in model.state_dict())


def test_dropout_of_the_output_does_not_change_the_other_modality_or_the_evaluation():
    model, inputs = small(replace(SMALL, output_dropout=(0.0, 0.5))), videos()
    calm = model(inputs)
    plain = small()(inputs)
    assert torch.equal(calm.segment, plain.segment)
    model.train()
    dropped = model(inputs)
    assert torch.equal(dropped.segment[:, :, AUDIO], calm.segment[:, :, AUDIO])
    assert not torch.equal(dropped.segment[:, :, VISUAL], calm.segment[:, :, VISUAL])
    assert torch.equal(dropped.vectors.attended, calm.vectors.attended)


@pytest.mark.parametrize(
    "settings", [replace(SMALL, norm="pre"), replace(SMALL, wiring="official")]
)
def test_values_under_a_mask_change_nothing(settings):
    model = small(settings)
    absent = masked(videos(), (0, slice(4, None)), (1, slice(None), VISUAL))
    noise = replace(
        absent,
        streams=tuple(
            tuple(
                s.masked_fill(~absent.mask[:, :, m, None], float("nan"))
                for s in streams
            )
            for m, streams in enumerate(absent.streams)
        ),
    )
    assert torch.equal(model(absent).segment, model(noise).segment)


@pytest.mark.parametrize(
    "settings",
    [
        {"norm": "none"},
        {"wiring": "cyclic"},
        {"layer_weights": "tied"},
        {"output_dropout": (0.5,)},
        {"output_dropout": (0.0, 1.0)},
    ],
)
def test_invalid_forms_are_refused(settings):
    with pytest.raises(RecipeError):
        HANSettings(**settings)

from dataclasses import replace

import pytest
import torch

from tests.oracles.cmbs import lstm, relu, softmax
from tests.oracles.han import linear
from vaplan.arrays import Inputs, Target
from vaplan.errors import RecipeError, UsageError
from vaplan.losses.localisation import LOCALISATION
from vaplan.models.ave_attention import AVEAttention, AVEAttentionSettings
from vaplan.training import seeded

PLACES, CHANNELS, HEARD, CLASSES = 6, 3, 5, 4
SMALL = AVEAttentionSettings(
    positions=PLACES, attention=7, regions=9, hidden=8, classifier=6
)


def small(**changes):
    with seeded(0):
        model = AVEAttention(
            replace(SMALL, **changes),
            feature_sizes=((HEARD,), (PLACES * CHANNELS,)),
            classes=CLASSES,
        )
    return model.double()


def videos(count=3, time=10):
    generator = torch.Generator().manual_seed(1)
    streams = tuple(
        (torch.randn(count, time, size, generator=generator, dtype=torch.float64),)
        for size in (HEARD, PLACES * CHANNELS)
    )
    return Inputs(streams, torch.ones(count, time, 2, dtype=torch.bool))


def restated(w, audio, visual, *, fusion):
    """Logits of every segment of one video."""
    looked = []
    for sound, places in zip(
        audio, visual.unflatten(-1, (PLACES, CHANNELS)), strict=True
    ):
        guide = w["look.compare_audio.weight"] @ relu(linear(w, "look.hear", sound))
        compared = [
            torch.tanh(
                w["look.compare_place.weight"] @ relu(linear(w, "look.see", p)) + guide
            )
            for p in places
        ]
        weight = softmax(torch.stack([w["look.score.weight"][0] @ c for c in compared]))
        looked.append(sum(a * p for a, p in zip(weight, places, strict=True)))
    a, v = (
        lstm(w, "over_time.0.lstm", audio),
        lstm(w, "over_time.1.lstm", torch.stack(looked)),
    )
    if fusion == "concat":
        return linear(
            w,
            "classify.3",
            relu(linear(w, "classify.1", relu(torch.cat([a, v], dim=1)))),
        )
    changed = [
        linear(w, f"fuse.transform.{m}.2", linear(w, f"fuse.transform.{m}.0", x).tanh())
        for m, x in ((0, a), (1, v))
    ]
    merged = sum(changed) / 2
    return linear(w, "classify", (torch.tanh(a + merged) + torch.tanh(v + merged)) / 2)


@pytest.mark.parametrize("fusion", ["concat", "dmrn"])
def test_the_network_equals_a_slow_restatement(fusion):
    model, inputs = small(fusion=fusion), videos()
    (audio,), (visual,) = inputs.streams
    prediction = model(inputs)
    for v in range(3):
        logit = restated(model.state_dict(), audio[v], visual[v], fusion=fusion)
        assert torch.allclose(
            prediction.segment_log[v].exp(),
            torch.stack([softmax(row) for row in logit]),
            atol=1e-10,
        )
        assert torch.allclose(
            prediction.video_logit[v], logit.max(dim=0).values, atol=1e-10
        )


def test_padding_a_video_changes_nothing():
    model, inputs = small(), videos()
    padded = Inputs(
        tuple(
            (torch.nn.functional.pad(s, (0, 0, 0, 4), value=float("nan")),)
            for (s,) in inputs.streams
        ),
        torch.nn.functional.pad(inputs.mask, (0, 0, 0, 4)),
    )
    short, long = model(inputs), model(padded)
    assert torch.allclose(short.segment, long.segment[:, :10], atol=1e-12)
    assert torch.allclose(short.video, long.video, atol=1e-12)


@pytest.mark.parametrize(
    "name",
    ["video_label", "video_label_official", "segment_label", "segment_label_official"],
)
def test_the_network_learns_from_labels_of_segments_or_of_the_video(name):
    model, inputs = small(), videos()
    pseudo = torch.zeros(3, 10, 2, CLASSES, dtype=torch.bool)
    pseudo[0, 2:5, :, 1], pseudo[1, :, :, 3] = True, True
    target = Target(pseudo.any(2).any(1), pseudo)
    optimiser = torch.optim.SGD(model.parameters(), lr=0.1)
    losses = []
    for _ in range(2):
        loss = LOCALISATION[name](model(inputs), target)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[1] < losses[0]


def test_one_vector_a_segment_needs_no_map():
    model = AVEAttention(
        replace(SMALL, positions=1), feature_sizes=((HEARD,), (7,)), classes=CLASSES
    )
    inputs = Inputs(
        ((torch.randn(2, 4, HEARD),), (torch.randn(2, 4, 7),)),
        torch.ones(2, 4, 2, dtype=torch.bool),
    )
    assert model(inputs).segment.shape == (2, 4, 2, CLASSES)


def test_two_streams_and_features_that_are_no_map_are_refused():
    with pytest.raises(UsageError, match="one stream"):
        AVEAttention(SMALL, feature_sizes=((3,), (6, 6)), classes=2)
    with pytest.raises(UsageError, match="7 features are no map of 6 positions"):
        AVEAttention(SMALL, feature_sizes=((3,), (7,)), classes=2)


@pytest.mark.parametrize(
    "settings", [{"fusion": "sum"}, {"hidden": 5}, {"attention": 0}]
)
def test_invalid_settings_are_refused(settings):
    with pytest.raises(RecipeError):
        AVEAttentionSettings(**settings)

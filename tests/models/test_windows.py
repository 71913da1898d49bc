"""Videos longer than a window: cut, joined and pooled as a whole."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from vaplan.arrays import AUDIO, VISUAL, Inputs, Prediction
from vaplan.decisions import decide
from vaplan.models import MODELS
from vaplan.models.windows import (
    Windows,
    draw_windows,
    half_overlapping,
    make_batch,
    one_after_another,
    predict_batch,
)
from vaplan.ragged import Lengths, Ragged
from vaplan.training import predict, threads

CLASSES = 3
SIZES = ((6,), (8,))
POOLING_NETWORKS = ("han", "cmbs", "cmbs_full", "ave_attention")


def videos(*counts: int, seed: int = 0) -> Ragged[Inputs]:
    """Random features; one segment of each video lacks its frames."""
    lengths = Lengths.of(counts)
    random = torch.Generator().manual_seed(seed)
    audio, visual = (
        torch.randn(lengths.total, size, generator=random) for (size,) in SIZES
    )
    mask = torch.ones(lengths.total, 2, dtype=torch.bool)
    mask[lengths.starts, VISUAL] = False
    return Ragged(Inputs(((audio,), (visual,)), mask), lengths)


def network(name: str) -> nn.Module:
    torch.manual_seed(0)
    settings, build = MODELS[name]
    return build(settings(), feature_sizes=SIZES, classes=CLASSES).eval()


def test_windows_cover_every_segment() -> None:
    for length in range(1, 40):
        for window in range(1, 12):
            for starts in (one_after_another, half_overlapping):
                covered = set[int]()
                for start in starts(length, window):
                    covered.update(range(start, min(start + window, length)))
                assert covered == set(range(length))


def test_windows_are_joined_by_hand() -> None:
    windows = Windows(
        video=torch.tensor([0, 0, 1]),
        start=torch.tensor([0, 1, 0]),
        count=torch.tensor([2, 2, 1]),
        videos=2,
        time=3,
    )
    values = torch.tensor([[1.0, 2.0], [4.0, 5.0], [7.0, 9.0]])
    assert windows.join(values).tolist() == [[1.0, 3.0, 5.0], [7.0, 0.0, 0.0]]
    exists = torch.tensor([[True, False], [False, True], [True, True]])
    joined = windows.join(exists)
    assert joined.tolist() == [[True, False, True], [True, False, False]]
    highest = windows.highest(torch.tensor([[1.0], [3.0], [2.0]]))
    assert highest.tolist() == [[3.0], [2.0]]


@pytest.mark.parametrize("name", POOLING_NETWORKS)
@torch.no_grad()
def test_short_videos_are_parsed_by_the_network_alone(name: str) -> None:
    inputs = videos(4, 7, 3)
    model = network(name)
    batch = make_batch(inputs, slice(None), window=7)
    assert batch.windows is None
    prediction = predict_batch(model, batch)
    expected = model(inputs.batch())
    assert torch.equal(prediction.segment, expected.segment)
    assert torch.equal(prediction.video, expected.video)


@pytest.mark.parametrize("name", POOLING_NETWORKS)
@torch.no_grad()
def test_segments_attend_within_their_window_and_the_video_is_pooled_as_a_whole(
    name: str,
) -> None:
    """A video of two windows has the segments of two videos, and one pooled label."""
    inputs = videos(10)
    model = network(name)
    whole = predict_batch(model, make_batch(inputs, slice(None), window=5))
    halves = Ragged(inputs.values, Lengths.of([5, 5])).batch()
    outputs = model.parse_segments(halves)
    joined = replace(
        outputs,
        **{
            name: value.flatten(0, 1)[None]
            for name, value in vars(outputs).items()
            if isinstance(value, torch.Tensor)
        },
    )
    expected = model.pool_segments(joined)
    assert torch.allclose(whole.segment, expected.segment, atol=1e-6)
    assert torch.allclose(whole.video, expected.video, atol=1e-6)
    assert torch.allclose(whole.modality, expected.modality, atol=1e-6)
    assert torch.equal(whole.mask, inputs.batch().mask)
    assert not whole.segment[~whole.mask].any()


@torch.no_grad()
def test_a_video_does_not_depend_on_the_others_in_its_batch() -> None:
    inputs = videos(31, 4, 10, 55)
    model = network("han")
    together = predict(model, inputs)
    for index in range(len(inputs)):
        alone = predict(model, inputs[[index]])
        same = together[[index]].values
        assert torch.allclose(alone.values.segment, same.segment, atol=1e-6)
        assert torch.allclose(alone.values.video, same.video, atol=1e-6)
    assert together.lengths.counts.tolist() == [31, 4, 10, 55]


def test_the_number_of_threads_does_not_change_a_bit() -> None:
    inputs = videos(*range(1, 40))
    model = network("han").train()
    predictions = list[Prediction]()
    for count in (1, 2):
        with threads(count):
            predictions.append(predict(model, inputs, batch_size=8).values)
    assert model.training
    one, two = predictions
    assert torch.equal(one.segment, two.segment)
    assert torch.equal(one.video, two.video)
    assert not two.segment.requires_grad


class Foreign(nn.Module):
    """A network of the user that has `forward` only."""

    def forward(self, inputs: Inputs) -> Prediction:
        loudness = inputs.streams[AUDIO][0].mean(dim=-1).sigmoid()
        segment = loudness[:, :, None, None].expand(-1, -1, 2, CLASSES)
        segment = segment.masked_fill(~inputs.mask[..., None], 0)
        modality = segment.amax(dim=1)
        return Prediction(segment, modality, modality.amax(dim=1), inputs.mask)


def test_a_network_with_forward_only_has_the_maximum_over_windows() -> None:
    inputs = videos(23, 6)
    prediction = predict(Foreign(), inputs, window=5)
    for index, segment in enumerate(
        Ragged(prediction.values.segment, inputs.lengths).by_video()
    ):
        expected = segment.amax(dim=0)
        assert torch.allclose(prediction.values.modality[index], expected)


def test_windows_of_long_videos_are_drawn_and_short_ones_are_whole() -> None:
    inputs = videos(5, 95, 3)
    random = torch.Generator().manual_seed(0)
    index = torch.tensor([1, 2])
    sample = draw_windows(inputs.lengths, index, window=10, limit=30, random=random)
    assert sample is not None
    assert sample.lengths.counts[1] == 3
    assert 25 <= sample.lengths.counts[0] <= 30
    taken = sample.take(inputs, index)
    first, _ = taken.map_values(lambda values: values.streams[AUDIO][0]).by_video()
    positions = sample.spans.positions()[: len(first)]
    assert torch.equal(first, inputs.values.streams[AUDIO][0][positions])
    starts = (sample.spans.starts - 5)[:-1]
    assert (starts % 10 == 0).all()
    assert (np.diff(starts) > 0).all()
    short = torch.tensor([0, 2])
    settings = {"window": 10, "limit": 30, "random": random}
    assert draw_windows(inputs.lengths, short, **settings) is None


def test_the_gate_of_a_long_video_is_that_of_the_window_around_a_segment() -> None:
    """An event in one window opens the gate there, however long the video is."""
    loud = torch.zeros(200, 6)
    loud[40:45] = 8.0
    mask = torch.ones(200, 2, dtype=torch.bool)
    inputs = Ragged(Inputs(((loud,), (torch.zeros(200, 8),)), mask), Lengths.of([200]))
    prediction = predict(Foreign(), inputs)
    assert prediction.values.window is not None
    gate = prediction.values.window.video[:, 0]
    assert (gate[40:45] > 0.99).all()
    assert (gate[100:] == 0.5).all()
    marked = decide(prediction.batch(), threshold=0.9)[0, :, :, 0]
    assert marked.any(dim=1).nonzero()[:, 0].tolist() == [40, 41, 42, 43, 44]
    short = predict(Foreign(), videos(10, 4))
    assert short.values.window is None


def test_predictions_of_long_and_short_videos_can_be_joined() -> None:
    parts = [predict(Foreign(), videos(*counts)) for counts in ((25,), (4, 5))]
    joined = Ragged.cat(parts)
    assert joined.lengths.counts.tolist() == [25, 4, 5]
    assert joined.values.window is None

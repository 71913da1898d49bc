"""The effect of pseudo labels, measured on the tags of held-out videos."""

from functools import partial

import pytest
import torch

from vaplan.arrays import Inputs
from vaplan.metrics.intervals import Interval
from vaplan.ragged import Ragged
from vaplan.stages.check_labels import (
    LabelCheck,
    compare_with_and_without,
    localisation_score,
    segment_attribution,
)

pytestmark = pytest.mark.slow

VIDEOS, TIME, CLASSES, SIZE = 120, 6, 6, 24


@pytest.fixture(scope="module")
def videos():
    """Make features that show each event in one modality, for half of its video."""
    generator = torch.Generator().manual_seed(0)
    tags = torch.rand(VIDEOS, CLASSES, generator=generator) < 0.25
    tags[
        torch.arange(VIDEOS), torch.randint(CLASSES, (VIDEOS,), generator=generator)
    ] = True
    begin = torch.randint(TIME // 2 + 1, (VIDEOS, 1, 1, CLASSES), generator=generator)
    time = torch.arange(TIME)[:, None, None]
    modality = torch.randint(2, (VIDEOS, 1, 1, CLASSES), generator=generator)
    lasts = (time >= begin) & (time < begin + TIME // 2)
    truth = lasts & (torch.arange(2)[:, None] == modality) & tags[:, None, None]
    looks = torch.randn(2, CLASSES, SIZE, generator=generator)
    streams = [
        torch.einsum("vtc,cf->vtf", truth[:, :, m].float(), looks[m])
        + 2.0 * torch.randn(VIDEOS, TIME, SIZE, generator=generator)
        for m in (0, 1)
    ]
    mask = torch.ones(VIDEOS, TIME, 2, dtype=torch.bool)
    inputs = Inputs(((streams[0],), (streams[1],)), mask)
    return Ragged.of(inputs), tags, truth


def shuffle_labels(truth, tags):
    """Take each label from another video with that tag: as many, as long, and wrong."""
    generator, shuffled = torch.Generator().manual_seed(1), truth.clone()
    for c in range(CLASSES):
        tagged = torch.nonzero(tags[:, c])[:, 0]
        shuffled[tagged, :, :, c] = truth[
            tagged[torch.randperm(len(tagged), generator=generator)]
        ][..., c]
    return shuffled


def test_right_labels_help_and_labels_of_other_videos_do_not(videos):
    inputs, tags, truth = videos
    assert (
        compare_with_and_without(
            inputs, tags, Ragged.of(truth), folds=2, seed=0
        ).verdict
        == "help"
    )
    assert (
        compare_with_and_without(
            inputs, tags, Ragged.of(shuffle_labels(truth, tags)), folds=2, seed=0
        ).verdict
        != "help"
    )


def test_a_tag_is_attributed_to_the_segments_that_contain_it(
    videos,
):
    inputs, tags, truth = videos
    attributions = segment_attribution(inputs, tags, folds=3, seed=0).batch()
    tagged = tags[:, None, None].expand(truth.shape)
    assert attributions[truth].mean() > 5 * attributions[tagged & ~truth].mean().abs()


def test_the_localisation_score_is_the_loss_of_a_tag_without_the_more_probable_half(
    videos,
):
    attributions = torch.tensor([[1.0, 0.0], [3.0, 0.0]]).reshape(1, 2, 2, 1)
    tags = torch.tensor([[True]])
    segments = torch.tensor([2])
    score = partial(
        localisation_score, tags=tags, attribution=attributions, segments=segments
    )
    assert score(attributions).tolist() == [4.0 - 0.0]
    assert score(-attributions).tolist() == [-4.0]
    inputs, tags, truth = videos
    attributions = segment_attribution(inputs, tags, folds=3, seed=0).batch()
    segments = torch.full((VIDEOS,), TIME)
    score = partial(
        localisation_score, tags=tags, attribution=attributions, segments=segments
    )
    assert (
        score(truth.float()).mean() > score(shuffle_labels(truth, tags).float()).mean()
    )


def test_the_verdict_follows_the_intervals():
    def verdict(*intervals):
        return LabelCheck(
            9, 3, {}, dict(zip(("tags", "localisation"), intervals, strict=True))
        ).verdict

    up, down, level = (
        Interval(1.0, 0.5, 1.5),
        Interval(-1.0, -1.5, -0.5),
        Interval(0.0, -0.5, 0.5),
    )
    assert [verdict(up, level), verdict(level, up), verdict(level, level)] == [
        "help",
        "help",
        "do not help",
    ]
    assert [verdict(up, down), verdict(down, level)] == ["harm", "harm"]

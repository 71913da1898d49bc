"""Collections of videos of unequal length: padding, groups, selection and order."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from vaplan.ragged import (
    MAX_GROUP_SEGMENTS,
    MAX_PADDING,
    Lengths,
    Ragged,
    Spans,
    as_ragged,
)

counts = st.lists(st.integers(0, 60), min_size=1, max_size=12)


@dataclass(frozen=True)
class Both:
    """A container with an array over segments and one over videos."""

    PER_VIDEO: ClassVar[tuple[str, ...]] = ("tags",)

    score: torch.Tensor
    tags: torch.Tensor
    nothing: torch.Tensor | None = None


def collection(lengths: list[int]) -> Ragged[Both]:
    sizes = Lengths.of(lengths)
    score = torch.arange(1, sizes.total + 1).float()[:, None]
    return Ragged(Both(score, torch.arange(len(lengths))), sizes)


def test_padding_by_hand() -> None:
    lengths = Lengths.of([2, 0, 3])
    values = np.array([1, 2, 3, 4, 5])
    padded = lengths.pad(values)
    assert padded.tolist() == [[1, 2, 0], [0, 0, 0], [3, 4, 5]]
    assert lengths.flatten(padded).tolist() == values.tolist()
    assert lengths.pad(values, [2, 0], time=4).tolist() == [[3, 4, 5, 0], [1, 2, 0, 0]]
    assert lengths.repeat(np.array([7, 8, 9])).tolist() == [7, 7, 9, 9, 9]
    assert Spans(np.array([3, 0]), np.array([2, 1])).positions().tolist() == [3, 4, 0]


def test_equal_lengths_are_views_of_the_same_memory() -> None:
    padded = torch.rand(4, 10, 3)
    ragged = as_ragged(padded)
    assert ragged.lengths.groups() == [slice(None)]
    assert ragged.batch().data_ptr() == padded.data_ptr()
    assert ragged.rows().data_ptr() == padded.data_ptr()
    assert ragged[1:].values.data_ptr() == padded[1:].data_ptr()
    assert as_ragged(ragged) is ragged


@given(counts)
def test_groups_have_every_video_once_and_little_padding(lengths: list[int]) -> None:
    sizes = Lengths.of(lengths)
    groups = [np.arange(len(sizes))[group] for group in sizes.groups(videos=5)]
    assert sorted(np.concatenate(groups).tolist()) == list(range(len(lengths)))
    for group in groups:
        shortest, longest = sizes.counts[group].min(), sizes.counts[group].max()
        assert len(group) <= 5
        assert longest <= max(MAX_PADDING * shortest, shortest + 1)


def test_a_group_of_very_long_videos_is_bounded() -> None:
    sizes = Lengths.of([7200] * 40 + [7201])
    for group in sizes.groups():
        videos = len(np.arange(len(sizes))[group])
        assert videos * 7201 <= MAX_GROUP_SEGMENTS + 7201


@given(counts, st.randoms())
def test_results_of_groups_are_in_the_order_of_the_videos(
    lengths: list[int], random
) -> None:
    ragged = collection(lengths)

    def double(videos) -> Both:
        batch = ragged.batch(videos)
        return Both(2 * batch.score, 10 * batch.tags)

    doubled = Ragged.from_groups(ragged.lengths, double, videos=3, workers=2)
    assert torch.equal(doubled.values.score, 2 * ragged.values.score)
    assert torch.equal(doubled.values.tags, 10 * ragged.values.tags)
    total = ragged.per_video(lambda batch: batch.score.sum(dim=(1, 2)))
    expected = [part.sum() for part in ragged.values.score.split(lengths)]
    assert total.tolist() == expected
    order = list(range(len(lengths)))
    random.shuffle(order)
    chosen = ragged[torch.tensor(order)]
    parts = ragged.values.score.split(lengths)
    assert torch.equal(chosen.values.score, torch.cat([parts[i] for i in order]))
    assert chosen.values.tags.tolist() == order
    joined = Ragged.cat([ragged, chosen])
    assert len(joined) == 2 * len(lengths)
    assert joined.lengths.total == 2 * sum(lengths)


@pytest.mark.parametrize("lengths", [[3, 3], [2, 5, 1]])
def test_every_segment_is_in_one_row(lengths: list[int]) -> None:
    ragged = collection(lengths)
    rows = ragged.rows()
    assert rows.score.sum() == ragged.values.score.sum()
    assert len(rows.tags) == len(rows.score)
    assert torch.equal(ragged.rows_of(ragged.values.tags), rows.tags)
    back = ragged.from_rows(rows.score + 1)
    assert torch.equal(back.values, ragged.values.score + 1)
    videos = [video.tolist() for video in back.by_video()]
    assert [len(video) for video in videos] == lengths
    assert back.numpy().values.tolist() == back.values.tolist()

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tests.oracles import llp as oracle
from vaplan.metrics.counts import count_cells, count_events, pack, unpack

BORDERS = [1, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 70, 127, 128, 129]


@st.composite
def rows(draw):
    """Two sides of up to eight rows, of lengths at and around those of the words they are packed in."""
    time = draw(st.sampled_from(BORDERS) | st.integers(1, 70))
    shape = draw(st.integers(1, 8)), time
    density = st.sampled_from([0.1, 0.5, 0.9, 1.0])
    seed = draw(st.integers(0, 2**32))
    return tuple(
        np.random.default_rng(seed + side).random(shape) < draw(density)
        for side in range(2)
    )


def plain(reference, estimate, count):
    """(matched, in the reference, in the estimate) of every row, by the slow oracle."""
    counted = [
        count(*pair) for pair in zip(reference.tolist(), estimate.tolist(), strict=True)
    ]
    return [(tp, tp + fn, tp + fp) for tp, fp, fn in counted]


def quick(counts):
    return list(
        zip(
            counts.matched.tolist(),
            counts.reference.tolist(),
            counts.estimate.tolist(),
            strict=True,
        )
    )


@given(rows())
@settings(max_examples=300)
def test_counts_of_rows_of_any_length_equal_a_plain_restatement(pair):
    packed = [pack(side) for side in pair]
    assert quick(count_cells(*packed)) == plain(*pair, oracle.segment_counts)
    assert quick(count_events(*packed)) == plain(*pair, oracle.event_counts)


@pytest.mark.parametrize("time", [8, 16, 32, 64])
def test_rows_that_fill_a_word_count_as_in_a_longer_one(time):
    generator = np.random.default_rng(time)
    sides = [
        np.repeat(generator.random((3000, time // 4)) < 0.6, 4, axis=1)
        for _ in range(2)
    ]
    sides[1] ^= generator.random(sides[1].shape) < 0.1
    longer = [
        pack(np.pad(side, ((0, 0), (0, 65)))) for side in sides
    ]  # counted by the other algorithm
    assert quick(count_events(*map(pack, sides))) == quick(count_events(*longer))


def test_all_pairs_of_short_rows_are_counted_as_by_hand():
    every = unpack(np.arange(64, dtype=np.uint8)[:, None])[:, :6]
    reference, estimate = (
        side.reshape(-1, 6)
        for side in (np.repeat(every, 64, axis=0), np.tile(every, (64, 1)))
    )
    assert quick(count_events(pack(reference), pack(estimate))) == plain(
        reference, estimate, oracle.event_counts
    )


@given(
    arrays(bool, st.tuples(st.integers(0, 3), st.integers(1, 2), st.integers(1, 140)))
)
@example(np.ones((1, 1, 64), dtype=bool))
def test_packing_loses_nothing(marked):
    back = unpack(pack(marked))
    assert np.array_equal(back[..., : marked.shape[-1]], marked)
    assert not back[..., marked.shape[-1] :].any()


@given(
    arrays(bool, st.tuples(st.integers(1, 3), st.integers(1, 70), st.integers(1, 3)))
)
def test_any_axis_can_be_packed(marked):
    assert np.array_equal(pack(marked, axis=1), pack(np.moveaxis(marked, 1, -1).copy()))


def test_rows_without_segments_have_no_events():
    nothing = pack(np.zeros((3, 0), dtype=bool))
    assert (
        quick(count_events(nothing, nothing))
        == quick(count_cells(nothing, nothing))
        == [(0, 0, 0)] * 3
    )


def test_a_run_that_crosses_from_one_word_into_the_next_is_one_event():
    row = np.zeros((1, 130), dtype=bool)
    row[0, 60:129] = True
    assert quick(count_events(pack(row), pack(row))) == [(1, 1, 1)]

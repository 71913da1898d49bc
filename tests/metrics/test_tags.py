"""The label ranking precision of tags."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vaplan.metrics.tags import ranking_precision


def slow(tags, score):
    """Compute it tag by tag, as it is defined."""
    shares = []
    for c in np.flatnonzero(tags):
        no_lower = [other for other in range(len(score)) if score[other] >= score[c]]
        shares.append(sum(tags[other] for other in no_lower) / len(no_lower))
    return np.mean(shares) if shares else np.nan


@given(st.integers(0, 10_000), st.integers(1, 6))
def test_label_ranking_equals_its_definition(seed, classes):
    rng = np.random.default_rng(seed)
    tags, score = (
        rng.random((4, classes)) < 0.4,
        rng.integers(0, 4, size=(4, classes)) / 4,
    )
    expected = [slow(*row) for row in zip(tags, score, strict=True)]
    assert ranking_precision(tags, score) == pytest.approx(expected, nan_ok=True)


def test_label_ranking_is_one_if_all_tags_come_first():
    tags = np.array([[True, True, False]])
    assert ranking_precision(tags, np.array([[0.3, 0.2, 0.1]])) == [1.0]
    assert ranking_precision(tags, np.array([[0.5, 0.5, 0.5]])) == pytest.approx(2 / 3)

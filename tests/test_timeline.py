"""Grid and events are two forms of one thing."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from vaplan.arrays import MODALITIES
from vaplan.taxonomy import LLP, Taxonomy, spoken
from vaplan.timeline import Event, from_grid, missing_spans, runs, to_grid

TAXONOMY = Taxonomy(("Bell", "Dog", "Rain"))
GRIDS = st.integers(1, 12).flatmap(
    lambda time: arrays(bool, (time, len(MODALITIES), len(TAXONOMY)))
)


@given(GRIDS)
def test_a_grid_comes_back_from_its_events(grid: np.ndarray) -> None:
    assert np.array_equal(to_grid(from_grid(grid, TAXONOMY), TAXONOMY, len(grid)), grid)


@given(GRIDS)
def test_events_of_a_grid_never_touch_within_a_class(grid: np.ndarray) -> None:
    events = from_grid(grid, TAXONOMY)
    for one in events:
        for other in events:
            if (one.modality, one.class_name) == (
                other.modality,
                other.class_name,
            ) and one.onset < other.onset:
                assert one.offset < other.onset


def test_the_score_of_an_event_is_the_mean_over_its_segments() -> None:
    grid, score = np.zeros((3, 2, 3), dtype=bool), np.zeros((3, 2, 3), dtype=np.float32)
    grid[:2, 0, 1], score[:2, 0, 1] = True, (0.5, 0.75)
    assert from_grid(grid, TAXONOMY, score=score) == (
        Event("audio", "Dog", 0.0, 2.0, 0.625),
    )


def test_runs_by_hand() -> None:
    assert runs(np.array([False, True, True, False, True])) == [(1, 3), (4, 5)]
    assert runs(np.zeros(0, dtype=bool)) == []


def test_what_is_masked_is_named_as_missing_in_seconds() -> None:
    mask = np.array([[True, False], [True, False], [False, True]])
    assert missing_spans(mask) == (("audio", 2.0, 3.0), ("visual", 0.0, 2.0))


def test_llp_has_its_25_classes_and_they_can_be_spoken() -> None:
    assert len(LLP) == 25
    assert spoken("Baby_cry_infant_cry") == "baby cry infant cry"
    assert LLP.prompts("audio")[LLP.index("Frying_(food)")] == [
        "This sound contains the frying food."
    ]

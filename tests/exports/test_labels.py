from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.exports.timelines import MODALITY, NAMES, SCORES, timelines
from vaplan.errors import AnnotationError
from vaplan.exports.labels import (
    NO_DEFAULTS,
    Defaults,
    check_timeline,
    disjoint_lanes,
    label,
    read_label,
    read_tier,
    round_events,
    round_span,
)
from vaplan.timeline import Event, Timeline

FILE = Path("a.txt")


@given(MODALITY, NAMES, SCORES)
def test_a_label_comes_back(modality, name, score):
    event = Event(modality, name, 1.0, 2.0, score)
    assert read_label(label(event), 1.0, 2.0, NO_DEFAULTS, file=FILE) == [event]


def test_a_label_without_a_modality_needs_a_default():
    with pytest.raises(AnnotationError, match=r"'Dog' has no modality.*--modality"):
        read_label("Dog", 0.0, 1.0, NO_DEFAULTS, file=FILE)
    events = read_label("Dog [2]", 0.0, 1.0, Defaults("both"), file=FILE)
    assert events == [Event(m, "Dog", 0.0, 1.0, 2.0) for m in ("audio", "visual")]
    assert len(read_label("both:Dog", 0.0, 1.0, NO_DEFAULTS, file=FILE)) == 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("audio:", "has no class"),
        ("audio:nan", "is 'nan'"),
        ("audio:a\x07", "control characters"),
        ("audio:Dog [inf]", "is not finite"),
        ("", "has no modality"),
    ],
)
def test_a_label_that_is_no_event_is_an_error(text, message):
    with pytest.raises(AnnotationError, match=message):
        read_label(text, 0.0, 1.0, NO_DEFAULTS, file=FILE)


@pytest.mark.parametrize(
    ("onset", "offset"), [(1, 1), (2, 1), (-1, 1), (0, 1e9), (float("nan"), 1)]
)
def test_times_out_of_order_are_an_error(onset, offset):
    with pytest.raises(AnnotationError, match="expected an onset from 0 s"):
        read_label("audio:Dog", float(onset), float(offset), NO_DEFAULTS, file=FILE)


def test_a_tier_of_a_lane_holds_its_class_and_others_hold_labels():
    def read(tier, text):
        return read_tier(tier, text, 0.0, 1.0, NO_DEFAULTS, file=FILE)

    assert read("audio:Dog", "anything") == [Event("audio", "Dog", 0.0, 1.0)]
    assert read("audio:Dog", "Dog [0.5]") == [Event("audio", "Dog", 0.0, 1.0, 0.5)]
    assert read("visual", "Cat") == [Event("visual", "Cat", 0.0, 1.0)]
    assert read("notes", "visual:Cat") == [Event("visual", "Cat", 0.0, 1.0)]


def test_a_short_event_lasts_one_unit():
    assert round_span(Event("audio", "Dog", 0.4996, 0.5), 1000) == (500, 501)
    assert round_span(Event("audio", "Dog", 0.0, 0.0001), 25) == (0, 1)
    assert round_span(Event("audio", "Dog", 1.0, 3.0), 25) == (25, 75)


@given(timelines(), st.sampled_from([25, 1000, 1_000_000]))
def test_rounding_moves_a_time_by_half_a_unit_and_a_short_event_by_one(drawn, units):
    timeline = Timeline(*drawn)
    for event, rounded in zip(timeline, round_events(timeline, units), strict=True):
        assert abs(event.onset - rounded.onset) <= 0.5 / units + 1e-9
        assert abs(event.offset - rounded.offset) <= 1.5 / units + 1e-9
        assert rounded.onset < rounded.offset


def test_overlaps_of_a_lane_are_merged_and_touching_events_stay():
    events = [
        Event("audio", "Dog", 0.0, 2.0, 0.5),
        Event("audio", "Dog", 1.0, 3.0, 1.0),
        Event("audio", "Dog", 3.0, 4.0),
        Event("visual", "Dog", 0.0, 2.0),
    ]
    lanes = disjoint_lanes(events)
    assert lanes["audio:Dog"] == [Event("audio", "Dog", 0.0, 3.0, 0.75), events[2]]
    assert lanes["visual:Dog"] == [events[3]]
    assert [*lanes] == ["audio:Dog", "visual:Dog"]


@given(timelines())
def test_lanes_cover_the_same_times_without_overlap(drawn):
    timeline = Timeline(*drawn)
    for lane, events in disjoint_lanes(timeline).items():
        for first, second in pairwise(events):
            assert first.offset <= second.onset
        for event in timeline:
            if event.lane == lane:
                assert any(
                    one.onset <= event.onset and event.offset <= one.offset
                    for one in events
                )


@pytest.mark.parametrize("name", ["a\tb", "a\nb", " a", "a ", "", "a\u2028b"])
def test_names_that_a_format_cannot_hold_are_named(name):
    with pytest.raises(AnnotationError, match="which RTTM cannot hold"):
        check_timeline(Timeline("v", 1.0, (Event("audio", name, 0.0, 1.0),)), "RTTM")
    with pytest.raises(AnnotationError, match="video id"):
        check_timeline(Timeline(name, 1.0), "RTTM")


def test_an_event_that_ends_before_it_starts_is_an_error():
    with pytest.raises(AnnotationError, match="from 2 to 1 s"):
        check_timeline(Timeline("v", 1.0, (Event("audio", "Dog", 2.0, 1.0),)), "RTTM")

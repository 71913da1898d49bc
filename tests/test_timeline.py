"""Grids and events are two forms of a timeline."""

import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from vaplan.arrays import MODALITIES
from vaplan.taxonomy import LLP, Taxonomy, display_name
from vaplan.timeline import (
    Event,
    MediaLink,
    Timeline,
    from_grid,
    missing_spans,
    runs,
    to_grid,
)

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


def test_masked_segments_are_missing_spans_in_seconds() -> None:
    mask = np.array([[True, False], [True, False], [False, True]])
    assert missing_spans(mask) == (("audio", 2.0, 3.0), ("visual", 0.0, 2.0))


def test_llp_has_its_25_classes_with_display_names() -> None:
    assert len(LLP) == 25
    assert display_name("Baby_cry_infant_cry") == "baby cry infant cry"
    assert LLP.prompts("audio")[LLP.index("Frying_(food)")] == [
        "This sound contains the frying food."
    ]


# ---- the value in Python and in notebooks

EXAMPLE = Timeline(
    "dog & cat",
    10.0,
    (
        Event("audio", "Dog", 1.0, 4.0, 0.5),
        Event("visual", "<Cat>", 3.0, 6.0),
    ),
    missing=(("visual", 8.0, 10.0),),
)


def test_a_timeline_prints_its_events():
    text = repr(EXAMPLE)
    assert text.splitlines()[0] == "Timeline of 'dog & cat', 10 s, 2 events"
    assert "1.00 –    4.00 s  audio   Dog  0.50" in text
    many = Timeline(
        "v", 99.0, tuple(Event("audio", "Dog", float(t), t + 0.5) for t in range(12))
    )
    assert repr(many).endswith("… 2 more")


def test_the_notebook_drawing_escapes_names_and_has_a_lane_for_each_class():
    drawing = EXAMPLE._repr_html_()
    assert drawing.count("<rect") == 2
    assert "&lt;Cat&gt;" in drawing
    assert "<Cat>" not in drawing
    assert "dog &amp; cat" in drawing
    assert "script" not in drawing
    assert "<svg" in Timeline("empty", 0.0)._repr_html_()


def test_a_span_cuts_events_and_keeps_their_times():
    part = EXAMPLE[2:3.5]
    assert [(e.onset, e.offset) for e in part] == [(2.0, 3.5), (3.0, 3.5)]
    assert EXAMPLE[9:].missing == (("visual", 9.0, 10.0),)
    assert EXAMPLE[:] == EXAMPLE
    assert EXAMPLE[-5:1.5].events == (Event("audio", "Dog", 1.0, 1.5, 0.5),)
    assert not len(EXAMPLE[5:2])
    with pytest.raises(TypeError, match="select a span of seconds"):
        EXAMPLE[0:2:1]


def test_a_union_merges_events_that_overlap_or_touch():
    other = Timeline("dog & cat", 12.0, (Event("audio", "Dog", 4.0, 5.0, 0.9),))
    united = EXAMPLE | other
    assert united.seconds == 12.0
    assert united.of("audio") == (Event("audio", "Dog", 1.0, 5.0, 0.9),)
    assert united.of("visual") == EXAMPLE.of("visual")
    with pytest.raises(ValueError, match="different videos"):
        _ = EXAMPLE | Timeline("other", 1.0)


EVENTS = st.builds(
    lambda modality, name, onset, length, score: Event(
        modality, name, float(onset), float(onset + length), score
    ),
    st.sampled_from(["audio", "visual"]),
    st.sampled_from(["Dog", "Cat"]),
    st.integers(0, 20),
    st.integers(1, 5),
    st.sampled_from([None, 0.25, 0.5, 1.0]),
)
EVENT_LISTS = st.lists(EVENTS, max_size=8)


def timeline_of(events):
    return Timeline("v", 30.0, tuple(events))


@given(EVENT_LISTS, EVENT_LISTS, EVENT_LISTS)
def test_a_union_is_commutative_associative_and_idempotent(first, second, third):
    a, b, c = map(timeline_of, (first, second, third))
    assert a | b == b | a
    assert (a | b) | c == a | (b | c)
    assert (a | b) | (a | b) == a | b


@given(EVENT_LISTS, EVENT_LISTS)
def test_the_grid_of_a_union_contains_both_grids(first, second):
    a, b = timeline_of(first), timeline_of(second)
    taxonomy = Taxonomy(("Cat", "Dog"))
    both = a.to_grid(taxonomy) | b.to_grid(taxonomy)
    assert ((a | b).to_grid(taxonomy) == both).all()


def test_a_data_frame_needs_pandas_and_has_the_six_columns(monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match="pip install pandas"):
        EXAMPLE.to_dataframe()
    fake = SimpleNamespace(DataFrame=lambda rows, columns: (columns, rows))
    monkeypatch.setitem(sys.modules, "pandas", fake)
    columns, rows = EXAMPLE.to_dataframe()
    assert columns == ["video", "modality", "class", "onset", "offset", "score"]
    assert rows[0] == ("dog & cat", "audio", "Dog", 1.0, 4.0, 0.5)


@given(
    arrays(bool, (7, 2, 3)),
    arrays(np.float32, (7, 2, 3), elements=st.floats(0, 1, width=32)),
)
def test_events_of_a_grid_are_its_runs_with_their_mean_scores(grid, score):
    taxonomy = Taxonomy(("a", "b", "c"))
    expected = set()
    for m, modality in enumerate(MODALITIES):
        for c, name in enumerate(taxonomy.classes):
            for start, stop in runs(grid[:, m, c]):
                mean = round(float(score[start:stop, m, c].mean()), 6)
                expected.add(Event(modality, name, float(start), float(stop), mean))
    events = from_grid(grid, taxonomy, score=score)
    assert set(events) == expected
    assert list(events) == sorted(
        events, key=lambda e: (e.onset, e.modality, e.class_name)
    )


# ---- forms of other libraries

TIMES = st.floats(0, 1e5)


@st.composite
def drawn_events(draw: st.DrawFn) -> Event:
    first, last = sorted([draw(TIMES), draw(TIMES)])
    modality = draw(st.sampled_from(["audio", "visual"]))
    name = draw(st.sampled_from(["Dog", "audio:Dog", "a b", "語"]))
    score = draw(st.none() | st.floats(0, 1))
    return Event(modality, name, first, max(last, first + 0.01), score)


@given(st.lists(drawn_events(), max_size=5))
def test_a_data_frame_comes_back(found):
    pytest.importorskip("pandas")
    timeline = Timeline("v", 1e6, tuple(found))
    frame = timeline.to_dataframe()
    assert Timeline.from_dataframe(frame, video="v", seconds=1e6) == timeline
    if found:
        length = max(event.offset for event in found)
        assert Timeline.from_dataframe(frame) == Timeline("v", length, tuple(found))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"modality": "smell"}, "modality 'smell' of .*expected audio or visual"),
        ({"offset": 0.5}, "expected 0 <= onset < offset"),
        ({"class": ""}, "class '' of"),
        ({"video": ["a", "b"]}, "rows of 2 videos"),
    ],
)
def test_a_data_frame_that_is_no_timeline_is_an_error(changes, message):
    pytest.importorskip("pandas")
    frame = EXAMPLE.to_dataframe().assign(**changes)
    with pytest.raises(ValueError, match=message):
        Timeline.from_dataframe(frame)
    with pytest.raises(ValueError, match="no column 'class'"):
        Timeline.from_dataframe(frame.drop(columns="class"))


@given(st.lists(drawn_events(), max_size=5))
def test_an_annotation_of_pyannote_comes_back_without_scores(found):
    pytest.importorskip("pyannote.core")
    timeline = Timeline("v", 1e6, tuple(found))

    def plain(events):
        return sorted((e.modality, e.class_name, e.onset, e.offset) for e in events)

    back = Timeline.from_annotation(timeline.to_annotation(), seconds=1e6)
    assert (back.video, back.seconds) == ("v", 1e6)
    assert plain(back) == plain(timeline)
    for modality in MODALITIES:
        annotation = timeline.to_annotation(modality)
        assert annotation.modality == modality
        back = Timeline.from_annotation(annotation)
        assert plain(back) == plain(timeline.of(modality))


def test_an_annotation_has_lanes_as_labels():
    pytest.importorskip("pyannote.core")
    annotation = EXAMPLE.to_annotation()
    assert annotation.uri == "dog & cat"
    assert annotation.labels() == ["audio:Dog", "visual:<Cat>"]
    assert EXAMPLE.to_annotation("audio").labels() == ["Dog"]
    assert annotation.label_duration("audio:Dog") == 3.0


def test_an_annotation_without_an_id_or_a_modality_is_an_error():
    core = pytest.importorskip("pyannote.core")
    with pytest.raises(ValueError, match="no uri"):
        Timeline.from_annotation(core.Annotation())
    annotation = core.Annotation(uri="v")
    annotation[core.Segment(0, 1)] = "speaker1"
    with pytest.raises(ValueError, match="modality '' of"):
        Timeline.from_annotation(annotation)
    assert Timeline.from_annotation(annotation, modality="audio").of("audio")


def test_an_annotation_needs_pyannote(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyannote.core", None)
    with pytest.raises(ImportError, match="pip install pyannote"):
        EXAMPLE.to_annotation()


def test_the_name_of_a_media_file_is_relative_to_its_folder():
    link = MediaLink(Path("films/2019/a.mp4"), Path("films"))
    assert link.name == "2019/a.mp4"
    assert MediaLink(Path("/a/b.mp4"), Path("/c")).name == "../a/b.mp4"

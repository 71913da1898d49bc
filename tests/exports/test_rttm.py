import pytest
from hypothesis import example, given

from tests.exports.timelines import (
    EXAMPLE,
    NOTHING,
    as_set,
    rounded,
    there_and_back,
    timelines,
)
from vaplan.errors import AnnotationError
from vaplan.exports import import_events, rttm
from vaplan.timeline import Event, Timeline


def test_a_line_is_an_event_with_its_lane_as_the_speaker():
    assert rttm.write(EXAMPLE).splitlines()[0] == (
        "SPEAKER beach/dog 1 0.000 2.500 <NA> <NA> audio:Dog_barking 0.1 <NA>"
    )
    timeline = Timeline("a b", 1.0, (Event("audio", "Dog barking 5%", 0.0, 1.0),))
    assert rttm.write(timeline).split() == (
        "SPEAKER a%20b 1 0.000 1.000 <NA> <NA> audio:Dog%20barking%205%25 <NA> <NA>"
    ).split(" ")


@given(timelines())
@example(NOTHING)
def test_events_come_back_to_the_millisecond(drawn):
    timeline = Timeline(*drawn)
    back = there_and_back(timeline, "rttm")
    if len(timeline):
        assert back.video == timeline.video
    assert as_set(back.events) == as_set(rounded(timeline, 1000))


def test_the_lines_are_those_of_pyannote():
    core = pytest.importorskip("pyannote.core")
    annotation = core.Annotation(uri="v")
    annotation[core.Segment(0.5, 2.25)] = "audio:Dog"
    timeline = Timeline("v", 3.0, (Event("audio", "Dog", 0.5, 2.25),))
    assert rttm.write(timeline) == annotation.to_rttm()


def test_a_file_of_several_videos_and_kinds_is_read(tmp_path):
    path = tmp_path / "all.rttm"
    path.write_text(
        ";; a comment\n"
        "SPKR-INFO a 1 <NA> <NA> <NA> unknown speaker1 <NA>\n"
        "SPEAKER a 1 0.1 0.2 <NA> <NA> speaker1 <NA>\n"
        "SPEAKER b 1 5 1 <NA> <NA> visual:Cat 0.5 <NA>\n"
    )
    with pytest.raises(AnnotationError, match=r"all\.rttm:3: label 'speaker1' has no"):
        import_events(path, format="rttm")
    first, second = import_events(path, format="rttm", modality="audio")
    assert first == Timeline("a", 0.3, (Event("audio", "speaker1", 0.1, 0.3),))
    assert second == Timeline("b", 6.0, (Event("visual", "Cat", 5.0, 6.0, 0.5),))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("SPEAKER a 1 0 1 <NA> <NA> audio:Dog barking <NA> <NA>", "11 fields"),
        ("SPEAKER a 1 0 x <NA> <NA> audio:Dog <NA> <NA>", "duration is 'x'"),
        ("SPEAKER a 1 0 0 <NA> <NA> audio:Dog <NA> <NA>", "from 0 to 0 s"),
        ("SPEAKER ../a 1 0 1 <NA> <NA> audio:Dog <NA> <NA>", "cannot be used"),
    ],
)
def test_a_line_that_is_no_event_is_an_error(tmp_path, line, message):
    (tmp_path / "a.rttm").write_text(line)
    with pytest.raises(AnnotationError, match=message):
        import_events(tmp_path, format="rttm")

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
from vaplan.exports import audacity, import_events
from vaplan.timeline import Event, Timeline


def test_a_line_is_onset_offset_and_label():
    assert audacity.write(EXAMPLE).splitlines() == [
        "0.000000\t2.500000\taudio:Dog_barking [0.1]",
        "1.000000\t10.000000\taudio:Rain [0.75]",
        "1.000000\t3.000000\tvisual:Dog_barking",
    ]


@given(timelines())
@example(NOTHING)
def test_events_come_back_to_the_microsecond(drawn):
    timeline = Timeline(*drawn)
    back = there_and_back(timeline, "audacity")
    assert back.video == timeline.video
    assert as_set(back.events) == as_set(rounded(timeline, 1_000_000))


def test_labels_of_a_person_need_a_modality_and_lose_their_frequencies(tmp_path):
    path = tmp_path / "film.txt"
    path.write_text("1.5\t2.5\tDog\n\\\t100.0\t2000.0\n\n3\t4\tvisual:Cat\n")
    with pytest.raises(
        AnnotationError, match=r"film\.txt:1: label 'Dog' has no modality"
    ):
        import_events(path, format="audacity")
    (back,) = import_events(path, format="audacity", modality="audio")
    assert back.events == (
        Event("audio", "Dog", 1.5, 2.5),
        Event("visual", "Cat", 3.0, 4.0),
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1\t2\n", r"a\.txt:1: 2 fields"),
        ("1\tx\taudio:Dog\n", r"a\.txt:1: offset is 'x'"),
        ("2\t2\taudio:Dog\n", "from 2 to 2 s"),
    ],
)
def test_a_line_that_is_no_event_is_an_error(tmp_path, text, message):
    (tmp_path / "a.txt").write_text(text)
    with pytest.raises(AnnotationError, match=message):
        import_events(tmp_path, format="audacity")

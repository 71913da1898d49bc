import pytest
from hypothesis import example, given

from tests.exports.timelines import (
    EMPTY,
    EXAMPLE,
    NOTHING,
    there_and_back,
    timelines,
    without_scores,
)
from vaplan.annotations import dcase as data_set
from vaplan.errors import AnnotationError
from vaplan.exports import dcase, import_events
from vaplan.timeline import Event, Timeline


def test_each_modality_has_a_table_with_every_video():
    files = dcase.write([EXAMPLE, EMPTY])
    assert files["audio.tsv"].splitlines() == [
        "filename\tonset\toffset\tevent_label",
        "beach/dog.wav\t0.0\t2.5\tDog_barking",
        "beach/dog.wav\t1.0\t10.0\tRain",
        "quiet.wav\t\t\t",
    ]
    assert files["visual.tsv"].splitlines()[1:] == [
        "beach/dog.mp4\t1.0\t3.0\tDog_barking",
        "quiet.mp4\t\t\t",
    ]


@given(timelines())
@example(NOTHING)
def test_events_come_back_exactly_without_scores(drawn):
    timeline = Timeline(*drawn)
    back = there_and_back(timeline, "dcase")
    assert back.video == timeline.video
    assert {*without_scores(back.events)} == {*without_scores(timeline.events)}


def test_the_table_of_audio_is_a_data_set_too(tmp_path):
    (tmp_path / "audio.tsv").write_text(dcase.write([EXAMPLE, EMPTY])["audio.tsv"])
    rows = data_set.read(tmp_path / "audio.tsv").rows
    assert [(row.video, row.class_name) for row in rows] == [
        ("beach/dog", "Dog_barking"),
        ("beach/dog", "Rain"),
        ("quiet", ""),
    ]


def test_a_published_table_is_audio_only(tmp_path):
    path = tmp_path / "strong.tsv"
    path.write_text("filename\tonset\toffset\tevent_label\na_0_10.wav\t0\t1.5\tDog\n")
    assert import_events(path, format="dcase") == [
        Timeline("a_0_10", 1.5, (Event("audio", "Dog", 0.0, 1.5),))
    ]
    (back,) = import_events(path, format="dcase", modality="visual")
    assert back.of("visual")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("filename\tevent_labels\na.wav\tDog,Cat\n", r"a\.tsv:2: label 'Dog' has no"),
        ("filename\tonset\toffset\tevent_label\na.wav\t2\t2\tDog\n", "from 2 to 2 s"),
    ],
)
def test_a_row_that_is_no_event_is_an_error(tmp_path, text, message):
    (tmp_path / "a.tsv").write_text(text)
    with pytest.raises(AnnotationError, match=message):
        import_events(tmp_path, format="dcase")

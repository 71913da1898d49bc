import io

import webvtt as library
from hypothesis import given

from tests.exports.timelines import EMPTY, EXAMPLE, rounded, timelines
from vaplan.exports import srt
from vaplan.timeline import Event, Timeline


def test_captions_are_numbered_and_in_order():
    assert srt.write(EXAMPLE) == (
        "1\n00:00:00,000 --> 00:00:02,500\n[dog barking]\n\n"
        "2\n00:00:01,000 --> 00:00:10,000\n[rain]\n\n"
        "3\n00:00:01,000 --> 00:00:03,000\n(dog barking)\n"
    )
    assert srt.write(EMPTY) == ""


def test_an_arrow_in_a_class_is_no_time():
    text = srt.write(Timeline("v", 1.0, (Event("audio", "a-->b", 0.0, 1.0),)))
    assert text.count("-->") == 1


@given(timelines().filter(lambda drawn: drawn.events))
def test_a_library_reads_the_same_captions(drawn):
    timeline = Timeline(*drawn)
    captions = library.from_buffer(
        io.StringIO(srt.write(timeline)), format="srt"
    ).captions
    assert len(captions) == len(rounded(timeline, 1000))

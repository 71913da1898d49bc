import pytest
import webvtt as library
from hypothesis import example, given

from tests.exports.timelines import (
    ALL,
    EXAMPLE,
    NOTHING,
    Drawn,
    as_set,
    rounded,
    there_and_back,
    timelines,
    without_scores,
)
from vaplan.errors import AnnotationError
from vaplan.exports import import_events, webvtt
from vaplan.timeline import Event, Timeline


def has_arrow(drawn: Drawn) -> bool:
    return any("-->" in event.class_name for event in drawn.events)


def test_captions_are_in_brackets_or_parentheses():
    assert webvtt.write(EXAMPLE).split("\n\n") == [
        "WEBVTT",
        "audio:Dog_barking:1\n00:00:00.000 --> 00:00:02.500\n[dog barking]",
        "audio:Rain:2\n00:00:01.000 --> 00:00:10.000\n[rain]",
        "visual:Dog_barking:3\n00:00:01.000 --> 00:00:03.000\n(dog barking)\n",
    ]


@given(timelines().filter(lambda drawn: not has_arrow(drawn)))
@example(ALL)
@example(NOTHING)
def test_captions_come_back_to_the_millisecond_without_scores(drawn):
    timeline = Timeline(*drawn)
    back = there_and_back(timeline, "webvtt")
    assert back.video == timeline.video
    assert without_scores(back.events) == without_scores(rounded(timeline, 1000))


@given(timelines())
@example(NOTHING)
def test_metadata_comes_back_to_the_millisecond(drawn):
    timeline = Timeline(*drawn)
    back = there_and_back(timeline, "webvtt-metadata")
    assert back.video == timeline.video
    assert as_set(back.events) == as_set(rounded(timeline, 1000))


@given(timelines().filter(lambda drawn: not has_arrow(drawn)))
def test_a_library_reads_the_same_cues(drawn):
    timeline = Timeline(*drawn)
    captions = library.from_string(webvtt.write(timeline)).captions
    events = rounded(timeline, 1000)
    assert [caption.identifier for caption in captions] == [
        f"{event.lane}:{number}" for number, event in enumerate(events, start=1)
    ]
    for caption, event in zip(captions, events, strict=True):
        assert round(caption.start_in_seconds * 1000) // 1000 == int(event.onset)
        assert caption.start == webvtt.format_time(event.onset)
        assert caption.end == webvtt.format_time(event.offset)


def test_a_class_with_an_arrow_is_an_error_in_captions_only():
    timeline = Timeline("v", 1.0, (Event("audio", "a --> b", 0.0, 1.0),))
    with pytest.raises(AnnotationError, match="which WebVTT cannot hold"):
        webvtt.write(timeline)
    assert webvtt.write_metadata(timeline).count("-->") == 1


FOREIGN = """\ufeffWEBVTT - made elsewhere
Kind: captions

STYLE
::cue { color: red }

NOTE a --> comment
on two lines

00:01.000 --> 00:02.500 align:start
<c.loud>[cat &amp; dog]</c>

speech
01:00:03.000 --> 01:00:04.000
Good morning.

visual:Dog:7
00:05.000 --> 00:06.000
(cow)
"""


def test_captions_of_others_are_events_if_they_are_in_brackets(tmp_path):
    (tmp_path / "film.vtt").write_text(FOREIGN.replace("\n", "\r\n"), newline="")
    (back,) = import_events(tmp_path / "film.vtt", format="webvtt")
    assert back.video == "film"
    assert back.events == (
        Event("audio", "cat & dog", 1.0, 2.5),
        Event("visual", "cow", 5.0, 6.0),  # the caption was changed, so it counts
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"a\.vtt:1: the first line is ''"),
        ("WEBVTTX\n", "expected WEBVTT"),
        ("WEBVTT\n\nhello\n", r"a\.vtt:4: a cue without times|a\.vtt:\d+: a cue"),
        ("WEBVTT\n\n00:01.000 --> 00:61.000\n[x]\n", r"a\.vtt:3: a cue without times"),
        ("WEBVTT\n\n00:02.000 --> 00:01.000\n[x]\n", "from 2 to 1 s"),
    ],
)
def test_a_broken_file_is_named_with_its_line(tmp_path, text, message):
    (tmp_path / "a.vtt").write_text(text)
    with pytest.raises(AnnotationError, match=message):
        import_events(tmp_path / "a.vtt", format="webvtt")


@pytest.mark.parametrize("cue", ["[]", '{"class": 1}', '{"class": "x"}', "[dog]"])
def test_metadata_that_is_no_event_is_an_error(tmp_path, cue):
    path = tmp_path / "a.metadata.vtt"
    path.write_text(f"WEBVTT\n\n00:01.000 --> 00:02.000\n{cue}\n")
    with pytest.raises(AnnotationError, match=r"a\.metadata\.vtt"):
        import_events(path, format="webvtt-metadata")


def test_a_folder_with_both_forms_has_each_video_once(tmp_path):
    (tmp_path / "a.vtt").write_text(webvtt.write(EXAMPLE))
    (tmp_path / "a.metadata.vtt").write_text(webvtt.write_metadata(EXAMPLE))
    for name in ("webvtt", "webvtt-metadata"):
        assert [t.video for t in import_events(tmp_path, format=name)] == ["a"]

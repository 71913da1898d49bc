from pathlib import Path

import pytest
from hypothesis import example, given
from pympi.Elan import Eaf

from tests.exports.timelines import (
    ALL,
    EXAMPLE,
    NOTHING,
    as_set,
    there_and_back,
    timelines,
)
from vaplan.errors import AnnotationError
from vaplan.exports import elan, import_events
from vaplan.exports.labels import disjoint_lanes, round_events
from vaplan.timeline import Event, MediaLink, Timeline


@given(timelines())
@example(ALL)
@example(NOTHING)
def test_disjoint_events_come_back_to_the_millisecond(drawn):
    timeline = Timeline(*drawn)
    back = there_and_back(timeline, "elan")
    lanes = disjoint_lanes(round_events(timeline, 1000))
    expected = tuple(event for lane in lanes.values() for event in lane)
    assert as_set(back.events) == as_set(expected)
    assert back.video == timeline.video


def test_a_library_reads_tiers_and_the_linked_media(tmp_path):
    path = tmp_path / "dog.eaf"
    path.write_bytes(elan.write(EXAMPLE))
    document = Eaf(str(path))
    assert {*document.get_tier_names()} == {
        "audio:Dog_barking",
        "audio:Rain",
        "visual:Dog_barking",
    }
    assert document.get_annotation_data_for_tier("audio:Dog_barking") == [
        (0, 2500, "Dog_barking [0.1]")
    ]
    (linked,) = document.get_linked_files()
    assert linked["MEDIA_URL"] == "file:///films/beach/dog.mp4"
    assert linked["MIME_TYPE"] == "video/mp4"


def test_a_document_of_a_library_is_read(tmp_path):
    document = Eaf()
    document.add_tier("audio:Dog")
    document.add_annotation("audio:Dog", 100, 2500, "loud")
    document.add_tier("visual")
    document.add_annotation("visual", 0, 40, "Cat")
    document.to_file(str(tmp_path / "film.eaf"))
    (back,) = import_events(tmp_path, format="elan")
    assert back.video == "film"
    assert back.events == (
        Event("visual", "Cat", 0.0, 0.04),
        Event("audio", "Dog", 0.1, 2.5),
    )


def test_one_timeline_gives_one_file():
    assert elan.write(EXAMPLE) == elan.write(EXAMPLE)


@pytest.mark.parametrize(
    ("suffix", "mime_type"), [(".mkv", "video/x-matroska"), (".zzz", "unknown")]
)
def test_the_type_of_the_media_follows_its_ending(suffix, mime_type):
    media = MediaLink(Path(f"/films/a{suffix}"), Path("/films"))
    content = elan.write(Timeline("a", 1.0, media=media))
    assert f'MIME_TYPE="{mime_type}"'.encode() in content


ENTITIES = """<?xml version="1.0"?>
<!DOCTYPE a [<!ENTITY x "xxxxxxxxxx"><!ENTITY y "&x;&x;&x;&x;">]>
<ANNOTATION_DOCUMENT>&y;</ANNOTATION_DOCUMENT>
"""
UNTIMED = """<ANNOTATION_DOCUMENT><TIER TIER_ID="audio:Dog">
<ALIGNABLE_ANNOTATION ANNOTATION_ID="a1" TIME_SLOT_REF1="t1" TIME_SLOT_REF2="t2"/>
</TIER></ANNOTATION_DOCUMENT>"""
NEGATIVE = """<ANNOTATION_DOCUMENT>
<TIME_SLOT TIME_SLOT_ID="t" TIME_VALUE="-5"/></ANNOTATION_DOCUMENT>"""
OUTSIDE = '<!DOCTYPE a SYSTEM "file:///etc/passwd"><ANNOTATION_DOCUMENT/>'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (ENTITIES, r"a\.eaf:2: a document type is declared"),
        (OUTSIDE, "a document type is declared"),
        ("<html/>", "the document is 'html'"),
        ("<ANNOTATION_DOCUMENT>", "not XML"),
        ("", "not XML"),
        ("<ANNOTATION_DOCUMENT>&x;</ANNOTATION_DOCUMENT>", "not XML: undefined entity"),
        (
            UNTIMED,
            "annotation 'a1' has no time at 't1'",
        ),
        (
            NEGATIVE,
            "TIME_VALUE is '-5'",
        ),
        ("<ANNOTATION_DOCUMENT><TIER/></ANNOTATION_DOCUMENT>", "no attribute TIER_ID"),
    ],
)
def test_a_broken_document_is_an_error(tmp_path, text, message):
    (tmp_path / "a.eaf").write_text(text)
    with pytest.raises(AnnotationError, match=message):
        import_events(tmp_path, format="elan")

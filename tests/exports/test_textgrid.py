import pytest
from hypothesis import example, given
from praatio import textgrid as library

from tests.exports.timelines import (
    ALL,
    EXAMPLE,
    NOTHING,
    as_set,
    there_and_back,
    timelines,
)
from vaplan.errors import AnnotationError
from vaplan.exports import import_events, textgrid
from vaplan.exports.labels import disjoint_lanes
from vaplan.timeline import Event, Timeline


@given(timelines())
@example(ALL)
@example(NOTHING)
def test_disjoint_events_come_back_exactly(drawn):
    timeline = Timeline(*drawn)
    back = there_and_back(timeline, "textgrid")
    expected = [e for lane in disjoint_lanes(timeline).values() for e in lane]
    assert as_set(back.events) == as_set(tuple(expected))
    assert back.video == timeline.video
    assert back.seconds == (timeline.seconds or 1.0)


def test_a_library_reads_the_tiers(tmp_path):
    timeline = Timeline(
        "v", 10.0, (*EXAMPLE.events, Event("audio", 'Say "hi"', 4.0, 5.0))
    )
    path = tmp_path / "v.TextGrid"
    path.write_text(textgrid.write(timeline), encoding="utf-8")
    grid = library.openTextgrid(str(path), includeEmptyIntervals=False)
    assert grid.tierNames == (
        "audio:Dog_barking",
        "audio:Rain",
        'audio:Say "hi"',
        "visual:Dog_barking",
    )
    assert grid.maxTimestamp == 10.0
    assert [tuple(e) for e in grid.getTier("audio:Dog_barking").entries] == [
        (0.0, 2.5, "Dog_barking [0.1]")
    ]


@pytest.mark.parametrize("form", ["short_textgrid", "long_textgrid"])
def test_files_that_a_library_wrote_are_read(tmp_path, form):
    path = tmp_path / "film.TextGrid"
    grid = library.Textgrid(0, 9)
    grid.addTier(library.IntervalTier("audio:Dog", [(1, 2, "loud")], 0, 9))
    grid.addTier(library.IntervalTier("visual", [(3, 4.5, 'a "cat"')], 0, 9))
    grid.addTier(library.PointTier("clicks", [(1, "x")], 0, 9))
    grid.save(str(path), format=form, includeBlankSpaces=True)
    (back,) = import_events(path, format="textgrid")
    assert back.seconds == 9
    assert back.events == (
        Event("audio", "Dog", 1.0, 2.0),
        Event("visual", 'a "cat"', 3.0, 4.5),
    )


def test_a_file_in_utf_16_is_read(tmp_path):
    path = tmp_path / "a.TextGrid"
    path.write_text(textgrid.write(EXAMPLE), encoding="utf-16")
    assert len(import_events(path, format="textgrid")[0]) == 3


START = 'File type = "ooTextFile"\nObject class = "TextGrid"\nxmin = 0\nxmax = 5\n'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the file ends early"),
        ('"ooTextFile" "Pitch"', "expected 'TextGrid'"),
        (START + "tiers? <exists>\nsize = 1\n", "the file ends early"),
        (START + "tiers? <exists>\nsize = 1e30\n", "expected how many follow"),
        (START + "tiers? <exists>\nsize = -1\n", "expected how many follow"),
        (START + '<exists> 1 "Tier"', "a tier of class 'Tier'"),
        (
            START + '<exists> 1 "IntervalTier" "words" 0 5 1 0 1 "Dog"',
            "'Dog' has no modality",
        ),
    ],
)
def test_a_broken_file_is_an_error(tmp_path, text, message):
    (tmp_path / "a.TextGrid").write_text(text)
    with pytest.raises(AnnotationError, match=message):
        import_events(tmp_path, format="textgrid")

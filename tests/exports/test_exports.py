"""The registry of formats: choice by suffix, names of files, and what every format keeps."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.exports.timelines import EMPTY, EXAMPLE, as_set, there_and_back, write
from vaplan.errors import AnnotationError, UsageError
from vaplan.exports import FORMATS, export, import_events, list_inputs, output_path
from vaplan.timeline import Event, Timeline

READABLE = [name for name, one in FORMATS.items() if one.read]
WITH_SCORES = {
    *("json", "csv", "parquet", "webvtt-metadata", "rttm", "elan", "textgrid"),
    *("audacity", "label-studio", "activitynet"),
}
BOTH = Timeline(
    "v",
    9.0,
    (
        Event("audio", "Dog", 1.0, 2.0, 0.5),
        Event("visual", "Dog", 1.0, 2.0, 0.25),
        Event("visual", "Frying_(food)", 2.0, 9.0, 0.5),
    ),
)


@pytest.mark.parametrize("name", READABLE)
def test_a_class_in_both_modalities_stays_two_events(name):
    back = there_and_back(BOTH, name)
    expected = BOTH.events
    if name not in WITH_SCORES:
        expected = tuple(
            Event(e.modality, e.class_name, e.onset, e.offset) for e in expected
        )
    assert as_set(back.events) == as_set(expected)


@pytest.mark.parametrize("name", READABLE)
def test_a_video_without_events_comes_back(name):
    back = there_and_back(EMPTY, name)
    assert (back.video, back.events) == ("quiet", ())


@pytest.mark.parametrize("name", [n for n, one in FORMATS.items() if not one.read])
def test_a_format_without_a_reader_names_those_with_one(tmp_path, name):
    (tmp_path / f"a.{FORMATS[name].ending}").write_text("")
    with pytest.raises(UsageError, match=r"cannot be read\. Fix: use .*elan"):
        import_events(tmp_path, format=name)


@pytest.mark.parametrize(
    ("file", "name"),
    [
        *(("a.json", "json"), ("a.CSV", "csv"), ("a.vtt", "webvtt"), ("a.eaf", "elan")),
        *(("a.textgrid", "textgrid"), ("a.txt", "audacity"), ("a.srt", "srt")),
    ],
)
def test_the_suffix_chooses_the_format(tmp_path, file, name):
    path = export(EXAMPLE, tmp_path / file)
    content = FORMATS[name].write(EXAMPLE)
    expected = content if isinstance(content, bytes) else content.encode()
    assert path.read_bytes() == expected
    assert [p.name for p in tmp_path.iterdir()] == [file]


def test_a_name_chooses_the_format_of_any_file(tmp_path):
    path = export(EXAMPLE, tmp_path / "a.lab", format="audacity")
    assert path.read_text().startswith("0.000000\t2.500000")
    with pytest.raises(UsageError, match="has several files"):
        export(EXAMPLE, tmp_path / "a.json", format="activitynet")
    with pytest.raises(UsageError, match="did you mean 'audacity'"):
        export(EXAMPLE, tmp_path / "a.json", format="audacty")


@pytest.mark.parametrize("name", ["a.jsn", "a"])
def test_an_unknown_suffix_is_an_error_that_lists_the_formats(tmp_path, name):
    with pytest.raises(UsageError, match=r"unknown export format .*csv, .*json"):
        export(EXAMPLE, tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_nothing_is_written_if_the_format_cannot_hold_the_timeline(tmp_path):
    with pytest.raises(AnnotationError, match="which Audacity cannot hold"):
        export(Timeline("a\tb", 1.0), tmp_path / "a.txt")
    assert not list(tmp_path.iterdir())


@given(st.sampled_from(["a", "2019/beach/0001", "a.b", "ü" * 300, "a/" + "ü" * 300]))
def test_files_mirror_the_ids(tmp_path_factory, video):
    folder = tmp_path_factory.mktemp("out")
    path = output_path(folder, video, "vtt")
    assert path.relative_to(folder).parent.as_posix() == (
        "a" if video.startswith("a/") else "2019/beach" if "beach" in video else "."
    )
    assert len(path.name.encode()) <= 255


def test_a_folder_is_searched_for_the_longest_ending(tmp_path):
    for name in (
        "b/a.csv",
        "a.scores.csv",
        "c.CSV",
        "d.txt",
        "e.vtt",
        "e.metadata.vtt",
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert [video for _, video in list_inputs(tmp_path, FORMATS["csv"])] == ["b/a", "c"]
    assert [v for _, v in list_inputs(tmp_path, FORMATS["webvtt"])] == ["e"]
    with pytest.raises(UsageError, match=r"contains no \.eaf file"):
        list_inputs(tmp_path, FORMATS["elan"])
    with pytest.raises(UsageError, match="no such file"):
        list_inputs(tmp_path / "nothing", FORMATS["elan"])


def test_parts_of_one_video_are_one_timeline(tmp_path):
    write(BOTH, "dcase", tmp_path)
    (back,) = import_events(tmp_path, format="dcase")
    assert back.seconds == 9.0
    assert len(back) == 3

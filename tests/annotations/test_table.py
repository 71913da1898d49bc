"""Tables in, annotations out: right, or one error with file, line, value and fix."""

import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vaplan.annotations import read_table
from vaplan.annotations.sheet import Row
from vaplan.annotations.table import event_rows, read_sheet, write_rows
from vaplan.arrays import AUDIO, VISUAL
from vaplan.errors import AnnotationError, UsageError
from vaplan.taxonomy import Taxonomy
from vaplan.timeline import Event

HEADER = "video,modality,class,onset,offset,score\n"


def table(folder: Path, text: str, name: str = "events.csv") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_weak_labels_and_events_are_told_apart(tmp_path: Path) -> None:
    data = read_table(table(tmp_path, HEADER + "a,,Dog,,,\na,,Cat,,,\na,audio,Dog,0,2.5,0.5\nb,,Cat,,,\n"))
    assert data.taxonomy.classes == ("Cat", "Dog")
    assert data.weak_label().tolist() == [[True, True], [True, False]]
    assert data.events == {"a": (Event("audio", "Dog", 0.0, 2.5, 0.5),)}
    assert data.labelled_ids() == ["a"]


def test_both_stands_for_a_row_in_each_modality(tmp_path: Path) -> None:
    data = read_table(table(tmp_path, HEADER + "a,both,Dog,1,3,\n"))
    grid = data.reference(4)[0]
    assert grid[:, AUDIO, 0].tolist() == grid[:, VISUAL, 0].tolist() == [False, True, True, False]


def test_an_empty_row_says_that_the_video_was_looked_at(tmp_path: Path) -> None:
    data = read_table(table(tmp_path, HEADER + "a,,,,,\nb,audio,Dog,0,1,\n"))
    assert data.events["a"] == ()
    assert data.labelled_ids() == ["a", "b"]


def test_one_row_a_segment_is_merged_on_reading(tmp_path: Path) -> None:
    data = read_table(table(tmp_path, HEADER + "a,audio,Dog,0,1,0.2\na,audio,Dog,1,2,0.4\na,audio,Dog,5,6,1\n"))
    assert data.events["a"] == (Event("audio", "Dog", 0.0, 2.0, 0.3), Event("audio", "Dog", 5.0, 6.0, 1.0))


def test_an_event_marks_a_segment_it_covers_by_half(tmp_path: Path) -> None:
    data = read_table(table(tmp_path, HEADER + "a,audio,Dog,0.5,2.4,\n"))
    assert data.reference(4)[0, :, AUDIO, 0].tolist() == [True, True, False, False]


def test_splits_and_paths_are_kept_and_unknown_splits_are_named(tmp_path: Path) -> None:
    text = HEADER.replace("score", "score,path,split") + "a,,Dog,,,,x/a.mp4,train\nb,,Dog,,,,b.mp4,test\n"
    data = read_table(table(tmp_path, text))
    assert data.select("test").ids == ("b",)
    assert data.videos[0].path == "x/a.mp4"
    with pytest.raises(UsageError, match="unknown split 'tset'; did you mean 'test'"):
        data.select("tset")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("a,audio,Dog,5,3,", r"events\.csv:2: onset 5 s must come before offset 3 s"),
        ("a,audio,Dog,-1,3,", r"events\.csv:2: onset is '-1', expected a number of seconds ≥ 0"),
        ("a,audio,Dog,nan,3,", r"events\.csv:2: onset is 'nan'"),
        ("a,audio,Dog,0,inf,", r"events\.csv:2: offset is 'inf'"),
        ("a,audio,Dog,zero,3,", r"events\.csv:2: onset is 'zero'"),
        ("a,audio,,0,3,", r"events\.csv:2: an event needs class, onset and offset"),
        ("a,sound,Dog,0,3,", r"events\.csv:2: unknown modality 'sound'"),
        ("a,,Dog,0,3,", r"events\.csv:2: times without a modality"),
        (",,Dog,,,", r"events\.csv:2: a row without a video id"),
        ("../a,,Dog,,,", r"events\.csv:2: video id '\.\./a' cannot be used"),
        ("a\x07,,Dog,,,", r"events\.csv:2: video id 'a\\x07' cannot be used"),
        ("a,,Dog,,", r"events\.csv:2: 5 fields where the header has 6"),
        ('a,,"Dog,,,\nb,,Cat,,,', r"events\.csv:2: not CSV: unexpected end of data.*close the quotes"),
        ("a,,Dog\0,,,", r"events\.csv:2: a NUL character"),
    ],
)
def test_a_faulty_row_names_file_and_line(tmp_path: Path, line: str, message: str) -> None:
    path = table(tmp_path, HEADER + line + "\n")
    with pytest.raises(AnnotationError) as fault:
        read_table(path)
    assert re.search(message, str(fault.value)), str(fault.value)


def test_an_unknown_class_names_the_nearest_one(tmp_path: Path) -> None:
    path = table(tmp_path, HEADER + "a,,Speach,,,\n")
    with pytest.raises(AnnotationError, match="unknown class 'Speach'; did you mean 'Speech'"):
        read_table(path, taxonomy=Taxonomy(("Speech", "Dog")))


def test_two_paths_for_one_video_are_a_conflict(tmp_path: Path) -> None:
    path = table(tmp_path, HEADER.replace("score", "score,path") + "a,,Dog,,,,x.mp4\na,,Cat,,,,y.mp4\n")
    with pytest.raises(AnnotationError, match=r"has path 'y\.mp4' here and 'x\.mp4' in line 2"):
        read_table(path)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_text_encodings_are_recognised(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "events.csv"
    path.write_bytes((HEADER + "a,,Frühling,,,\n").encode(encoding))
    assert read_table(path).taxonomy.classes == ("Frühling",)


def test_a_missing_column_and_a_missing_file_say_so(tmp_path: Path) -> None:
    with pytest.raises(AnnotationError, match="column 'modality' is missing"):
        read_table(table(tmp_path, "video,class\na,Dog\n"))
    with pytest.raises(AnnotationError, match="No such file"):
        read_table(tmp_path / "none.csv")
    with pytest.raises(AnnotationError, match="the file is empty"):
        read_table(table(tmp_path, ""))
    with pytest.raises(AnnotationError, match="the table has no rows"):
        read_table(table(tmp_path, HEADER))


rows = st.builds(
    Row,
    video=st.from_regex(r"[-_A-Za-z0-9=]{1,20}", fullmatch=True),
    modality=st.sampled_from(["audio", "visual"]),
    class_name=st.sampled_from(["Dog", 'Say "hi", twice', "Frühling", "=1+1"]),
    onset=st.integers(0, 50).map(float),
    offset=st.integers(51, 99).map(float),
    score=st.none() | st.floats(0, 1).map(lambda x: round(x, 6)),
)


@pytest.mark.parametrize("name", ["events.csv", "events.parquet"])
@given(written=st.lists(rows, min_size=1, max_size=20, unique_by=lambda row: (row.video, row.class_name)))
def test_what_is_written_is_read_back(tmp_path_factory: pytest.TempPathFactory, name: str, written: list[Row]) -> None:
    path = write_rows(tmp_path_factory.mktemp("table") / name, written)
    read = [(r.video, r.modality, r.class_name, r.onset, r.offset, r.score) for r in read_sheet(path).rows]
    assert read == [(r.video, r.modality, r.class_name, r.onset, r.offset, r.score) for r in written]


def test_a_video_without_events_has_one_row() -> None:
    assert event_rows("a", []) == [Row("a")]


def test_dense_labels_beyond_the_grid_are_cut_not_wrapped(tmp_path: Path) -> None:
    data = read_table(table(tmp_path, HEADER + "a,audio,Dog,2,9,\n"))
    assert np.array_equal(data.reference(3)[0, :, AUDIO, 0], [False, False, True])

"""AudioSet's segments and strong labels."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vaplan.annotations import merge_rows, read_data
from vaplan.annotations.audioset import read
from vaplan.annotations.issues import find_issues
from vaplan.errors import AnnotationError, UsageError
from vaplan.timeline import Event

SEGMENTS = """# Segments csv created Sun Mar  5 10:54:31 2017
# num_ytids=2, num_segs=2, num_unique_labels=2, num_positive_labels=3
# YTID, start_seconds, end_seconds, positive_labels
--PJHxphWEs, 30.000, 40.000, "/m/09x0r,/t/dd00088"
-0RWZT-miFs, 420.500, 430.500, "/m/09x0r"
"""
STRONG = """segment_id start_time_seconds end_time_seconds label
b0RFKhbpFJA_30000 0.000 2.500 /m/09x0r
b0RFKhbpFJA_30000 4.753 5.720 /t/dd00088
"""
INDICES = """index,mid,display_name
0,/m/09x0r,"Speech"
1,/t/dd00088,"Gush, pour"
"""


def write(folder: Path, **files: str) -> Path:
    """Write the files; `names` is the file of names, and spaces of `.tsv` become tabs."""
    (folder / "class_labels_indices.csv").write_text(files.pop("names", INDICES))
    for name, text in files.items():
        if name.endswith("strong"):
            (folder / f"{name}.tsv").write_text(text.replace(" ", "\t"))
        else:
            (folder / f"{name}.csv").write_text(text)
    return folder


def test_segments_are_tags_with_names_and_ids_of_milliseconds(tmp_path: Path) -> None:
    folder = write(tmp_path, balanced_train_segments=SEGMENTS)
    data = read_data(f"audioset:{folder}")
    assert {video.video: video.tags for video in data.videos} == {
        "--PJHxphWEs_30000": ("Speech", "Gush, pour"),
        "-0RWZT-miFs_420500": ("Speech",),
    }
    assert {video.split for video in data.videos} == {"train"}
    assert data.events == {}
    assert data.segments == 10


def test_strong_labels_are_audio_events(tmp_path: Path) -> None:
    rows = read(write(tmp_path, audioset_eval_strong=STRONG))
    data = merge_rows(rows)
    assert data.events == {
        "b0RFKhbpFJA_30000": (
            Event("audio", "Speech", 0.0, 2.5),
            Event("audio", "Gush, pour", 4.753, 5.72),
        )
    }
    assert data.videos[0].split == "test"
    assert [issue.kind for issue in find_issues(rows)] == ["audio only"]


def test_tags_and_events_of_one_clip_are_joined(tmp_path: Path) -> None:
    segments = 'b0RFKhbpFJA, 30.000, 40.000, "/m/09x0r,/t/dd00088"\n'
    folder = write(
        tmp_path, eval_segments=segments, audioset_eval_strong=STRONG, other="x\n"
    )
    (folder / "audioset_eval_strong_framed_posneg.tsv").write_text("x\n")
    (video,) = merge_rows(read(folder)).videos
    assert video.tags == ("Speech", "Gush, pour")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("ontology.json", '[{"id": "/m/09x0r", "name": "Speech", "child_ids": []}]'),
        ("mid_to_display_name.tsv", "/m/09x0r\tSpeech\n"),
    ],
)
def test_names_come_from_any_published_file(
    tmp_path: Path, name: str, text: str
) -> None:
    write(tmp_path, eval_segments=SEGMENTS)
    (tmp_path / "class_labels_indices.csv").unlink()
    (tmp_path / name).write_text(text)
    rows = read(tmp_path / "eval_segments.csv")
    assert rows.taxonomy.classes == ("/t/dd00088", "Speech")
    (issue,) = find_issues(rows)
    assert (issue.kind, issue.line) == ("label without a name", 4)
    assert tmp_path / name in rows.files


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"a_segments": "x, 1, 2\n"}, r"a_segments\.csv:1: 3 fields, expected 4: YTID"),
        ({"a_segments": "x, one, 2, /m/a\n"}, r":1: start_seconds is 'one'"),
        ({"a_segments": "x, , 2, /m/a\n"}, r":1: a segment without its start"),
        ({"a_segments": ", 1, 2, /m/a\n"}, r":1: a row without a video id"),
        ({"a_segments": "x, 1, 2, Speech\n"}, r":1: label 'Speech' is no id, expected"),
        ({"a_segments": '#\nx, 1, 2, "/m/a,"\n'}, r":2: label '' is no id"),
        ({"a_segments": "# nothing\n"}, "no class occurs in it"),
        ({"a_strong": "x_1 0 1 /m/a\n"}, r"a_strong\.tsv:1: the columns are x_1, 0"),
        ({"a_strong": ""}, r":1: the columns are ; expected segment_id"),
        ({"a_strong": STRONG + "x_1 0 /m/a\n"}, r":4: 3 fields, expected 4"),
        ({"a_strong": STRONG + "x_1 0 -1 /m/a\n"}, r":4: end_time_seconds is '-1'"),
        ({"a_strong": STRONG + "x_1  1 /m/a\n"}, r":4: an event needs its start and"),
        ({"a_segments": SEGMENTS, "names": "0,/m/a\n"}, r"indices\.csv:1: 2 fields, e"),
        ({"other": "x"}, r"no file is named \*segments\*\.csv or"),
    ],
)
def test_a_fault_names_file_line_and_value(
    tmp_path: Path, files: dict[str, str], message: str
) -> None:
    with pytest.raises(AnnotationError, match=message):
        read(write(tmp_path, **files))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"id": 1}', r"ontology\.json: the document is .*, expected a list"),
        ("[1]", r"ontology\.json: \[0\] is 1, expected an object"),
        ('[{"id": "/m/a"}]', r"ontology\.json: \[0\] has no key 'name'; keys: 'id'"),
        ('[{"id": "/m/a", "name": 3}]', r"\[0\]\.name is 3, expected a text"),
    ],
)
def test_a_fault_of_the_ontology_names_its_place(
    tmp_path: Path, text: str, message: str
) -> None:
    write(tmp_path, eval_segments=SEGMENTS)
    (tmp_path / "ontology.json").write_text(text)
    with pytest.raises(AnnotationError, match=message):
        read(tmp_path)


def test_without_names_or_with_a_version_it_is_an_error(tmp_path: Path) -> None:
    write(tmp_path, eval_segments=SEGMENTS)
    with pytest.raises(UsageError, match="AudioSet has one version"):
        read(tmp_path, annotations="legacy")
    (tmp_path / "class_labels_indices.csv").unlink()
    with pytest.raises(
        AnnotationError, match=r"no file of label names.*ontology\.json"
    ):
        read(tmp_path)


fields = st.sampled_from(
    ["", "x", "1", "-2", "nan", "/m/a", '"/m/a,/m/b"', "#", '"', "\0", "segment_id"]
)


@pytest.mark.parametrize("name", ["a_segments", "a_strong"])
@given(rows=st.lists(st.lists(fields, min_size=1, max_size=5), max_size=4))
def test_any_file_is_read_or_gives_one_error(
    tmp_path_factory: pytest.TempPathFactory, name: str, rows: list[list[str]]
) -> None:
    separator = " " if name == "a_strong" else ", "
    text = "\n".join(separator.join(row) for row in rows)
    text = STRONG + text if name == "a_strong" else text
    try:
        data = merge_rows(read(write(tmp_path_factory.mktemp("set"), **{name: text})))
    except AnnotationError:
        return
    assert data.ids

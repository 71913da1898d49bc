"""Sound events as DCASE and sed_eval write them."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vaplan.annotations import merge_rows, read_data
from vaplan.annotations.dcase import read
from vaplan.annotations.issues import find_issues
from vaplan.errors import AnnotationError, UsageError
from vaplan.timeline import Event

STRONG = """filename onset offset event_label
Y-BJNMHMZDcU_50.000_60.000.wav 0.5 2.5 Dog
Y-BJNMHMZDcU_50.000_60.000.wav 3 4 Alarm_bell_ringing
quiet.wav
"""


def write(folder: Path, text: str, name: str = "validation.tsv") -> Path:
    """Write a file; spaces become tabs, and short rows are filled up with empty fields."""
    lines = [line.split(" ") for line in text.splitlines()]
    width = max(map(len, lines))
    path = folder / name
    path.write_text(
        "".join("\t".join(line + [""] * (width - len(line))) + "\n" for line in lines)
    )
    return path


def test_events_are_audio_only(tmp_path: Path) -> None:
    data = read_data(f"dcase:{write(tmp_path, STRONG)}")
    assert data.events == {
        "Y-BJNMHMZDcU_50.000_60.000": (
            Event("audio", "Dog", 0.5, 2.5),
            Event("audio", "Alarm_bell_ringing", 3.0, 4.0),
        ),
        "quiet": (),
    }
    assert {video.split for video in data.videos} == {"val"}
    assert data.taxonomy.classes == ("Alarm_bell_ringing", "Dog")


def test_a_file_name_alone_means_a_recording_without_events(tmp_path: Path) -> None:
    path = tmp_path / "events.tsv"
    path.write_text("a.wav\t0\t1\tDog\nquiet.wav\n")
    assert merge_rows(read(path)).events["quiet"] == ()


def test_an_issue_reports_that_all_events_are_audio(tmp_path: Path) -> None:
    (issue,) = find_issues(read(write(tmp_path, STRONG)))
    assert (issue.kind, issue.line) == ("audio only", 2)


@pytest.mark.parametrize(
    ("text", "video"),
    [
        ("a.wav 1 2 Dog\n", "a"),
        ("a.wav home 1 2 Dog\n", "a"),
        ("1 2 Dog\n", "events"),
        ("onset offset event_label\n1 2 Dog\n", "events"),
        ("event_label onset offset filename\nDog 1 2 a.wav\n", "a"),
    ],
)
@pytest.mark.parametrize("delimiter", ["\t", ",", ";"])
def test_a_file_without_a_header_is_understood_by_its_number_of_fields(
    tmp_path: Path, text: str, video: str, delimiter: str
) -> None:
    path = write(tmp_path, text, "events.txt")
    path.write_text(path.read_text().replace("\t", delimiter))
    data = merge_rows(read(path))
    assert data.events == {video: (Event("audio", "Dog", 1.0, 2.0),)}


def test_weak_labels_are_tags_separated_by_commas(tmp_path: Path) -> None:
    data = merge_rows(read(write(tmp_path, "filename event_labels\na.wav Dog,Cat\n")))
    assert data.videos[0].tags == ("Dog", "Cat")
    assert data.events == {}


def test_a_folder_is_read_file_by_file_and_lengths_are_left_out(tmp_path: Path) -> None:
    write(tmp_path, "a.wav 0 1 Dog\n", "train.tsv")
    write(tmp_path, "b.wav 0 1 Cat\n", "eval.tsv")
    lengths = write(tmp_path, "filename duration\na.wav 10\n", "lengths.tsv")
    rows = read(tmp_path)
    data = merge_rows(rows)
    assert {video.video: video.split for video in data.videos} == {
        "a": "train",
        "b": "test",
    }
    assert lengths not in rows.files


def test_an_event_that_marks_nothing_is_an_issue(tmp_path: Path) -> None:
    rows = read(write(tmp_path, "a.wav 2 2 Dog\na.wav 3 1 Dog\n"))
    kinds = {(issue.kind, issue.line) for issue in find_issues(rows)}
    assert {("zero-length event", 1), ("backward event", 2)} <= kinds


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a.wav x 2 Dog\n", r"validation\.tsv:1: onset is 'x', expected a number of"),
        ("a.wav 1 2 Dog\na.wav 1 1e9 Dog\n", r":2: offset is '1e9', expected"),
        ("a.wav 1 2 nan\n", r":1: event_label is 'nan'"),
        ("a.wav 1 2 Dog\na.wav 1\n", r":2: an event needs onset, offset and event_la"),
        ("/ 1 2 Dog\n", r":1: a row without a video id"),
        ("0.5 1.2\n", r":1: 2 fields, expected 3 to 5"),
        ("a b c d e f\n", r":1: 6 fields, expected 3 to 5"),
        ("filename onset event_label\na 1 Dog\n", r":1: the columns onset and offset"),
        (
            "filename onset offset\na 1 2\n",
            r":1: column 'event_label' is missing; columns",
        ),
        ("filename filename event_label\na b Dog\n", r":1: column 'filename' is there"),
        ("filename event_labels\na.wav\n", r":2: 'a' has no label"),
        ("filename onset offset event_label\n", "no class occurs in it"),
        ("quiet.wav\n", r":1: 1 fields, expected 3 to 5"),
    ],
)
def test_a_fault_names_file_line_and_value(
    tmp_path: Path, text: str, message: str
) -> None:
    with pytest.raises(AnnotationError, match=message):
        read(write(tmp_path, text))


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(AnnotationError, match=r"no \.tsv, \.csv.* is in this folder"):
        read(tmp_path)
    with pytest.raises(AnnotationError, match="No such file"):
        read(tmp_path / "none.tsv")
    with pytest.raises(UsageError, match="has one version"):
        read(tmp_path, annotations="legacy")
    (tmp_path / "empty.tsv").write_text("")
    with pytest.raises(AnnotationError, match="the file is empty"):
        read(tmp_path)


fields = st.sampled_from(
    ["", "a.wav", "Dog", "1", "2.5", "-1", "nan", "onset", "filename", '"', "\0", "/"]
)


@given(rows=st.lists(st.lists(fields, min_size=1, max_size=6), max_size=4))
def test_any_file_is_read_or_gives_one_error(
    tmp_path_factory: pytest.TempPathFactory, rows: list[list[str]]
) -> None:
    path = tmp_path_factory.mktemp("dcase") / "events.tsv"
    path.write_text("\n".join("\t".join(row) for row in rows))
    try:
        data = merge_rows(read(path))
    except AnnotationError:
        return
    assert data.ids

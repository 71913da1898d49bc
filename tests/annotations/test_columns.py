"""Header names that are recognised, and invalid headers."""

from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vaplan import reading
from vaplan.annotations import read_rows, read_table
from vaplan.annotations.columns import MEANINGS, read_columns
from vaplan.annotations.issues import find_issues
from vaplan.annotations.rows import Row
from vaplan.annotations.table import write_rows
from vaplan.errors import AnnotationError
from vaplan.timeline import Event


def table(folder: Path, text: str, name: str = "events.csv") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("video", MEANINGS["video"])
@pytest.mark.parametrize(
    "times", list(zip(MEANINGS["onset"], MEANINGS["offset"], strict=True))
)
@pytest.mark.parametrize("label", MEANINGS["class"])
def test_common_names_mean_the_same(
    tmp_path: Path, video: str, label: str, times: tuple[str, str]
) -> None:
    header = f"{video},{label},{times[0]},{times[1]},modality"
    data = read_table(table(tmp_path, f"{header}\na,Dog,1,2,audio\n"))
    assert data.events == {"a": (Event("audio", "Dog", 1.0, 2.0),)}


def test_the_case_of_a_name_does_not_matter_and_other_columns_are_named(
    tmp_path: Path,
) -> None:
    path = table(tmp_path, "Filename\tLabel\tremark\nx/a.wav\tDog\tloud\n")
    rows = read_rows(path)
    assert rows.columns == {"Filename": "video", "Label": "class", "remark": ""}
    assert rows.rows[0].video == "x/a"


def test_the_first_name_has_priority(tmp_path: Path) -> None:
    text = "video,id,class,label,tags\na,7,Dog,3,x\n"
    rows = read_rows(table(tmp_path, text))
    assert [(row.video, row.class_name) for row in rows.rows] == [("a", "Dog")]
    assert [name for name, meaning in rows.columns.items() if not meaning] == [
        "id",
        "label",
        "tags",
    ]


def test_a_file_name_loses_the_ending_of_a_media_file_only(tmp_path: Path) -> None:
    text = "filename,class\n./a.mp4,Dog\nAP0061o0Nvk_101.8_111.8,Dog\n"
    assert read_table(table(tmp_path, text)).ids == ("a", "AP0061o0Nvk_101.8_111.8")
    assert read_table(table(tmp_path, "video,class\na.mp4,Dog\n")).ids == ("a.mp4",)


def test_a_path_names_a_video_without_a_column_video(tmp_path: Path) -> None:
    (video,) = read_table(table(tmp_path, "path,class\n2019/a.mp4,Dog\n")).videos
    assert (video.video, video.path) == ("2019/a", "2019/a.mp4")


@pytest.mark.parametrize("name", ["tags.csv", "tags.parquet"])
def test_a_list_of_tags_is_a_table(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if path.suffix == ".parquet":
        import pyarrow as pa
        import pyarrow.parquet as pq

        columns = {"video": ["a", "b"], "tags": ["Dog;Cat", "Dog"]}
        pq.write_table(pa.table(columns), path)
    else:
        table(tmp_path, "video;tags\na;Dog,Cat\nb;Dog\n", name)
    data = read_table(path)
    assert {video.video: video.tags for video in data.videos} == {
        "a": ("Dog", "Cat"),
        "b": ("Dog",),
    }
    assert data.labelled_ids() == []


def test_a_column_of_event_labels_without_times_is_a_list_of_tags(
    tmp_path: Path,
) -> None:
    path = table(tmp_path, "filename\tevent_labels\na.wav\tDog,Cat\n", "weak.tsv")
    assert read_table(path).videos[0].tags == ("Dog", "Cat")
    assert read_rows(path).columns == {"filename": "video", "event_labels": "tags"}


def test_times_without_a_modality_are_tags_and_one_issue(tmp_path: Path) -> None:
    text = "filename\tonset\toffset\tevent_label\na.wav\t0\t2\tDog\na.wav\t3\t4\tDog\n"
    rows = read_rows(table(tmp_path, text))
    data = read_table(table(tmp_path, text))
    assert data.videos[0].tags == ("Dog",)
    assert data.events == {}
    (issue,) = find_issues(rows)
    assert (issue.kind, issue.line) == ("times without a modality", 2)
    assert issue.what.startswith("2 rows have times and no modality")
    with pytest.raises(AnnotationError, match=r"csv:1: column 'modality' is missing"):
        read_table(table(tmp_path, text), needs_modality=True)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("class,onset\nDog,1\n", r"events\.csv:1: column 'video' is missing"),
        ("video,onset\na,1\n", r"events\.csv:1: column 'class' is missing"),
        ("id,file,class\n1,a,Dog\n", r":1: columns 'id' and 'file' could each be the"),
        ("video,class,onset\na,Dog,1\n", r":1: column 'offset' is missing beside 'ons"),
        ("video,class,end\na,Dog,1\n", r":1: column 'onset' is missing beside 'offse"),
        (
            "video,tags,onset,offset\na,Dog,1,2\n",
            r":1: a column `tags` is about whole videos",
        ),
        ("video,tags\na,Dog,Cat\n", r":2: 3 fields where the header has 2.*by ;"),
        ("video,class,onset,offset\na,Dog,1,\n", r":2: an event needs class, onset"),
        ("video,class,start,end\na,Dog,2,1\n", r":2: onset 2 s must come before off"),
        ("path,class\n/,Dog\n", r"events\.csv:2: a row without a video id"),
    ],
)
def test_an_invalid_header_or_row_is_an_error(
    tmp_path: Path, text: str, message: str
) -> None:
    with pytest.raises(AnnotationError, match=message):
        read_table(table(tmp_path, text))


names = st.sampled_from([name for known in MEANINGS.values() for name in known])
cells = st.sampled_from(
    ["", "a", "a.mp4", "Dog", "1", "2.5", "-1", "audio", "nan", "/"]
)


@given(
    header=st.lists(names, min_size=1, max_size=6),
    rows=st.lists(st.lists(cells, min_size=1, max_size=6), max_size=4),
    delimiter=st.sampled_from(",;\t|"),
)
def test_any_table_is_read_or_gives_one_error(
    tmp_path_factory: pytest.TempPathFactory,
    header: list[str],
    rows: list[list[str]],
    delimiter: str,
) -> None:
    text = "\n".join(delimiter.join(line) for line in [header, *rows])
    path = table(tmp_path_factory.mktemp("table"), text)
    try:
        columns, _ = read_columns(path)
        data = read_table(path)
    except AnnotationError:
        return
    assert "class" in columns or "tags" in columns
    assert data.ids


def test_a_parquet_table_of_too_many_rows_is_refused_before_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_rows(
        tmp_path / "t.parquet", [Row("a", "", "Dog"), Row("b", "", "Dog")]
    )
    assert read_table(path).ids == ("a", "b")
    monkeypatch.setattr(reading, "MAX_ROWS", 1)
    monkeypatch.setattr(pq.ParquetFile, "read", None)
    with pytest.raises(AnnotationError, match="2 rows, expected at most 1"):
        read_table(path)

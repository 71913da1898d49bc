"""Tables are read as annotations, or give one error with file, line, value and fix."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vaplan.annotations import merge_rows, read_table
from vaplan.annotations.issues import find_issues
from vaplan.annotations.rows import Row
from vaplan.annotations.table import event_rows, read_rows, write_rows
from vaplan.arrays import AUDIO, VISUAL
from vaplan.errors import AnnotationError, UsageError
from vaplan.taxonomy import Taxonomy
from vaplan.timeline import Event

HEADER = "video,modality,class,onset,offset,score\n"


def table(folder: Path, text: str, name: str = "events.csv") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_weak_labels_and_events_are_distinguished(tmp_path: Path) -> None:
    data = read_table(
        table(
            tmp_path,
            HEADER + "a,,Dog,,,\na,,Cat,,,\na,audio,Dog,0,2.5,0.5\nb,,Cat,,,\n",
        )
    )
    assert data.taxonomy.classes == ("Cat", "Dog")
    assert data.weak_label().tolist() == [[True, True], [True, False]]
    assert data.events == {"a": (Event("audio", "Dog", 0.0, 2.5, 0.5),)}
    assert data.labelled_ids() == ["a"]


def test_both_stands_for_a_row_in_each_modality(tmp_path: Path) -> None:
    data = read_table(table(tmp_path, HEADER + "a,both,Dog,1,3,\n"))
    grid = data.reference(4)[0]
    assert (
        grid[:, AUDIO, 0].tolist()
        == grid[:, VISUAL, 0].tolist()
        == [False, True, True, False]
    )


def test_an_empty_row_means_a_video_without_events(tmp_path: Path) -> None:
    data = read_table(table(tmp_path, HEADER + "a,,,,,\nb,audio,Dog,0,1,\n"))
    assert data.events["a"] == ()
    assert data.labelled_ids() == ["a", "b"]


def test_empty_columns_may_be_left_out(tmp_path: Path) -> None:
    assert read_table(table(tmp_path, "video,class\na,Dog\n")).videos[0].tags == (
        "Dog",
    )
    events = "video,modality,class,onset,offset\na,audio,Dog,1,2\n"
    assert read_table(table(tmp_path, events)).events == {
        "a": (Event("audio", "Dog", 1.0, 2.0),)
    }


def test_one_row_a_segment_is_merged_on_reading(tmp_path: Path) -> None:
    data = read_table(
        table(
            tmp_path,
            HEADER + "a,audio,Dog,0,1,0.2\na,audio,Dog,1,2,0.4\na,audio,Dog,5,6,1\n",
        )
    )
    assert data.events["a"] == (
        Event("audio", "Dog", 0.0, 2.0, 0.3),
        Event("audio", "Dog", 5.0, 6.0, 1.0),
    )


def test_an_event_marks_a_segment_it_covers_by_half(tmp_path: Path) -> None:
    data = read_table(table(tmp_path, HEADER + "a,audio,Dog,0.5,2.4,\n"))
    assert data.reference(4)[0, :, AUDIO, 0].tolist() == [True, True, False, False]


def test_splits_and_paths_are_kept_and_unknown_splits_are_named(tmp_path: Path) -> None:
    text = (
        HEADER.replace("score", "score,path,split")
        + "a,,Dog,,,,x/a.mp4,train\nb,,Dog,,,,b.mp4,test\n"
    )
    data = read_table(table(tmp_path, text))
    assert data.select("test").ids == ("b",)
    assert data.videos[0].path == "x/a.mp4"
    with pytest.raises(UsageError, match="unknown split 'tset'; did you mean 'test'"):
        data.select("tset")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("a,audio,Dog,5,3,", r"events\.csv:2: onset 5 s must come before offset 3 s"),
        (
            "a,audio,Dog,-1,3,",
            r"events\.csv:2: onset is '-1', expected a number of seconds from 0",
        ),
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
        (
            'a,,"Dog,,,\nb,,Cat,,,',
            r"events\.csv:2: not CSV: unexpected end of data.*close the quotes",
        ),
        ("a,,Dog\0,,,", r"events\.csv:2: a NUL character"),
        ("a,,Dog,,,\na,,Cat,,,,", r"events\.csv:3: 7 fields where the header has 6"),
        (
            "a,audio,Dog,1_0,20,",
            r"events\.csv:2: onset is '1_0', expected a number of seconds",
        ),
        ("a,audio,Dog,0,1,high", r"events\.csv:2: score is 'high', expected a number"),
        ("a,audio,Dog,0,1,NaN", r"events\.csv:2: score is 'NaN'"),
        (
            "a,Audio,Dog,0,1,",
            r"events\.csv:2: unknown modality 'Audio'; did you mean 'audio'",
        ),
        (
            "a,,nan,,,",
            r"events\.csv:2: class is 'nan', which other programs write for an empty cell",
        ),
        ("NULL,,Dog,,,", r"events\.csv:2: video id 'NULL' stands for an empty cell"),
        ("a//b,,Dog,,,", r"events\.csv:2: video id 'a//b' cannot be used"),
        (
            "a,audio,Dog,0,1e12,",
            r"events\.csv:2: offset is '1e12', expected .* from 0 to 172,800 \(48 hours\)",
        ),
        ("a,audio,Dog,0,３,", r"events\.csv:2: offset is '３', expected a number"),
        ("a,,D\x1bog,,,", r"events\.csv:2: class 'D\\x1bog' holds control characters"),
        (f"{'a' * 1001},,Dog,,,", r"events\.csv:2: video id 'a+' cannot be used"),
        (
            "a,,Dog,,,\nb,,dog,,,",
            r"events\.csv:3: class 'dog' is written 'Dog' in line 2",
        ),
        (
            "a,audio,Dog,0,1,0.5\na,audio,Dog,0,1,0.6",
            r"events\.csv:3: the event of line 2 again, with score 0\.6",
        ),
    ],
)
def test_a_faulty_row_names_file_and_line(
    tmp_path: Path, line: str, message: str
) -> None:
    path = table(tmp_path, HEADER + line + "\n")
    with pytest.raises(AnnotationError) as fault:
        read_table(path)
    assert re.search(message, str(fault.value)), str(fault.value)


def test_an_unknown_class_names_the_nearest_one(tmp_path: Path) -> None:
    path = table(tmp_path, HEADER + "a,,Speach,,,\n")
    with pytest.raises(
        AnnotationError, match="unknown class 'Speach'; did you mean 'Speech'"
    ):
        read_table(path, taxonomy=Taxonomy(("Speech", "Dog")))


def test_two_paths_for_one_video_are_a_conflict(tmp_path: Path) -> None:
    path = table(
        tmp_path,
        HEADER.replace("score", "score,path") + "a,,Dog,,,,x.mp4\na,,Cat,,,,y.mp4\n",
    )
    with pytest.raises(
        AnnotationError, match=r"has path 'y\.mp4' here and 'x\.mp4' in line 2"
    ):
        read_table(path)


@pytest.mark.parametrize("delimiter", [";", "\t", "|"])
def test_delimiters_of_spreadsheets_are_recognised(
    tmp_path: Path, delimiter: str
) -> None:
    text = HEADER + 'a,audio,"Rain, heavy",0,1,0.5\n'
    path = table(
        tmp_path,
        text.replace(",", delimiter).replace(f"Rain{delimiter} heavy", "Rain, heavy"),
    )
    assert read_table(path).events["a"] == (
        Event("audio", "Rain, heavy", 0.0, 1.0, 0.5),
    )


def test_a_decimal_comma_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(
        AnnotationError, match=r"events\.csv:2: onset is '0,5', expected a number"
    ):
        read_table(table(tmp_path, HEADER.replace(",", ";") + "a;audio;Dog;0,5;1;\n"))


def test_a_header_without_commas_lists_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(
        AnnotationError,
        match=r"events\.csv:1: column 'video' is missing; columns: id label",
    ):
        read_table(table(tmp_path, "id label\na Dog\n"))
    with pytest.raises(
        AnnotationError, match=r"events\.csv:1: column 'class' occurs twice"
    ):
        read_table(
            table(tmp_path, HEADER.replace("score", "score,class") + "a,,Dog,,,,Cat\n")
        )


@pytest.mark.parametrize("name", ["no.parquet", "text.parquet"])
def test_an_invalid_parquet_table_is_an_error(tmp_path: Path, name: str) -> None:
    (tmp_path / "text.parquet").write_text("video,modality\n")
    with pytest.raises(AnnotationError, match=rf"{name}: not a Parquet table"):
        read_table(tmp_path / name)


def test_the_same_row_twice_and_overlaps_are_merged_and_named(tmp_path: Path) -> None:
    sheet = read_rows(
        table(
            tmp_path, HEADER + "a,audio,Dog,0,2,\na,audio,Dog,0,2,\na,audio,Dog,1,4,\n"
        )
    )
    assert merge_rows(sheet).events["a"] == (Event("audio", "Dog", 0.0, 4.0),)
    found = [(issue.kind, issue.line) for issue in find_issues(sheet)]
    assert found == [("duplicate event", 3), ("self-overlap", 4)]


def test_one_file_in_two_splits_is_a_leak(tmp_path: Path) -> None:
    rows = "a,,Dog,,,,x.mp4,train\nb,,Dog,,,,x.mp4,test\n"
    (leak,) = find_issues(
        read_rows(table(tmp_path, HEADER.replace("score", "score,path,split") + rows))
    )
    assert (leak.kind, leak.line) == ("leak between test and train", 3)
    assert leak.what == "x.mp4: a is in train and b in test"


def test_a_taxonomy_file_beside_the_table_gives_the_order_and_the_prompts(
    tmp_path: Path,
) -> None:
    path = table(tmp_path, HEADER + "a,,Dog,,,\n")
    beside = tmp_path / "events.taxonomy.yaml"
    beside.write_text("classes: [Rain, Dog]\nprompts: {Dog: {audio: a dog barks}}\n")
    data = read_table(path)
    assert data.taxonomy.classes == ("Rain", "Dog")
    assert data.taxonomy.prompts("audio")[1] == ["a dog barks"]
    assert data.files == (path, beside)
    (tmp_path / "events.taxonomy.csv").write_text("class\nDog\n")
    with pytest.raises(
        AnnotationError, match=r"events\.taxonomy\.csv both belong to events\.csv"
    ):
        read_table(path)


def test_a_time_and_the_number_of_classes_cannot_fill_the_memory(
    tmp_path: Path,
) -> None:
    path = tmp_path / "events.csv"
    classes = Taxonomy(tuple(f"class {number}" for number in range(3000)))
    lines = ["video,modality,class,onset,offset", "a,audio,class 7,0,10"]
    path.write_text("\n".join([*lines, "b,audio,class 8,0,172800", ""]))
    with pytest.raises(
        AnnotationError,
        match=r"events\.csv:3: the event of 'b' ends at 172800 s; with 3,000",
    ):
        read_table(path, taxonomy=classes)


def test_a_class_that_is_not_in_the_taxonomy_file_is_an_error(
    tmp_path: Path,
) -> None:
    path = table(tmp_path, HEADER + "a,,Dgo,,,\n")
    (tmp_path / "events.taxonomy.csv").write_text(
        "class,audio\nDog,a dog barks\nRain,\n"
    )
    with pytest.raises(
        AnnotationError, match=r"events\.csv:2: unknown class 'Dgo'; did you mean 'Dog'"
    ):
        read_table(path)


def test_ids_may_begin_with_a_dash_or_look_like_a_formula(tmp_path: Path) -> None:
    assert read_table(table(tmp_path, HEADER + "-a,,Dog,,,\n=b+1,,Dog,,,\n")).ids == (
        "-a",
        "=b+1",
    )


LOOK = """
import sys
from pathlib import Path
from vaplan.annotations import read_table
data = read_table(Path(sys.argv[1]))
# not ru_maxrss, which a child inherits from the process that started it
(peak,) = [line for line in open("/proc/self/status") if line.startswith("VmHWM")]
print(len(data.ids), sum(map(len, data.events.values())), peak.split()[1])
"""


def test_two_hundred_thousand_rows_are_read_whole_in_less_than_a_gigabyte(
    tmp_path: Path,
) -> None:
    rows = (
        f"v{n // 10},audio,Class{n % 10},{n % 7},{n % 7 + 1},0.5\n"
        for n in range(200_000)
    )
    path = table(tmp_path, HEADER + "".join(rows))
    result = subprocess.run(
        [sys.executable, "-c", LOOK, path], capture_output=True, text=True, check=True
    )
    videos, events, kilobytes = map(int, result.stdout.split())
    assert (videos, events) == (20_000, 200_000)
    assert kilobytes < 2**20


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_text_encodings_are_recognised(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "events.csv"
    path.write_bytes((HEADER + "a,,Frühling,,,\n").encode(encoding))
    assert read_table(path).taxonomy.classes == ("Frühling",)


def test_a_missing_column_and_a_missing_file_are_errors(tmp_path: Path) -> None:
    with pytest.raises(AnnotationError, match="column 'class' is missing"):
        read_table(table(tmp_path, "video,modality\na,audio\n"))
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
@given(
    written=st.lists(
        rows, min_size=1, max_size=20, unique_by=lambda row: (row.video, row.class_name)
    )
)
def test_written_tables_are_read_back(
    tmp_path_factory: pytest.TempPathFactory, name: str, written: list[Row]
) -> None:
    path = write_rows(tmp_path_factory.mktemp("table") / name, written)
    read = [
        (r.video, r.modality, r.class_name, r.onset, r.offset, r.score)
        for r in read_rows(path).rows
    ]
    assert read == [
        (r.video, r.modality, r.class_name, r.onset, r.offset, r.score) for r in written
    ]


def test_a_video_without_events_has_one_row() -> None:
    assert event_rows("a", []) == [Row("a")]


def test_dense_labels_beyond_the_grid_are_cut(tmp_path: Path) -> None:
    data = read_table(table(tmp_path, HEADER + "a,audio,Dog,2,9,\n"))
    assert np.array_equal(data.reference(3)[0, :, AUDIO, 0], [False, False, True])


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("a,\n", "needs at least one class"),
        ("".join(f"a,{n}\n" for n in range(20_001)), "at most 20,000"),
    ],
)
def test_no_class_and_too_many_classes_are_errors(
    tmp_path: Path, rows: str, message: str
) -> None:
    path = tmp_path / "t.csv"
    path.write_text("video,class\n" + rows)
    with pytest.raises(AnnotationError, match=message) as caught:
        read_table(path)
    assert str(caught.value).startswith(f"{path}: ")

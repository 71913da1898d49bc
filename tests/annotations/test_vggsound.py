"""The list of clips of VGGSound."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vaplan.annotations import merge_rows, read_data
from vaplan.annotations.issues import find_issues
from vaplan.annotations.vggsound import read
from vaplan.errors import AnnotationError, UsageError

CLIPS = """---g-f_I2yQ,1,people marching,test
--0PQM4-hqg,30,waterfall burbling,train
--0PQM4-hqg,95,"race car, auto racing",train
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "vggsound.csv"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    "header", ["", "youtube id,start,label,split\n", "# YouTube ID, start seconds\n"]
)
def test_a_clip_has_one_tag_and_the_name_of_its_file(
    tmp_path: Path, header: str
) -> None:
    write(tmp_path, header + CLIPS)
    data = read_data(f"vggsound:{tmp_path}")
    assert {video.video: (video.tags, video.split) for video in data.videos} == {
        "---g-f_I2yQ_000001": (("people marching",), "test"),
        "--0PQM4-hqg_000030": (("waterfall burbling",), "train"),
        "--0PQM4-hqg_000095": (("race car, auto racing",), "train"),
    }
    assert data.events == {}


def test_a_recording_in_two_splits_is_a_leak(tmp_path: Path) -> None:
    rows = read(write(tmp_path, CLIPS + "---g-f_I2yQ,50,people marching,train\n"))
    (leak,) = find_issues(rows)
    assert leak.kind == "leak between test and train"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("x,1,Dog", r"vggsound\.csv:4: 3 fields, expected 4: YouTube id, start"),
        (
            "x,1,race car, auto racing,test",
            r":4: 5 fields, .*quote fields that contain",
        ),
        (",1,Dog,test", r":4: a row without a video id"),
        ("x,1.5,Dog,test", r":4: start is '1.5', expected whole seconds"),
        ("x,1234567,Dog,test", r":4: start is '1234567', expected whole"),
        ("x,１,Dog,test", r":4: start is '１', expected whole"),
        ("x,1,,test", r":4: x_000001 has no label"),
        ("x,1,nan,test", r":4: label is 'nan'"),
        ("x,1,Dog,tset", r":4: unknown split 'tset'; did you mean 'test'"),
        ("---g-f_I2yQ,1,Dog,train", r":4: ---g-f_I2yQ_000001 is in train here and in"),
    ],
)
def test_a_fault_names_file_line_and_value(
    tmp_path: Path, line: str, message: str
) -> None:
    with pytest.raises(AnnotationError, match=message):
        read(write(tmp_path, f"{CLIPS}{line}\n"))


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(AnnotationError, match=r"no such file.*give vggsound\.csv"):
        read(tmp_path)
    with pytest.raises(AnnotationError, match="no class occurs in it"):
        read(write(tmp_path, ""))
    with pytest.raises(UsageError, match="VGGSound has one version"):
        read(tmp_path, annotations="new")


fields = st.sampled_from(["", "x", "1", "-1", "Dog", "test", "nan", "#", '"', "\0"])


@given(rows=st.lists(st.lists(fields, min_size=1, max_size=5), max_size=4))
def test_any_file_is_read_or_gives_one_error(
    tmp_path_factory: pytest.TempPathFactory, rows: list[list[str]]
) -> None:
    text = "\n".join(",".join(row) for row in rows)
    try:
        data = merge_rows(read(write(tmp_path_factory.mktemp("vggsound"), text)))
    except AnnotationError:
        return
    assert data.ids

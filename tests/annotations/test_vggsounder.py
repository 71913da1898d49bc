"""VGGSounder's labels of whole clips."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vaplan.annotations import merge_rows, read_data
from vaplan.annotations.issues import find_issues
from vaplan.annotations.vggsounder import read
from vaplan.errors import AnnotationError, UsageError
from vaplan.timeline import Event

HEADER = "video_id,label,modality,background_music,static_image,voice_over\n"
LABELS = """---g-f_I2yQ_000001,male singing,A,True,False,False
---g-f_I2yQ_000001,people crowd,AV,True,False,False
-3rHVsIj1M8_000030,"bird wings, flapping",V,False,False,False
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "vggsounder.csv"
    path.write_text(text)
    return path


def test_a_label_lasts_for_the_clip_in_its_modalities(tmp_path: Path) -> None:
    write(tmp_path, HEADER + LABELS)
    data = read_data(f"vggsounder:{tmp_path}")
    assert data.events == {
        "---g-f_I2yQ_000001": (
            Event("audio", "male singing", 0.0, 10.0),
            Event("audio", "people crowd", 0.0, 10.0),
            Event("visual", "people crowd", 0.0, 10.0),
        ),
        "-3rHVsIj1M8_000030": (Event("visual", "bird wings, flapping", 0.0, 10.0),),
    }
    assert {video.video: (video.tags, video.split) for video in data.videos} == {
        "---g-f_I2yQ_000001": (("male singing", "people crowd"), "test"),
        "-3rHVsIj1M8_000030": (("bird wings, flapping",), "test"),
    }
    assert find_issues(read(tmp_path)) == ()


def test_the_order_of_the_columns_does_not_matter(tmp_path: Path) -> None:
    data = merge_rows(
        read(write(tmp_path, "modality,label,video_id\nA,Dog,x_000001\n"))
    )
    assert data.events == {"x_000001": (Event("audio", "Dog", 0.0, 10.0),)}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "video_id,label\nx,Dog\n",
            r"csv:1: there must be one column 'modality'; columns",
        ),
        ("label,label,video_id,modality\n", r":1: there must be one column 'label'"),
        (HEADER + "x,Dog,A\n", r":2: 3 fields, expected 6: video_id, label, modality"),
        (HEADER + "x,Dog,B,,,\n", r":2: unknown modality 'B'.*write A for audible"),
        (HEADER + "x,Dog,,,,\n", r":2: unknown modality ''"),
        (HEADER + "x,,A,,,\n", r":2: a row of x without a label"),
        (HEADER + ",Dog,A,,,\n", r":2: a row without a video id"),
        (HEADER + "x,null,A,,,\n", r":2: label is 'null'"),
        (HEADER, "no class occurs in it"),
        ("", "the file is empty"),
    ],
)
def test_a_fault_names_file_line_and_value(
    tmp_path: Path, text: str, message: str
) -> None:
    with pytest.raises(AnnotationError, match=message):
        read(write(tmp_path, text))


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(AnnotationError, match=r"no such file.*give vggsounder\.csv"):
        read(tmp_path)
    with pytest.raises(UsageError, match="a file of VGGSounder has one version"):
        read(tmp_path, annotations="0.1.6")


fields = st.sampled_from(["", "x", "A", "AV", "Dog", "nan", '"', "\0", "label"])


@given(rows=st.lists(st.lists(fields, min_size=6, max_size=6), max_size=4))
def test_any_file_is_read_or_gives_one_error(
    tmp_path_factory: pytest.TempPathFactory, rows: list[list[str]]
) -> None:
    text = HEADER + "\n".join(",".join(row) for row in rows)
    try:
        data = merge_rows(read(write(tmp_path_factory.mktemp("vggsounder"), text)))
    except AnnotationError:
        return
    assert data.ids

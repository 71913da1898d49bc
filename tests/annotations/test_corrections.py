"""Corrected events replace the tags of their videos, in split val or test."""

from collections import Counter
from pathlib import Path

import pytest

from vaplan.annotations import read_data
from vaplan.annotations.corrections import apply_corrections, read_corrections
from vaplan.annotations.table import write_rows
from vaplan.annotations.tags import read_tags
from vaplan.errors import AnnotationError
from vaplan.timeline import Event

REVIEWED = """video,modality,class,onset,offset,score
a,audio,Dog,0,2.5,
a,visual,Cat,1,3,
b,,,,,
c,audio,Dog,0,1,0.5
"""


@pytest.fixture
def tags(tmp_path: Path) -> Path:
    path = tmp_path / "tags.csv"
    path.write_text("path,tags\na.mp4,Dog\nb.mp4,Rain\nc.mp4,Dog\nd.mp4,Rain;Dog\n")
    return path


@pytest.fixture
def reviewed(tmp_path: Path) -> Path:
    path = tmp_path / "labels.reviewed.csv"
    path.write_text(REVIEWED)
    return path


def test_finished_videos_are_dense_and_the_others_keep_their_tags(
    tags: Path, reviewed: Path, tmp_path: Path
) -> None:
    corrections = read_corrections(reviewed, ["a", "b"])
    rows = apply_corrections(read_tags(tags), corrections, test_share=0.0)
    data = read_data(f"table:{write_rows(tmp_path / 'annotations.csv', rows)}")
    videos = {video.video: video for video in data.videos}
    assert {name: video.split for name, video in videos.items()} == {
        "a": "val",
        "b": "val",
        "c": "train",
        "d": "train",
    }
    assert data.events == {
        "a": (Event("audio", "Dog", 0.0, 2.5), Event("visual", "Cat", 1.0, 3.0)),
        "b": (),
    }
    assert videos["a"].tags == ("Cat", "Dog")
    assert videos["d"].tags == ("Rain", "Dog")
    assert videos["a"].path == "a.mp4"


def test_all_videos_of_another_table_are_finished(reviewed: Path) -> None:
    assert [*read_corrections(reviewed).rows] == ["a", "b", "c"]


def test_a_video_stays_in_its_split_when_more_are_corrected(tmp_path: Path) -> None:
    names = [f"v{number}" for number in range(400)]
    tags = tmp_path / "tags.csv"
    tags.write_text("video,tags\n" + "".join(f"{name},Dog\n" for name in names))
    table = tmp_path / "reviewed.csv"

    def splits(count: int) -> dict[str, str]:
        rows = "".join(f"{name},audio,Dog,0,1,\n" for name in names[:count])
        table.write_text(REVIEWED.splitlines()[0] + "\n" + rows)
        corrected = apply_corrections(
            read_tags(tags), read_corrections(table), test_share=0.25
        )
        return {row.video: row.split for row in corrected}

    few = splits(100)
    many = splits(400)
    assert {name: many[name] for name in names[:100]} == {
        name: few[name] for name in names[:100]
    }
    counts = Counter(many.values())
    assert counts["test"] + counts["val"] == 400
    assert 70 < counts["test"] < 130


def test_a_corrected_video_without_tags_is_an_error(tags: Path, tmp_path: Path) -> None:
    table = tmp_path / "other.csv"
    table.write_text(REVIEWED.replace("a,", "z,"))
    with pytest.raises(AnnotationError, match="1 corrected videos have no tags"):
        apply_corrections(read_tags(tags), read_corrections(table), test_share=0.0)


def test_a_review_without_a_finished_video_is_an_error(reviewed: Path) -> None:
    with pytest.raises(AnnotationError, match="no video of this table is finished"):
        read_corrections(reviewed, [])

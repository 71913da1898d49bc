"""Tags of a user's own videos."""

from pathlib import Path

import pytest

from vaplan.annotations.media_files import MediaFile
from vaplan.annotations.tags import find_tags, read_tags, similar_names
from vaplan.errors import AnnotationError


def test_equal_file_names_in_different_folders_are_different_videos(
    tmp_path: Path,
) -> None:
    table = tmp_path / "tags.csv"
    table.write_text("path,tags\n2019/a.mp4,Dog\n2020/a.mp4,Dog;Rain\n./b.mp4,Rain\n")
    rows = [(row.video, row.class_name) for row in read_tags(table)]
    assert rows == [
        ("2019/a", "Dog"),
        ("2020/a", "Dog"),
        ("2020/a", "Rain"),
        ("b", "Rain"),
    ]


@pytest.mark.parametrize(
    "video", ["../x", "/x", "a//b", "a/./b", "a/", "a\\\\b", "a\tb"]
)
def test_an_id_that_is_no_plain_path_is_an_error_with_its_line(
    tmp_path: Path, video: str
) -> None:
    table = tmp_path / "tags.csv"
    table.write_text(f"video,tags\nfine,Dog\n{video},Dog\n")
    with pytest.raises(AnnotationError, match=r"tags\.csv:3: video id"):
        read_tags(table)


@pytest.mark.parametrize(
    ("first", "second", "similar"),
    [
        ("Fire", "Siren", False),
        ("Speech", "Speach", True),
        ("Speech", "Speeech", True),
        ("Dog", "Dogs", True),
        ("Bus", "Buses", True),
        ("Frying (food)", "frying_food", True),
        ("Car", "Cat", False),
        ("Rain", "Train", True),
        ("Violin, fiddle", "Cello", False),
        ("Male_speech", "Female_speech", False),
    ],
)
def test_names_are_similar_if_one_slip_makes_one_of_the_other(
    first: str, second: str, similar: bool
) -> None:
    assert bool(similar_names([first, second])) is similar
    assert bool(similar_names([second, first])) is similar


def test_tags_are_found_by_name_and_by_a_file_name_of_one_video_only() -> None:
    files = [
        MediaFile(Path("/m/2019/a.mp4"), "2019/a"),
        MediaFile(Path("/m/b.mp4"), "b"),
        MediaFile(Path("/m/x/c.mp4"), "x/c"),
    ]
    tags = {"2019/a": ("Dog",), "y/b": ("Rain",), "y/c": ("Fire",), "z/c": ("Car",)}
    assert find_tags(files, tags) == {
        Path("/m/2019/a.mp4"): ("Dog",),
        Path("/m/b.mp4"): ("Rain",),
    }

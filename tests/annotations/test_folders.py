"""Folders whose names are tags."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vaplan.annotations.folders import FolderTags, read_folder_tags
from vaplan.errors import AnnotationError, MediaError, UsageError


def write(folder: Path, **files: str) -> Path:
    """Write files; `__` in a name stands for `/`."""
    for name, content in files.items():
        path = folder / f"{name.replace('__', '/')}.mp4"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return folder


def tags(found: FolderTags) -> dict[str, list[str]]:
    videos = dict[str, list[str]]()
    for row in found.rows:
        videos.setdefault(row.video, []).append(row.class_name)
    return videos


def test_the_first_folder_is_the_class_however_deep_the_file_lies(
    tmp_path: Path,
) -> None:
    found = read_folder_tags(write(tmp_path, Dog__a="1", Dog__x__y__b="2", Cat__a="3"))
    assert tags(found) == {"Cat/a": ["Cat"], "Dog/a": ["Dog"], "Dog/x/y/b": ["Dog"]}
    assert {row.path for row in found.rows} == {
        "Cat/a.mp4",
        "Dog/a.mp4",
        "Dog/x/y/b.mp4",
    }
    assert {row.split for row in found.rows} == {"train"}
    assert found.notes == ()


def test_equal_content_is_one_video_with_the_classes_of_all_copies(
    tmp_path: Path,
) -> None:
    found = read_folder_tags(
        write(tmp_path, Dog__a="one", Cat__b="one", Cat__c="one", Dog__d="two")
    )
    assert tags(found) == {"Cat/b": ["Cat", "Dog"], "Dog/d": ["Dog"]}
    assert found.notes == ("2 files are copies of others; each content is one video",)


def test_empty_files_are_no_copies_of_one_another(tmp_path: Path) -> None:
    assert len(read_folder_tags(write(tmp_path, Dog__a="", Cat__b="")).rows) == 2


def test_a_name_keeps_its_ending_if_two_files_differ_only_in_it(
    tmp_path: Path,
) -> None:
    write(tmp_path, Dog__a="1")
    (tmp_path / "Dog" / "a.wav").write_text("2")
    assert set(tags(read_folder_tags(tmp_path))) == {"Dog/a.mp4", "Dog/a.wav"}


def test_files_in_no_class_folder_are_counted(tmp_path: Path) -> None:
    found = read_folder_tags(write(tmp_path, Dog__a="1", loose="2"))
    assert set(tags(found)) == {"Dog/a"}
    assert found.notes == ("1 media files lie in no class folder and are left out",)


def test_folders_that_cannot_be_tags_are_an_error_with_a_fix(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no such folder.*videos/Dog/a\.mp4"):
        read_folder_tags(tmp_path / "none")
    with pytest.raises(MediaError, match="contains no media file"):
        read_folder_tags(tmp_path)
    with pytest.raises(AnnotationError, match="none of its 1 media files lies in a"):
        read_folder_tags(write(tmp_path, loose="1"))
    with pytest.raises(AnnotationError, match=r"Null: class is 'Null'"):
        read_folder_tags(write(tmp_path, Null__a="1"))
    (tmp_path / "Null").rename(tmp_path / "Dog ")
    with pytest.raises(AnnotationError, match="class 'Dog ' begins or ends with a sp"):
        read_folder_tags(tmp_path)


names = st.text(st.characters(exclude_characters="/\0", codec="utf-8"), max_size=9)


@given(name=names.filter(lambda name: name not in (".", "..")))
def test_any_name_of_a_folder_is_a_tag_or_gives_one_error(
    tmp_path_factory: pytest.TempPathFactory, name: str
) -> None:
    folder = tmp_path_factory.mktemp("videos")
    (folder / name).mkdir(exist_ok=True)
    (folder / name / "a.mp4").write_text("1")
    try:
        found = read_folder_tags(folder)
    except (AnnotationError, MediaError):  # hidden folders hold no media files
        return
    assert [row.class_name for row in found.rows] == [name]

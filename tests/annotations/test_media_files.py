"""Media files are found below a folder, and their results are named without collisions."""

import os
from pathlib import Path

import pytest

from vaplan.annotations import Video
from vaplan.annotations.media_files import MediaFolder, list_media_files, search_media
from vaplan.errors import MediaError, UsageError


def touch(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def test_media_files_are_found_by_path_id_or_the_first_eleven_characters(
    tmp_path: Path,
) -> None:
    for name in ("whole_id_0_10.mp4", "ABCDEFGHIJK.webm", "twice.mp4", "twice.mkv"):
        (tmp_path / name).touch()
    media = MediaFolder(tmp_path, table=tmp_path / "t.csv")
    assert media.find(Video("whole_id_0_10")).name == "whole_id_0_10.mp4"
    assert media.find(Video("ABCDEFGHIJK_30_40")).name == "ABCDEFGHIJK.webm"
    assert media.find(Video("x", path="twice.mkv")).name == "twice.mkv"
    with pytest.raises(
        MediaError, match=r"several files for 'twice': twice\.mkv, twice\.mp4"
    ):
        media.find(Video("twice"))
    with pytest.raises(MediaError, match="no file for 'nobody'"):
        media.find(Video("nobody"))
    with pytest.raises(UsageError, match="no such folder"):
        MediaFolder(tmp_path / "none", table=tmp_path / "t.csv")


def test_a_folder_is_searched_with_its_sub_folders(tmp_path: Path) -> None:
    touch(tmp_path, "b/2.MP4", "a/1.wav", "c.txt", ".hidden.mp4", ".git/x.mp4")
    tree = search_media(tmp_path)
    assert tree.files == (tmp_path / "a/1.wav", tmp_path / "b/2.MP4")
    assert tree.skipped == 2  # c.txt and .hidden.mp4; hidden folders are not searched


def test_links_are_followed_once_and_loops_are_named(tmp_path: Path) -> None:
    touch(tmp_path / "media", "a/1.mp4")
    touch(tmp_path / "elsewhere", "2.mp4")
    (tmp_path / "media" / "linked").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "media" / "a" / "up").symlink_to(tmp_path / "media")
    tree = search_media(tmp_path / "media")
    names = [path.relative_to(tmp_path / "media").as_posix() for path in tree.files]
    assert names == ["a/1.mp4", "linked/2.mp4"]
    assert tree.loops == (tmp_path / "media" / "a" / "up",)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every folder")
def test_a_sub_folder_that_cannot_be_read_is_named_and_the_rest_is_found(
    tmp_path: Path,
) -> None:
    touch(tmp_path, "a/1.mp4", "b/2.mp4")
    (tmp_path / "a").chmod(0)
    tree = search_media(tmp_path)
    assert tree.files == (tmp_path / "b/2.mp4",)
    assert tree.unreadable[0][0] == tmp_path / "a"


def test_an_id_may_be_a_path_below_the_folder(tmp_path: Path) -> None:
    touch(tmp_path, "2019/beach/0001.mp4", "2020/beach/0001.mp4", "2020/beach/0002.mp4")
    media = MediaFolder(tmp_path, table=tmp_path / "t.csv")
    found = media.find(Video("2019/beach/0001"))
    assert found == tmp_path / "2019/beach/0001.mp4"
    assert media.find(Video("0002")) == tmp_path / "2020/beach/0002.mp4"
    with pytest.raises(MediaError, match="several files for '0001': 2019/beach/0001"):
        media.find(Video("0001"))


@pytest.mark.parametrize("outside", ["/etc/passwd", "../secret.mp4", "a/../../x.mp4"])
def test_a_path_leads_out_of_the_media_folder_only_on_request(
    tmp_path: Path, outside: str
) -> None:
    media = touch(tmp_path / "media", "a/1.mp4")
    touch(tmp_path, "secret.mp4", "x.mp4")
    table = touch(tmp_path / "tables", "t.csv") / "t.csv"
    closed = MediaFolder(media, table=table)
    with pytest.raises(MediaError, match=r"t\.csv:7: .* leads out of the media folder"):
        closed.find(Video("v", path=outside, line=7))
    assert closed.find(Video("v", path="a/../a/1.mp4")) == media / "a/1.mp4"
    opened = MediaFolder(media, table=table, allow_outside=True)
    assert opened.find(Video("v", path=outside)).is_file()


def test_results_mirror_the_tree_and_keep_endings_that_distinguish_files(
    tmp_path: Path,
) -> None:
    touch(tmp_path, "x/1.mp4", "y/1.mp4", "y/2.mp4", "y/2.wav")
    names = {file.name for file in list_media_files([tmp_path]).files}
    assert names == {"x/1", "y/1", "y/2.mp4", "y/2.wav"}
    with pytest.raises(UsageError, match="would have the same name"):
        list_media_files([tmp_path / "x" / "1.mp4", tmp_path / "y" / "1.mp4"])
    with pytest.raises(MediaError, match=r"no media file \(1 other files\)"):
        list_media_files([touch(tmp_path, "empty/z/.keep") / "empty" / "z"])
